//! The writer's side of the manifest.

use super::{
    BuildId, Digest, HEADER_LEN, Identity, Kind, MAGIC, MAJOR, MAX_LEN, MINOR, Manifest, ManifestError,
    Policy, Root, SIGNATURE_LEN, SegmentDigest, tag,
};
use crate::tlv::Writer;
use alloc::string::String;
use alloc::vec::Vec;

/// What a new manifest is to say. [`Draft::encode`] makes its bytes; the same draft makes the same bytes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of Manifest")]
pub struct Draft {
    pub name: String,
    pub kind: Kind,
    pub program: Option<Vec<u8>>,
    /// Nothing stands for the name alone.
    pub lead: Vec<Vec<u8>>,
    pub args: Vec<Vec<u8>>,
    /// Each `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// A level of x86-64, and a path.
    pub cpu: Option<(u8, Vec<u8>)>,
    pub workdir: String,
    pub identity: Identity,
    pub policy: Policy,
    pub root: Option<Root>,
    pub segments: Vec<SegmentDigest>,
    pub version: String,
    pub sections: Vec<(String, u64)>,
    pub crates: Vec<(String, u64)>,
}

impl Draft {
    /// A draft with a name and a kind, and nothing else said.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            program: None,
            lead: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            cpu: None,
            workdir: "/".into(),
            identity: Identity::default(),
            policy: Policy::default(),
            root: None,
            segments: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            sections: Vec::new(),
            crates: Vec::new(),
        }
    }

    /// The manifest's bytes, with zeros in place of the build id and the signature. Their length does not
    /// depend on the values of hashes and offsets, so it can be known before these are.
    ///
    /// # Errors
    /// A field that no reader would accept, or more than [`MAX_LEN`] bytes in all.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        let mut w = Writer::new();
        w.put(tag::BUILD_ID, &[0; 32]).put(tag::SIGNATURE, &[0; SIGNATURE_LEN]);
        w.put(tag::NAME, self.name.as_bytes()).put(tag::KIND, &(self.kind as u32).to_le_bytes());
        w.put(tag::WORKDIR, self.workdir.as_bytes());
        w.put(tag::IDENTITY, &[self.identity.uid.to_le_bytes(), self.identity.gid.to_le_bytes()].concat());
        w.put(tag::POLICY, &self.policy.bits().to_le_bytes());
        if let Some(program) = &self.program {
            w.put(tag::PROGRAM, program);
        }
        for lead in &self.lead {
            w.put(tag::LEAD, lead);
        }
        for arg in &self.args {
            w.put(tag::ARG, arg);
        }
        for variable in &self.env {
            w.put(tag::ENV, variable);
        }
        if let Some((level, file)) = &self.cpu {
            w.put(tag::CPU, &[&[*level], &file[..]].concat());
        }
        for s in &self.segments {
            w.put(tag::SEGMENT, &located(s.address, s.file_len, s.digest));
        }
        if let Some(root) = &self.root {
            w.put(tag::ROOT, &located(root.offset, root.len, root.digest));
        }
        w.put(tag::VERSION, self.version.as_bytes());
        w.put(tag::SECTIONS, &sizes(&self.sections)).put(tag::CRATES, &sizes(&self.crates));
        let records = w.finish();
        let len = HEADER_LEN + records.len();
        let len_field =
            u32::try_from(len).ok().filter(|_| len <= MAX_LEN).ok_or(ManifestError::TooLong { len })?;
        let out =
            [&MAGIC[..], &MAJOR.to_le_bytes(), &MINOR.to_le_bytes(), &len_field.to_le_bytes(), &records]
                .concat();
        Manifest::parse(&out)?;
        Ok(out)
    }
}

/// Writes the build id into an encoded manifest.
///
/// # Errors
/// `bytes` are no manifest.
pub fn set_build_id(bytes: &mut [u8], id: BuildId) -> Result<(), ManifestError> {
    let at = Manifest::parse(bytes)?.build_id_at;
    bytes.get_mut(at..at + 32).ok_or(ManifestError::Missing("build id"))?.copy_from_slice(&id.0);
    Ok(())
}

fn located(at: u64, len: u64, digest: Digest) -> Vec<u8> {
    [&at.to_le_bytes()[..], &len.to_le_bytes(), &digest.0].concat()
}

/// Names are cut at 255 bytes and sizes at 4 GiB: the lists inform, nothing depends on them.
fn sizes(list: &[(String, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, size) in list {
        let name = &name[..name.floor_char_boundary(255)];
        out.extend(u32::try_from(*size).unwrap_or(u32::MAX).to_le_bytes());
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_bytes());
    }
    out
}
