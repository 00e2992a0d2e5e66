//! What is in an image, for people and for programs.

mod calls;

use crate::erofs::{self, Entry, EntryKind};
use crate::image::Image;
use crate::layout::Access;
use kernlet_wire::manifest::{Kind, MAJOR, Sizes};
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

pub use crate::erofs::ReadError;
pub use calls::{Caller, SystemCall, SystemCalls};

/// Everything that an image tells about itself. Its JSON form has a stable shape: fields are added, never
/// renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The program's name.
    pub name: String,
    /// `native` or `linux`.
    pub kind: &'static str,
    /// The image's name for itself.
    pub build_id: String,
    /// The version of the image format.
    pub format: String,
    /// The version of kernlet that built it.
    pub kernlet_version: String,
    /// Whether there is a signature in the manifest (nothing is said about who made it).
    pub signed: bool,
    /// The length of the file.
    pub file_size: u64,
    /// How much memory the image takes when loaded.
    pub memory_size: u64,
    /// The 64-bit entry, a link-time address.
    pub entry: u64,
    /// The 32-bit entry of the PVH boot protocol.
    pub pvh_entry: u32,
    /// Of a Linux program: the executable's path in the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What stands before the arguments: the program's name, and what a script adds.
    pub lead: Vec<String>,
    /// What the program is started with unless `run` says otherwise.
    pub defaults: Defaults,
    /// The loaded parts.
    pub segments: Vec<SegmentInfo>,
    /// Size by section of the linked program, largest first.
    pub sections: Vec<Size>,
    /// Size by Rust crate, largest first.
    pub crates: Vec<Size>,
    /// The system calls that programs among its files can make; nothing when there are none.
    pub system_calls: Option<SystemCalls>,
    /// The root file system.
    pub root: Option<RootInfo>,
}

/// How the program starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defaults {
    /// Arguments, without the program's name.
    pub args: Vec<String>,
    /// Environment, each `NAME=VALUE`.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whether it starts although no source of entropy was found.
    pub start_without_entropy: bool,
}

/// A loaded part of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentInfo {
    /// `r--`, `r-x` or `rw-`.
    pub access: &'static str,
    /// Its link-time address.
    pub address: u64,
    /// Its length in memory.
    pub memory_size: u64,
    /// Its length in the file.
    pub file_size: u64,
}

/// A name with a size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Size {
    /// The name.
    pub name: String,
    /// The size.
    pub size: u64,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootInfo {
    /// Its offset in the file: `mount -t erofs -o loop,ro,offset=N` shows it.
    pub offset: u64,
    /// Its length.
    pub size: u64,
    /// What is in it, by path.
    pub files: Vec<Entry>,
}

impl Inspection {
    /// Reads all that there is to tell about `image`.
    ///
    /// # Errors
    /// The root file system cannot be read.
    pub fn of(image: &Image) -> Result<Self, ReadError> {
        let (manifest, layout) = (image.manifest(), image.layout());
        let root = match image.root() {
            Some((offset, size)) => {
                Some(RootInfo { offset, size, files: erofs::list(image.file(), offset, size)? })
            }
            None => None,
        };
        let memory = layout.memory();
        Ok(Self {
            name: manifest.name.into(),
            kind: match manifest.kind {
                Kind::Native => "native",
                Kind::Linux => "linux",
            },
            build_id: manifest.build_id.to_string(),
            format: format!("{MAJOR}.{}", manifest.minor),
            kernlet_version: manifest.version.into(),
            signed: manifest.signature().is_some_and(|signature| signature.iter().any(|&byte| byte != 0)),
            file_size: image.file().metadata()?.len(),
            memory_size: memory.end - memory.start,
            entry: layout.entry,
            pvh_entry: layout.pvh_entry,
            program: manifest.program.map(lossy),
            lead: manifest.lead().map(lossy).collect(),
            defaults: Defaults {
                args: manifest.args().map(lossy).collect(),
                env: manifest.env().map(lossy).collect(),
                workdir: manifest.workdir.into(),
                uid: manifest.identity.uid,
                gid: manifest.identity.gid,
                start_without_entropy: manifest.policy.start_without_entropy,
            },
            segments: layout.segments.iter().map(segment).collect(),
            sections: sizes(manifest.sections),
            crates: sizes(manifest.crates),
            system_calls: SystemCalls::of(image)?,
            root,
        })
    }
}

