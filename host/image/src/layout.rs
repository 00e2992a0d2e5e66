//! The shape of an image file, read from its first page alone.
//!
//! An image is an ELF file (System V gABI, chapters 4 and 5) of type `ET_DYN` for x86-64 with no section
//! headers, and these program headers besides others that loaders may ignore:
//!
//! - `PT_LOAD`, in the order of their addresses, each beginning on a page of its own in file and memory, with
//!   equal virtual and physical addresses. No segment is both writable and executable. The last one is the
//!   *sealed segment*: the manifest, then the root file system, both on page boundaries.
//! - `PT_NOTE` with `XEN_ELFNOTE_PHYS32_ENTRY`: the 32-bit entry of the PVH boot protocol (Xen,
//!   docs/misc/pvh.pandoc), inside the first page of the file.
//! - [`PT_KERNLET`]: the manifest's bytes.
//!
//! The file is not trusted. Nothing here reads beyond the given bytes, and every address is checked.

use crate::error::ImageError;
use kernlet_wire::manifest::{MAX_LEN, PT_KERNLET};
use object::elf;
use object::endian::LittleEndian as LE;
use object::pod;

/// The unit of everything: pages of x86-64, and blocks of the root file system.
pub const PAGE: u64 = 4096;
/// Where images are linked: the lowest address at which Firecracker and Cloud Hypervisor load a kernel.
pub const LINK_BASE: u64 = 0x10_0000;
/// Images end below 4 GiB: the PVH entry runs in 32-bit mode and must reach all of the image.
pub(crate) const MEMORY_END: u64 = 1 << 32;
/// More program headers than the linker scripts make, few enough for the first page.
const MAX_HEADERS: usize = 16;

pub(crate) type Header = elf::FileHeader64<LE>;
pub(crate) type ProgramHeader = elf::ProgramHeader64<LE>;

/// What a segment's memory may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and executing.
    Execute,
    /// Reading and writing.
    Write,
}

/// A part of the file that is loaded into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its address at link time; a multiple of the page size.
    pub address: u64,
    /// Its length in memory; what the file does not hold is zero.
    pub memory_len: u64,
    /// Where it begins in the file; a multiple of the page size.
    pub file_offset: u64,
    /// How many bytes of it the file holds.
    pub file_len: u64,
    /// Its access.
    pub access: Access,
}

impl Segment {
    fn contains(&self, address: u64) -> bool {
        (self.address..self.address + self.memory_len).contains(&address)
    }

    const fn memory_end(&self) -> u64 {
        self.address + self.memory_len
    }
}

/// Where the manifest lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestSpan {
    /// Its offset in the file, which is also that of the sealed segment.
    pub offset: u64,
    /// Its length.
    pub len: usize,
}

/// The checked shape of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The 64-bit entry, taken by the process door.
    pub entry: u64,
    /// The 32-bit entry of the PVH boot protocol, taken by the VM door.
    pub pvh_entry: u32,
    /// All segments by rising address; the last is the sealed one.
    pub segments: Vec<Segment>,
    /// The manifest.
    pub manifest: ManifestSpan,
}

impl Layout {
    /// Checks `head`, the first page of a file of `file_len` bytes (or all of it, when it is shorter).
    ///
    /// # Errors
    /// The file is no image, or a damaged one; see [`ImageError`].
    pub fn parse(head: &[u8], file_len: u64) -> Result<Self, ImageError> {
        let header = identify(head, file_len)?;
        let headers = program_headers(header, head, file_len)?;
        let manifest = headers.iter().find(|h| h.p_type.get(LE) == elf::ProgramType(PT_KERNLET));
        let manifest = manifest.ok_or(ImageError::LinuxElf)?;
        if header.e_type.get(LE) != elf::ET_DYN {
            return Err(ImageError::Malformed("the ELF type is not ET_DYN"));
        }
        let segments = segments(headers, file_len)?;
        let layout = Self {
            entry: header.e_entry.get(LE),
            pvh_entry: pvh_entry(headers, head)?,
            manifest: manifest_span(manifest, &segments)?,
            segments,
        };
        if !layout.executes(layout.entry) {
            return Err(ImageError::Malformed("the entry is not in an executable segment"));
        }
        if !layout.executes(layout.pvh_entry.into()) {
            return Err(ImageError::Malformed("the PVH entry is not in an executable segment"));
        }
        Ok(layout)
    }

    /// The segment that holds manifest and root file system.
    #[must_use]
    pub fn sealed(&self) -> Segment {
        // There is one: manifest_span() found the manifest in it.
        self.segments[self.segments.len() - 1]
    }

