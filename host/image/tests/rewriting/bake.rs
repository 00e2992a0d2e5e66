//! Rewritten program files that any ELF loader maps: the pages stand in the file itself, and the stubs in a segment
//! behind the others. What is put together is what the table says, read as the library OS reads it.

use kernlet_image::rewrite::rewrite;
use kernlet_wire::rewrite::{PAGE, Rewrites};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How many calls of a file were rewritten, and how many stay.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sites {
    pub rewritten: u32,
    pub trapping: u32,
}

const PATH: &[u8] = b"/program";

/// Writes the rewritten form of `from` to `to`.
pub fn bake(from: &Path, to: &Path) -> Sites {
    let original = fs::read(from).unwrap();
    let table = rewrite([(PATH, &original)]).unwrap_or_else(|| panic!("no site in {}", from.display()));
    let file = Rewrites::parse(&table).unwrap().find(PATH).unwrap();
    assert_eq!(file.len, original.len() as u64);
    let mut baked = original.clone();
    let (mut sites, mut reserved) = (Sites::default(), 0);
    for segment in file.segments() {
        sites.rewritten += segment.rewritten;
        sites.trapping += segment.trapping;
        for run in segment.runs() {
            let len = (u64::from(run.pages) * PAGE) as usize;
            let (at, from) = (run.offset as usize, run.place as usize);
            let len = len.min(baked.len() - at);
            baked[at..at + len].copy_from_slice(&table[from..from + len]);
        }
        let (place, len) = (segment.stubs.place as usize, (u64::from(segment.stubs.pages) * PAGE) as usize);
        let address = segment_address(&original, segment.offset).strict_add_signed(segment.stubs.distance);
        baked.resize(baked.len().next_multiple_of(PAGE as usize), 0);
        let offset = baked.len() as u64;
        baked.extend_from_slice(&table[place..place + len]);
        add_segment(&mut baked, offset, address, len as u64);
        let end = image_end(&original);
        assert!(address >= end && address + len as u64 <= end + file.reserve, "stubs outside of the reserve");
        reserved += len as u64;
    }
    assert_eq!(reserved, file.reserve);
    fs::write(to, baked).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    sites
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the program headers are (Elf64_Phdr, 56 bytes each).
fn headers(bytes: &[u8]) -> impl DoubleEndedIterator<Item = usize> + use<> {
    let (first, count) = (u64_at(bytes, 32) as usize, u16_at(bytes, 56));
    (0..count).map(move |index| first + index * 56)
}

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;

fn segment_address(bytes: &[u8], offset: u64) -> u64 {
    let is_it = |at: &usize| {
        u32_at(bytes, *at) == PT_LOAD
            && u32_at(bytes, at + 4) & PF_X != 0
            && u64_at(bytes, at + 8) / PAGE * PAGE == offset
    };
    let at = headers(bytes).find(is_it).expect("the segment is one of the file's");
    u64_at(bytes, at + 16) / PAGE * PAGE
}

fn image_end(bytes: &[u8]) -> u64 {
    let loads = headers(bytes).filter(|at| u32_at(bytes, *at) == PT_LOAD);
    let end = loads.map(|at| u64_at(bytes, at + 16) + u64_at(bytes, at + 40)).max().unwrap();
    end.next_multiple_of(PAGE)
}

/// Adds a loadable segment in place of a program header that nobody needs: ld.so wants them by rising address, so it
/// has to stand behind the others.
fn add_segment(bytes: &mut [u8], offset: u64, address: u64, len: u64) {
    // A note, the property note, whether stacks are executable: nothing of that is needed here.
    const SPARE: [u32; 3] = [4, 0x6474_e553, 0x6474_e551];
    let of_kind = |kind: u32| headers(bytes).rev().find(|at| u32_at(bytes, *at) == kind);
    let spare = SPARE.into_iter().find_map(of_kind);
    let at = spare.expect("a program header to spare");
    bytes[at..at + 4].copy_from_slice(&PT_LOAD.to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&5u32.to_le_bytes());
    for (field, value) in [offset, address, address, len, len, PAGE].into_iter().enumerate() {
        bytes[at + 8 + field * 8..at + 16 + field * 8].copy_from_slice(&value.to_le_bytes());
    }
}
