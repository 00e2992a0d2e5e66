//! Sealing: from the ELF file that the linker made to an image.
//!
//! The linked file is a static position-independent executable with its symbols. The image keeps its loadable
//! segments, drops everything else, and gains one more segment behind the others with the manifest and the
//! root file system. Where the bytes of the result stand follows from the input alone, so the same input gives
//! the same image.

use crate::erofs::{Plan, Tree, TreeError};
use crate::hash::{HashingWriter, digest, digest_of_pieces};
use crate::layout::{Header, LINK_BASE, MEMORY_END, PAGE, ProgramHeader, pvh_entry};
use crate::pieces::Pieces;
use crate::sizes;
use kernlet_wire::manifest::{
    BuildId, Digest, Draft, Manifest, ManifestError, PT_KERNLET, Root, SegmentDigest, set_build_id,
};
use miette::Diagnostic;
use object::elf;
use object::endian::{LittleEndian as LE, U16, U32, U64};
use object::pod;
use object::read::elf::{FileHeader as _, ProgramHeader as _, Rela as _, SectionHeader as _, SectionTable};
use std::io::{self, Seek, SeekFrom, Write};
use thiserror::Error;

/// Why a linked file cannot be sealed.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum SealError {
    /// The linker's output is not an ELF file that can be read.
    #[error("the linked file cannot be read")]
    Object(#[from] object::Error),
    /// It was not linked as an image has to be.
    #[error("the program was not linked as an image: {0}")]
    #[diagnostic(help(
        "build native programs with `kernlet build`; linker flags of the crate's own may disturb"
    ))]
    NotLinked(String),
    /// It needs something that only a dynamic linker does.
    #[error("the program needs relocations of type {kind} (first at {address:#x}), which nobody applies")]
    #[diagnostic(help(
        "a symbol is undefined or weak: `extern` blocks must name functions that are linked in"
    ))]
    Relocation {
        /// The relocation's type.
        kind: u32,
        /// The address to be relocated.
        address: u64,
    },
    /// The files are too many.
    #[error("the image would take {len} bytes of memory with its files, and it has to end below 4 GiB")]
    #[diagnostic(help(
        "leave large data out of the root and give it to the program as a volume: `-v HOST:GUEST:ro`"
    ))]
    TooLarge {
        /// How many bytes it would take.
        len: u64,
    },
    /// The defaults cannot be stored.
    #[error("the manifest cannot be written: {0}")]
    #[diagnostic(help("arguments and environment must contain no NUL byte, and fit into 1 MiB together"))]
    Manifest(ManifestError),
    /// The root file system cannot be made.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tree(#[from] TreeError),
    /// The image cannot be written.
    #[error("cannot write the image")]
    Write(#[from] io::Error),
}

impl From<ManifestError> for SealError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

/// Seals the linked file `linked` with what `draft` says and the files of `tree`, writes the image to `out`
/// (empty, positioned at its start), and gives the image's build id. Of `draft`, the sizes, hashes and the
/// place of the root file system are filled in here.
///
/// # Errors
/// See [`SealError`].
pub fn seal(
    linked: &[u8],
    mut draft: Draft,
    tree: &Tree,
    out: &mut (impl Write + Seek),
) -> Result<BuildId, SealError> {
    let out = &mut Pieces(out);
    let program = Program::parse(linked)?;
    let sizes = sizes::of(linked)?;
    (draft.sections, draft.crates) = (sizes.sections, sizes.crates);

    let plan = if tree.is_empty() { None } else { Some(Plan::new(tree)?) };
    let root_len = plan.as_ref().map_or(0, Plan::byte_len);
    let unknown = Digest::default();
    draft.segments = program.digests(|_| unknown);
    draft.root = plan.is_some().then_some(Root { offset: PAGE, len: root_len, digest: unknown });
    let manifest_len = draft.encode()?.len() as u64;
    // The file ends with the manifest, unless there is a root.
    let root_offset = if plan.is_some() { manifest_len.next_multiple_of(PAGE) } else { manifest_len };

    let (contents, sealed_at) = program.contents(manifest_len, root_offset + root_len)?;
    draft.segments = program.digests(|segment| digest(segment.bytes(&contents)));
    out.write_all(&contents)?;
    out.seek(SeekFrom::Start(sealed_at + root_offset))?;
    if let (Some(plan), Some(root)) = (plan, &mut draft.root) {
        let mut hashing = HashingWriter::new(io::BufWriter::with_capacity(1 << 18, &mut *out));
        plan.write(&mut hashing)?;
        hashing.flush()?;
        let (digest, len) = hashing.finish();
        *root = Root { offset: root_offset, len, digest };
    }

    let mut manifest = draft.encode()?;
    let build_id = digest_of_pieces(Manifest::parse(&manifest)?.canonical());
    set_build_id(&mut manifest, build_id)?;
    manifest.resize(root_offset as usize, 0);
    out.seek(SeekFrom::Start(sealed_at))?;
    out.write_all(&manifest)?;
    Ok(build_id)
}

