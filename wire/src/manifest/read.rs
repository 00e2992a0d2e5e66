//! The reader's side of the manifest: from records to fields, each checked.

use super::{
    BuildId, Digest, HEADER_LEN, Identity, Kind, MAGIC, MAJOR, MAX_LEN, Manifest, ManifestError, Policy,
    Root, SIGNATURE_LEN, SegmentDigest, Sizes, tag,
};
use crate::tlv::{MANDATORY, Reader, Record};

/// What was found so far.
#[derive(Default)]
pub(super) struct Fields<'a> {
    build_id: Option<(BuildId, usize)>,
    name: Option<&'a str>,
    kind: Option<Kind>,
    program: Option<&'a [u8]>,
    workdir: Option<&'a str>,
    identity: Option<Identity>,
    policy: Option<Policy>,
    root: Option<Root>,
    version: Option<&'a str>,
    sections: Option<Sizes<'a>>,
    crates: Option<Sizes<'a>>,
    signature_at: Option<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, record: Record<'a>, at: usize, minor: u16) -> Result<(), ManifestError> {
        let value = record.value;
        match record.tag {
            tag::BUILD_ID => once(&mut self.build_id, "build id", digest(value).map(|id| (id, at))),
            tag::NAME => once(&mut self.name, "name", text(value)),
            tag::KIND => once(&mut self.kind, "kind", kind(value)),
            tag::PROGRAM => once(&mut self.program, "program", program(value)),
            tag::LEAD => require("argument", no_nul(value)),
            tag::ARG => require("argument", no_nul(value)),
            tag::ENV => require("environment variable", no_nul(value).filter(|v| is_variable(v))),
            tag::WORKDIR => {
                once(&mut self.workdir, "working directory", text(value).filter(|path| path.starts_with('/')))
            }
            tag::IDENTITY => once(&mut self.identity, "identity", identity(value)),
            tag::POLICY => once(&mut self.policy, "policy", exact_u32(value).and_then(Policy::from_bits)),
            tag::ROOT => once(&mut self.root, "root file system", root(value)),
            tag::SEGMENT => require("segment hash", segment(value)),
            tag::VERSION => once(&mut self.version, "kernlet version", text(value)),
            tag::SECTIONS => once(&mut self.sections, "list of sections", Sizes::parse(value)),
            tag::CRATES => once(&mut self.crates, "list of crates", Sizes::parse(value)),
            tag::SIGNATURE => {
                once(&mut self.signature_at, "signature", (value.len() == SIGNATURE_LEN).then_some(at))
            }
            tag if tag & MANDATORY != 0 => Err(ManifestError::UnknownEntry { tag, minor }),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self, bytes: &'a [u8], minor: u16) -> Result<Manifest<'a>, ManifestError> {
        let missing = ManifestError::Missing;
        let (build_id, build_id_at) = self.build_id.ok_or(missing("build id"))?;
        let kind = self.kind.ok_or(missing("kind"))?;
        if (kind == Kind::Linux) != self.program.is_some() {
            return Err(missing("kind that fits its program"));
        }
        Ok(Manifest {
            bytes,
            minor,
            build_id,
            name: self.name.ok_or(missing("name"))?,
            kind,
            program: self.program,
            workdir: self.workdir.ok_or(missing("working directory"))?,
            identity: self.identity.ok_or(missing("identity"))?,
            policy: self.policy.ok_or(missing("policy"))?,
            root: self.root,
            version: self.version.unwrap_or("unknown"),
            sections: self.sections.unwrap_or_default(),
            crates: self.crates.unwrap_or_default(),
            build_id_at,
            signature_at: self.signature_at,
        })
    }
}

pub(super) fn check_header(bytes: &[u8]) -> Result<(usize, u16), ManifestError> {
    let begins = &bytes[..bytes.len().min(MAGIC.len())];
    if begins.is_empty() || !MAGIC.starts_with(begins) {
        return Err(ManifestError::NotAManifest);
    }
    let cut = ManifestError::Truncated { need: HEADER_LEN, have: bytes.len() };
    let major = u16_at(bytes, 8).ok_or(cut)?;
    let minor = u16_at(bytes, 10).ok_or(cut)?;
    let len = u32_at(bytes, 12).ok_or(cut)? as usize;
    if major > MAJOR {
        return Err(ManifestError::NewerVersion { major, minor });
    }
    if major != MAJOR || len < HEADER_LEN {
        return Err(ManifestError::Malformed("header"));
    }
    if len > MAX_LEN {
        return Err(ManifestError::TooLong { len });
    }
    Ok((len, minor))
}

fn once<T>(slot: &mut Option<T>, field: &'static str, value: Option<T>) -> Result<(), ManifestError> {
    let value = value.ok_or(ManifestError::Malformed(field))?;
    if slot.replace(value).is_some() { Err(ManifestError::Twice(field)) } else { Ok(()) }
}

fn require<T>(field: &'static str, value: Option<T>) -> Result<(), ManifestError> {
    value.map(|_| ()).ok_or(ManifestError::Malformed(field))
}

pub(super) fn records(manifest: &[u8]) -> Reader<'_> {
    Reader::new(manifest.get(HEADER_LEN..).unwrap_or_default())
}

/// How far into `whole` its part `part` begins.
pub(super) fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

fn exact_u32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_le_bytes)
}

fn digest(value: &[u8]) -> Option<Digest> {
    value.try_into().ok().map(Digest)
}

/// Text that can be shown on a terminal, whoever wrote it: without control characters, NUL among them.
fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok().filter(|text| !text.is_empty() && is_shown(text))
}

/// Whether it has none of the control characters of ASCII and Latin-1.
pub(super) fn is_shown(text: &str) -> bool {
    !text.chars().any(|c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'))
}

fn no_nul(value: &[u8]) -> Option<&[u8]> {
    (!value.contains(&0)).then_some(value)
}

/// An absolute path, no longer than Linux takes one (`PATH_MAX`, its NUL included).
fn program(value: &[u8]) -> Option<&[u8]> {
    no_nul(value).filter(|path| path.starts_with(b"/") && path.len() < 4096)
}

/// `NAME=VALUE`, the value perhaps empty.
fn is_variable(value: &[u8]) -> bool {
    value.iter().position(|&byte| byte == b'=').is_some_and(|at| at > 0)
}

fn kind(value: &[u8]) -> Option<Kind> {
    match exact_u32(value)? {
        1 => Some(Kind::Native),
        2 => Some(Kind::Linux),
        _ => None,
    }
}

fn identity(value: &[u8]) -> Option<Identity> {
    (value.len() == 8).then_some(Identity { uid: u32_at(value, 0)?, gid: u32_at(value, 4)? })
}

fn root(value: &[u8]) -> Option<Root> {
    let root = Root { offset: u64_at(value, 0)?, len: u64_at(value, 8)?, digest: digest(value.get(16..)?)? };
    let whole = root.offset.is_multiple_of(4096) && root.len.is_multiple_of(4096) && root.len > 0;
    (whole && root.offset > 0 && root.offset.checked_add(root.len).is_some()).then_some(root)
}

pub(super) fn segment(value: &[u8]) -> Option<SegmentDigest> {
    Some(SegmentDigest {
        address: u64_at(value, 0)?,
        file_len: u64_at(value, 8)?,
        digest: digest(value.get(16..)?)?,
    })
}
