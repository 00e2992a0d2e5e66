//! Rewritten code: pages that are mapped over those of a program file, so that its system calls are jumps
//! ([`kernlet_wire::rewrite`]).
//!
//! A file of the root is known by its number. When one of its executable segments is mapped, its stubs are mapped at their
//! distance, and then the pages that jump to them. Where there is no room for stubs, all stays as it is, and calls trap.

use super::area::{Area, Object};
use super::space::Space;
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::program::{self, Backing, Protection};
use kernlet_platform::sealed;
use kernlet_wire::rewrite::{File, PAGE, PATH, Rewrites};

/// The root's file system (see [`kernlet_fs::Metadata::device`]).
const ROOT: u64 = 0;

/// What the image has: the same for all processes, as the root is.
#[derive(Default)]
struct Table {
    rewrites: Option<Rewrites<'static>>,
    /// Where the file with the pages lies in what is sealed.
    start: usize,
    /// The numbers of the files, in the order of the table.
    inodes: Vec<u64>,
}

static TABLE: CpuLocal<Table> = CpuLocal::new(Table::new);

impl Table {
    fn new() -> Self {
        let Ok(root) = kernlet_fs::root() else { return Self::default() };
        let Some((_, bytes)) = kernlet_fs::root_file(&root, PATH.as_ref()) else { return Self::default() };
        let start = (bytes.as_ptr() as usize).wrapping_sub(sealed::whole().as_ptr() as usize);
        let rewrites = match Rewrites::parse(bytes) {
            Ok(rewrites) if start.is_multiple_of(PAGE as usize) => rewrites,
            Ok(_) => return Self::default(),
            Err(error) => {
                crate::report!("system calls will be slow: {error}");
                return Self::default();
            }
        };
        // A path that is not there has number 0, which no file has.
        let number = |file: File<'_>| kernlet_fs::root_file(&root, file.path).map_or(0, |(number, _)| number);
        Self { rewrites: Some(rewrites), start, inodes: rewrites.files().map(number).collect() }
    }

    fn find(&self, device: u64, inode: u64) -> Option<File<'static>> {
        let index = self.inodes.iter().position(|&n| n == inode && device == ROOT)?;
        self.rewrites?.files().nth(index)
    }
}

/// Bytes to keep free behind a file that is mapped whole; 0 for most.
pub fn reserve(device: u64, inode: u64) -> usize {
    TABLE.get().find(device, inode).map_or(0, |file| file.reserve as usize)
}

/// Replaces pages of `area`, which has just been mapped and shows a file of the root.
pub fn replace(space: &mut Space, area: &Area) {
    let Object::File(mapped) = &area.object else { return };
    if !area.protection.execute || area.protection.write || area.shared {
        return;
    }
    let table = TABLE.get();
    let Some(file) = table.find(mapped.device, mapped.inode) else { return };
    if mapped.sealed.as_ref().is_none_or(|s| s.len() as u64 != file.len) {
        return;
    }
    let length = area.length() as u64;
    for segment in file.segments() {
        let end = segment.offset + u64::from(segment.pages) * PAGE;
        if segment.offset >= area.offset + length || end <= area.offset {
            continue;
        }
        // Where the segment's first page is, whether this area shows it or not.
        let first = (area.pages.start as u64).wrapping_add(segment.offset).wrapping_sub(area.offset);
        let stubs = first.wrapping_add_signed(segment.stubs.distance) as usize;
        let stubs = stubs..stubs.wrapping_add(segment.stubs.pages as usize * PAGE as usize);
        if !place_stubs(space, stubs, table.start + segment.stubs.place as usize) {
            continue;
        }
        for run in segment.runs_within(area.offset, length) {
            let start = area.pages.start + (run.offset - area.offset) as usize;
            let pages = start..start + run.pages as usize * PAGE as usize;
            let backing = Backing::Sealed(table.start + run.place as usize);
            // What cannot be replaced traps.
            let _ = program::map(pages, area.protection, backing);
        }
    }
}

/// Maps stubs where they belong, if there is room; they may be there already.
fn place_stubs(space: &mut Space, pages: Range<usize>, place: usize) -> bool {
    if let Some(there) = space.find(pages.start) {
        match there.object {
            Object::Stubs(known) if there.pages == pages => return known == place,
            Object::Reserved if there.pages.end >= pages.end => {}
            _ => return false,
        }
    } else if !space.is_free(&pages) {
        return false;
    }
    let area = Area {
        pages,
        protection: Protection::READ_EXECUTE,
        shared: false,
        object: Object::Stubs(place),
        offset: 0,
    };
    space.map(area, Backing::Sealed(place)).is_ok()
}

/// Keeps `length` bytes behind a file free for its stubs.
pub fn keep(space: &mut Space, start: usize, length: usize) {
    let pages = start..start.saturating_add(length);
    if length > 0 && space.is_free(&pages) {
        let area =
            Area { pages, protection: Protection::NONE, shared: false, object: Object::Reserved, offset: 0 };
        // Without it stubs may find their place taken: calls trap then.
        let _ = space.map(area, Backing::Anonymous);
    }
}