/// A linked file that was checked, and where its parts go in the image.
struct Program<'a> {
    linked: &'a [u8],
    header: Header,
    loads: Vec<Load>,
    others: Vec<ProgramHeader>,
    /// How many bytes at the start of the file are free for headers.
    room: u64,
}

/// One segment, and where it goes in the image.
#[derive(Clone, Copy)]
struct Load {
    header: ProgramHeader,
    offset: u64,
}

impl Load {
    fn address(&self) -> u64 {
        self.header.p_vaddr.get(LE)
    }

    fn file_len(&self) -> u64 {
        self.header.p_filesz.get(LE)
    }

    /// Its bytes in the image.
    fn bytes<'c>(&self, contents: &'c [u8]) -> &'c [u8] {
        &contents[self.offset as usize..(self.offset + self.file_len()) as usize]
    }

    fn holds(&self, header: &ProgramHeader) -> bool {
        let (from, to) =
            (header.p_vaddr.get(LE), header.p_vaddr.get(LE).saturating_add(header.p_filesz.get(LE)));
        from >= self.address() && to <= self.address() + self.file_len()
    }
}

impl<'a> Program<'a> {
    fn parse(linked: &'a [u8]) -> Result<Self, SealError> {
        let header = Header::parse(linked)?;
        if header.e_machine.get(LE) != elf::EM_X86_64 || header.e_type.get(LE) != elf::ET_DYN {
            return Err(not_linked("it is not a position-independent x86-64 executable"));
        }
        let mut loads: Vec<Load> = Vec::new();
        let mut others = Vec::new();
        for header in header.program_headers(LE, linked)? {
            match header.p_type.get(LE) {
                elf::PT_LOAD => {
                    let last = loads.last();
                    let load = check_load(header, last)?;
                    header
                        .data(LE, linked)
                        .map_err(|()| not_linked("a segment lies beyond the file's end"))?;
                    loads.push(load);
                }
                elf::PT_INTERP => return Err(not_linked("it wants a dynamic linker")),
                elf::PT_TLS => {
                    return Err(not_linked("it has thread-local variables, which need an operating system"));
                }
                elf::PT_NOTE | elf::PT_DYNAMIC | elf::PT_GNU_STACK | elf::PT_GNU_RELRO => {
                    others.push(*header)
                }
                _ => {}
            }
        }
        let first = loads.first().ok_or_else(|| not_linked("it has no segments"))?;
        if first.header.p_offset.get(LE) != 0 || first.address() != LINK_BASE {
            return Err(not_linked("its first segment does not hold the ELF header at 1 MiB"));
        }
        let sections = header.sections(LE, linked)?;
        check_relocations(&sections, linked)?;
        let room = sections
            .iter()
            .filter(|s| s.sh_flags(LE).contains(elf::SHF_ALLOC))
            .map(|s| s.sh_addr(LE))
            .min()
            .map_or(0, |first| first.saturating_sub(LINK_BASE));
        others.retain(|other| other.p_filesz.get(LE) == 0 || loads.iter().any(|load| load.holds(other)));
        let mut program = Self { linked, header: *header, loads, others, room };
        program.place();
        Ok(program)
    }

    /// Gives each segment its place in the image: one after the other, each on a page of its own.
    fn place(&mut self) {
        let mut offset = 0u64;
        for load in &mut self.loads {
            load.offset = offset;
            offset = (offset + load.file_len()).next_multiple_of(PAGE);
        }
    }

    fn digests(&self, digest: impl Fn(&Load) -> Digest) -> Vec<SegmentDigest> {
        let one = |load: &Load| SegmentDigest {
            address: load.address(),
            file_len: load.file_len(),
            digest: digest(load),
        };
        self.loads.iter().map(one).collect()
    }