    /// Changes the program headers of a copy of the image that ends `loaded` bytes behind the beginning of what is sealed:
    /// that segment is shorter, and the manifest's header says, as its size in memory, how much belongs to it.
    pub(crate) fn cut_sealed(&self, copy: &mut [u8], loaded: u64) {
        let sealed = self.sealed();
        let number = |copy: &[u8], at: usize| {
            copy.get(at..at + 8).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap_or_default()))
        };
        let (table, count) = (number(copy, 32) as usize, (number(copy, 56) & 0xffff) as usize);
        for header in (0..count).map(|index| table + index * size_of::<ProgramHeader>()) {
            let (kind, offset) = (number(copy, header) as u32, number(copy, header + 8));
            let fields: &[(usize, u64)] = match kind {
                _ if offset != sealed.file_offset => &[],
                PT_KERNLET => &[(40, sealed.file_len)],
                _ if kind == elf::PT_LOAD.0 => &[(32, loaded), (40, loaded)],
                _ => &[],
            };
            for (field, value) in fields {
                if let Some(place) = copy.get_mut(header + field..header + field + 8) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    /// The address range that the image takes, in whole pages.
    #[must_use]
    pub fn memory(&self) -> core::ops::Range<u64> {
        self.segments[0].address..self.sealed().memory_end().next_multiple_of(PAGE)
    }

    fn executes(&self, address: u64) -> bool {
        self.segments.iter().any(|s| s.access == Access::Execute && s.contains(address))
    }
}

/// Tells files that are not ELF for this machine from those that are.
fn identify(head: &[u8], file_len: u64) -> Result<&Header, ImageError> {
    let magic = &head[..head.len().min(4)];
    if magic.is_empty() {
        return Err(ImageError::NotAnImage("an empty file"));
    }
    if magic.starts_with(b"#!") {
        return Err(ImageError::NotAnImage("a script"));
    }
    if magic != elf::ELFMAG {
        return Err(ImageError::NotAnImage("neither an ELF file nor an image"));
    }
    let need = size_of::<Header>() as u64;
    let Ok((header, _)) = pod::from_bytes::<Header>(head) else {
        return Err(ImageError::Truncated { need, have: file_len });
    };
    if header.e_ident.class != elf::ELFCLASS64 || header.e_ident.data != elf::ELFDATA2LSB {
        return Err(ImageError::WrongMachine("a 32-bit or big-endian machine".into()));
    }
    let machine = header.e_machine.get(LE);
    if machine != elf::EM_X86_64 {
        return Err(ImageError::WrongMachine(machine_name(machine)));
    }
    match header.e_type.get(LE) {
        elf::ET_EXEC | elf::ET_DYN => Ok(header),
        elf::ET_REL => Err(ImageError::NotAnImage("an object file that was not linked")),
        elf::ET_CORE => Err(ImageError::NotAnImage("a core dump")),
        _ => Err(ImageError::NotAnImage("an ELF file of an unknown type")),
    }
}

/// What people call a machine.
pub(crate) fn machine_name(machine: elf::Machine) -> String {
    match machine {
        elf::EM_AARCH64 => "AArch64".into(),
        elf::EM_RISCV => "RISC-V".into(),
        elf::EM_386 => "32-bit x86".into(),
        elf::EM_ARM => "32-bit ARM".into(),
        elf::EM_PPC64 => "PowerPC".into(),
        elf::EM_S390 => "S/390".into(),
        elf::EM_LOONGARCH => "LoongArch".into(),
        elf::Machine(number) => format!("a machine with the ELF number {number}"),
    }
}

fn program_headers<'a>(
    header: &Header,
    head: &'a [u8],
    file_len: u64,
) -> Result<&'a [ProgramHeader], ImageError> {
    let (offset, count) = (header.e_phoff.get(LE), usize::from(header.e_phnum.get(LE)));
    if usize::from(header.e_phentsize.get(LE)) != size_of::<ProgramHeader>() && count > 0 {
        return Err(ImageError::Malformed("the program headers have an unknown size"));
    }
    let need = offset.saturating_add((count * size_of::<ProgramHeader>()) as u64);
    if need > file_len {
        return Err(ImageError::Truncated { need, have: file_len });
    }
    // kernlet puts few of them, right behind the file header. Other linkers may do otherwise.
    let at = usize::try_from(offset).ok().and_then(|offset| head.get(offset..));
    match at.map(|bytes| pod::slice_from_bytes::<ProgramHeader>(bytes, count)) {
        Some(Ok((headers, _))) if count <= MAX_HEADERS => Ok(headers),
        _ => Err(ImageError::LinuxElf),
    }
}

fn segments(headers: &[ProgramHeader], file_len: u64) -> Result<Vec<Segment>, ImageError> {
    let mut segments: Vec<Segment> = Vec::with_capacity(headers.len());
    for header in headers.iter().filter(|h| h.p_type.get(LE) == elf::PT_LOAD) {
        let segment = segment(header, file_len)?;
        if let Some(last) = segments.last() {
            if segment.address < last.memory_end().next_multiple_of(PAGE) {
                return Err(ImageError::Malformed("segments overlap in memory, or are not sorted"));
            }
            if segment.file_offset < (last.file_offset + last.file_len).next_multiple_of(PAGE) {
                return Err(ImageError::Malformed("segments overlap in the file"));
            }
        }
        segments.push(segment);
    }
    match segments.first() {
        Some(first) if first.address == LINK_BASE && first.file_offset == 0 => Ok(segments),
        _ => Err(ImageError::Malformed("the first segment is not the start of the file at 1 MiB")),
    }
}