fn segment(segment: &crate::Segment) -> SegmentInfo {
    SegmentInfo {
        access: match segment.access {
            Access::Read => "r--",
            Access::Execute => "r-x",
            Access::Write => "rw-",
        },
        address: segment.address,
        memory_size: segment.memory_len,
        file_size: segment.file_len,
    }
}

fn sizes(list: Sizes<'_>) -> Vec<Size> {
    list.iter().map(|(name, size)| Size { name: name.into(), size }).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text form, for a terminal. What comes from the image is shown without control characters.
impl Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let d = &self.defaults;
        writeln!(f, "{} ({} program, kernlet {})", safe(&self.name), self.kind, safe(&self.kernlet_version))?;
        writeln!(f, "build id   {}{}", self.build_id, if self.signed { ", signed" } else { "" })?;
        writeln!(
            f,
            "size       {} in the file, {} in memory",
            Bytes(self.file_size),
            Bytes(self.memory_size)
        )?;
        writeln!(f, "entry      {:#x} process, {:#x} VM (PVH)", self.entry, self.pvh_entry)?;
        if let Some(program) = &self.program {
            writeln!(f, "program    {} as {}", safe(program), list(&self.lead))?;
        }
        writeln!(f, "arguments  {}", list(&d.args))?;
        writeln!(f, "environ.   {}", list(&d.env))?;
        writeln!(f, "runs in    {} as {}:{}", safe(&d.workdir), d.uid, d.gid)?;
        if d.start_without_entropy {
            writeln!(f, "entropy    starts without any")?;
        }
        writeln!(f, "\nsegments")?;
        for s in &self.segments {
            writeln!(f, "  {}  {:#10x}  {}", s.access, s.address, Bytes(s.memory_size))?;
        }
        for (title, list) in [("sections", &self.sections), ("crates", &self.crates)] {
            writeln!(f, "\n{title}")?;
            list.iter().try_for_each(|s| writeln!(f, "  {}  {}", Bytes(s.size), safe(&s.name)))?;
        }
        if let Some(calls) = &self.system_calls {
            write!(f, "{calls}")?;
        }
        let Some(root) = &self.root else { return writeln!(f, "\nno files") };
        let size = Bytes(root.size).to_string();
        writeln!(f, "\nfiles ({}, EROFS at offset {})", size.trim(), root.offset)?;
        for entry in &root.files {
            let (kind, target) = match (entry.kind, &entry.target) {
                (EntryKind::Directory, _) => ('d', String::new()),
                (EntryKind::File, _) => ('-', String::new()),
                (EntryKind::Symlink, target) => {
                    ('l', format!(" -> {}", safe(target.as_deref().unwrap_or("?"))))
                }
            };
            writeln!(f, "  {kind}{:04o} {}  {}{target}", entry.mode, Bytes(entry.size), safe(&entry.path))?;
        }
        Ok(())
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        return "(none)".into();
    }
    let quoted = items.iter().map(|item| match item.contains(' ') || item.is_empty() {
        true => format!("\"{}\"", safe(item)),
        false => safe(item),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// An image may come from anywhere, and a terminal obeys control characters.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A size, right-aligned, in the largest unit that leaves no long number.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 10_000 {
            return write!(f, "{:>7} B  ", self.0);
        }
        let (mut size, mut unit) = (self.0 as f64 / 1024.0, 0);
        while size >= 10_000.0 && unit + 1 < UNITS.len() {
            (size, unit) = (size / 1024.0, unit + 1);
        }
        write!(f, "{size:>7.1} {}", UNITS[unit])
    }
}