    /// The image up to the sealed segment, which is `sealed_len` bytes long and begins with a manifest of
    /// `manifest_len`; and where it begins.
    fn contents(&self, manifest_len: u64, sealed_len: u64) -> Result<(Vec<u8>, u64), SealError> {
        let mut contents = Vec::new();
        for load in &self.loads {
            contents.resize(load.offset as usize, 0);
            let from = load.header.p_offset.get(LE) as usize;
            contents.extend_from_slice(&self.linked[from..from + load.file_len() as usize]);
        }
        contents.resize(contents.len().next_multiple_of(PAGE as usize), 0);
        let sealed_at = contents.len() as u64;

        let memory_end = self.loads.last().map_or(0, |l| l.address() + l.header.p_memsz.get(LE));
        let address = memory_end.next_multiple_of(PAGE);
        let len = (address - LINK_BASE).saturating_add(sealed_len);
        if len > MEMORY_END - LINK_BASE {
            return Err(SealError::TooLarge { len });
        }
        let span = |kind, len, align| program_header(kind, elf::PF_R, sealed_at, address, len, align);
        let mut headers: Vec<ProgramHeader> =
            self.loads.iter().map(|load| self.moved(&load.header)).collect();
        headers.push(span(elf::PT_LOAD, sealed_len, PAGE));
        headers.extend(self.others.iter().map(|header| self.moved(header)));
        headers.push(span(elf::ProgramType(PT_KERNLET), manifest_len, 8));

        let mut header = self.header;
        header.e_phoff = U64::new(LE, size_of::<Header>() as u64);
        header.e_phnum = U16::new(LE, headers.len() as u16);
        header.e_shoff = U64::new(LE, 0);
        header.e_shentsize = U16::new(LE, 0);
        header.e_shnum = U16::new(LE, 0);
        header.e_shstrndx = U16::new(LE, elf::SHN_UNDEF);
        let head = [pod::bytes_of(&header), pod::bytes_of_slice(&headers)].concat();
        let room = (self.room as usize).min(PAGE as usize);
        if head.len() > room {
            let need = head.len();
            return Err(not_linked(&format!(
                "{need} bytes are needed for headers, and the linker left {room}"
            )));
        }
        contents[..room].fill(0);
        contents[..head.len()].copy_from_slice(&head);
        pvh_entry(&headers, &contents[..PAGE as usize]).map_err(|error| not_linked(&error.to_string()))?;
        Ok((contents, sealed_at))
    }

    /// A program header with the offset that its contents have in the image.
    fn moved(&self, header: &ProgramHeader) -> ProgramHeader {
        let mut moved = *header;
        let load = self.loads.iter().find(|load| load.holds(header));
        let offset =
            load.map_or(0, |load| load.offset + header.p_vaddr.get(LE).saturating_sub(load.address()));
        moved.p_offset = U64::new(LE, offset);
        moved
    }
}

fn check_load(header: &ProgramHeader, last: Option<&Load>) -> Result<Load, SealError> {
    let (address, len) = (header.p_vaddr.get(LE), header.p_memsz.get(LE));
    let flags = header.p_flags.get(LE);
    if ![elf::PF_R, elf::PF_R | elf::PF_X, elf::PF_R | elf::PF_W].contains(&flags) {
        return Err(not_linked("a segment is writable and executable, or not readable"));
    }
    if header.p_paddr.get(LE) != address || !address.is_multiple_of(PAGE) {
        return Err(not_linked("a segment does not begin on a page, or has a physical address of its own"));
    }
    if len == 0
        || header.p_filesz.get(LE) > len
        || address.checked_add(len).is_none_or(|end| end > MEMORY_END)
    {
        return Err(not_linked("a segment is empty, or ends above 4 GiB"));
    }
    let free = last.map_or(0, |last| (last.address() + last.header.p_memsz.get(LE)).next_multiple_of(PAGE));
    if address < free {
        return Err(not_linked("segments share a page, or are not sorted"));
    }
    Ok(Load { header: *header, offset: 0 })
}

/// The image relocates itself, and knows one type of relocation only.
fn check_relocations(sections: &SectionTable<'_, Header>, linked: &[u8]) -> Result<(), SealError> {
    for section in sections.iter().filter(|s| s.sh_flags(LE).contains(elf::SHF_ALLOC)) {
        if section.rel(LE, linked)?.is_some_and(|(list, _)| !list.is_empty()) {
            return Err(not_linked("it has relocations without addends"));
        }
        let Some((list, _)) = section.rela(LE, linked)? else { continue };
        if let Some(other) = list.iter().find(|r| r.r_type(LE, false) != elf::R_X86_64_RELATIVE) {
            let kind = other.r_type(LE, false).0;
            return Err(SealError::Relocation { kind, address: other.r_offset(LE) });
        }
    }
    Ok(())
}

fn program_header(
    kind: elf::ProgramType,
    flags: elf::ProgramFlags,
    offset: u64,
    address: u64,
    len: u64,
    align: u64,
) -> ProgramHeader {
    ProgramHeader {
        p_type: U32::new(LE, kind),
        p_flags: U32::new(LE, flags),
        p_offset: U64::new(LE, offset),
        p_vaddr: U64::new(LE, address),
        p_paddr: U64::new(LE, address),
        p_filesz: U64::new(LE, len),
        p_memsz: U64::new(LE, len),
        p_align: U64::new(LE, align),
    }
}

fn not_linked(why: &str) -> SealError {
    SealError::NotLinked(why.into())
}