fn segment(header: &ProgramHeader, file_len: u64) -> Result<Segment, ImageError> {
    let bad = |what| Err(ImageError::Malformed(what));
    let segment = Segment {
        address: header.p_vaddr.get(LE),
        memory_len: header.p_memsz.get(LE),
        file_offset: header.p_offset.get(LE),
        file_len: header.p_filesz.get(LE),
        access: match header.p_flags.get(LE) {
            elf::PF_R => Access::Read,
            flags if flags == elf::PF_R | elf::PF_X => Access::Execute,
            flags if flags == elf::PF_R | elf::PF_W => Access::Write,
            flags if flags.contains(elf::PF_W | elf::PF_X) => {
                return bad("a segment is both writable and executable");
            }
            _ => return bad("a segment has unknown access flags"),
        },
    };
    if !segment.address.is_multiple_of(PAGE) || !segment.file_offset.is_multiple_of(PAGE) {
        return bad("a segment does not begin on a page");
    }
    if header.p_paddr.get(LE) != segment.address {
        return bad("a segment has different virtual and physical addresses");
    }
    if segment.memory_len == 0 || segment.file_len > segment.memory_len {
        return bad("a segment has more bytes in the file than in memory, or none");
    }
    if segment.address.checked_add(segment.memory_len).is_none_or(|end| end > MEMORY_END) {
        return bad("a segment ends above 4 GiB");
    }
    match segment.file_offset.checked_add(segment.file_len) {
        None => bad("a segment ends beyond any file"),
        Some(need) if need > file_len => Err(ImageError::Truncated { need, have: file_len }),
        Some(_) => Ok(segment),
    }
}

fn manifest_span(header: &ProgramHeader, segments: &[Segment]) -> Result<ManifestSpan, ImageError> {
    let (offset, len) = (header.p_offset.get(LE), header.p_filesz.get(LE));
    let in_sealed = segments.last().is_some_and(|sealed| {
        sealed.access == Access::Read
            && segments.len() > 1
            && sealed.file_offset == offset
            && sealed.address == header.p_vaddr.get(LE)
            && len <= sealed.file_len
            && sealed.file_len == sealed.memory_len
    });
    if !in_sealed {
        return Err(ImageError::Malformed("the manifest is not at the start of the last segment"));
    }
    match usize::try_from(len) {
        Ok(len) if (16..=MAX_LEN).contains(&len) => Ok(ManifestSpan { offset, len }),
        _ => Err(ImageError::Malformed("the manifest's length is out of bounds")),
    }
}

/// Finds the PVH entry among the notes. Each is three 32-bit numbers (lengths of name and descriptor, type),
/// the name and the descriptor, both padded to 4 bytes.
pub(crate) fn pvh_entry(headers: &[ProgramHeader], head: &[u8]) -> Result<u32, ImageError> {
    const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
    for header in headers.iter().filter(|h| h.p_type.get(LE) == elf::PT_NOTE) {
        let offset = usize::try_from(header.p_offset.get(LE)).unwrap_or(usize::MAX);
        let len = usize::try_from(header.p_filesz.get(LE)).unwrap_or(usize::MAX);
        let mut notes = offset.checked_add(len).and_then(|end| head.get(offset..end)).unwrap_or_default();
        while let Some((note, rest)) = split_note(notes) {
            if note.kind == XEN_ELFNOTE_PHYS32_ENTRY && note.name == b"Xen\0" {
                let entry = match note.descriptor.len() {
                    8 => note.descriptor.first_chunk().map(|b| u64::from_le_bytes(*b)),
                    4 => note.descriptor.first_chunk().map(|b| u32::from_le_bytes(*b).into()),
                    _ => None,
                };
                return entry
                    .and_then(|entry| u32::try_from(entry).ok())
                    .ok_or(ImageError::Malformed("the PVH note does not hold a 32-bit address"));
            }
            notes = rest;
        }
    }
    Err(ImageError::Malformed("there is no PVH note in the first page"))
}

struct Note<'a> {
    kind: u32,
    name: &'a [u8],
    descriptor: &'a [u8],
}

fn split_note(bytes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
    let name_len = usize::try_from(number(0)?).ok()?;
    let descriptor_len = usize::try_from(number(4)?).ok()?;
    let name_end = 12usize.checked_add(name_len)?;
    let descriptor_at = name_end.checked_next_multiple_of(4)?;
    let end = descriptor_at.checked_add(descriptor_len)?;
    let note =
        Note { kind: number(8)?, name: bytes.get(12..name_end)?, descriptor: bytes.get(descriptor_at..end)? };
    let next = end.checked_next_multiple_of(4)?;
    Some((note, bytes.get(next..).unwrap_or_default()))
}
