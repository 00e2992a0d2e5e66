//! What comes out of sealing: an image that is the same each time, and that every loader takes.

mod common;

use common::{draft, file, image, linked, sealed, tree};
use kernlet_image::erofs::Tree;
use kernlet_image::manifest::{Draft, Kind};
use kernlet_image::{Access, Image, ImageError, LINK_BASE, SealError, seal};
use linux_loader::loader::{Elf, KernelLoader, elf::PvhBootCapability};
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(sealed(draft(), &tree()), sealed(draft(), &tree()));
    let other = Draft { args: vec![b"-q".to_vec()], ..draft() };
    assert_ne!(sealed(draft(), &tree()).1, sealed(other, &tree()).1);
}

/// A file that tells how much was written to it at once.
struct Noting(Cursor<Vec<u8>>, usize);

impl Write for Noting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 = self.1.max(bytes.len());
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Noting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn small_pieces_are_written_so_that_the_page_cache_has_small_folios() {
    let mut tree = tree();
    tree.add_bytes("/large", 0o644, vec![7; 1 << 20]).unwrap();
    let mut file = Noting(Cursor::new(Vec::new()), 0);
    seal(linked(), draft(), &tree, &mut file).unwrap();
    assert!(file.0.get_ref().len() > 1 << 20);
    assert_eq!(file.1, 8 << 10);
}

#[test]
fn an_image_opens_and_verifies() {
    let (bytes, id) = sealed(draft(), &tree());
    let (_folder, path) = file(&bytes);
    let image = Image::open(&path).unwrap();
    assert_eq!(image.build_id(), id);
    assert_eq!((image.manifest().name, image.manifest().kind), ("fixture", Kind::Native));
    assert!(image.manifest().args().eq([b"-v"]));
    let access: Vec<_> = image.segments().iter().map(|s| s.access).collect();
    assert_eq!(access, [Access::Read, Access::Execute, Access::Write, Access::Read]);
    assert_eq!(image.layout().memory().start, LINK_BASE);
    let (offset, len) = image.root().unwrap();
    assert_eq!(offset + len, bytes.len() as u64);
    assert!(image.manifest().crates.iter().any(|(name, size)| name == "program" && size > 0));
    assert!(image.manifest().sections.iter().any(|(name, size)| name == ".text" && size > 0));
    image.verify().unwrap();
    let (layout, manifest) = Image::parse(&bytes).unwrap();
    assert_eq!((&layout, manifest.build_id), (image.layout(), id));
}

#[test]
fn an_image_without_files_has_no_root() {
    let (bytes, _) = sealed(draft(), &Tree::new());
    let (_folder, path) = file(&bytes);
    let image = Image::open(path).unwrap();
    assert_eq!(image.root(), None);
    image.verify().unwrap();
}

#[test]
fn symbols_and_debug_information_are_left_out() {
    let bytes = image();
    assert!(!bytes.windows(10).any(|w| w == b"outer_step"));
    assert!(linked().windows(10).any(|w| w == b"outer_step"));
}

#[test]
fn every_changed_byte_of_the_contents_is_found_by_verify() {
    let bytes = image();
    let (layout, manifest) = Image::parse(&bytes).unwrap();
    let root = layout.manifest.offset + manifest.root.unwrap().offset;
    let places = layout.segments.iter().map(|s| s.file_offset + s.file_len - 1).chain([root + 5000]);
    for at in places {
        let mut changed = bytes.clone();
        changed[at as usize] ^= 1;
        let (_folder, path) = file(&changed);
        let image = Image::open(path).unwrap();
        assert!(matches!(image.verify(), Err(ImageError::Altered { .. })), "byte {at:#x}");
    }
}

#[test]
fn linux_loader_finds_the_pvh_entry_and_loads_every_segment() {
    let bytes = image();
    let (layout, _) = Image::parse(&bytes).unwrap();
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 64 << 20)]).unwrap();
    let highmem = Some(GuestAddress(0x10_0000));
    let loaded = Elf::load(&memory, None, &mut Cursor::new(&bytes), highmem).unwrap();
    let entry = GuestAddress(layout.pvh_entry.into());
    assert_eq!(loaded.pvh_boot_cap, PvhBootCapability::PvhEntryPresent(entry));
    assert_eq!(loaded.kernel_load.0, layout.entry);
    for s in &layout.segments {
        let mut there = vec![0; s.file_len as usize];
        memory.read_slice(&mut there, GuestAddress(s.address)).unwrap();
        let from = s.file_offset as usize;
        assert_eq!(there, bytes[from..from + s.file_len as usize], "segment at {:#x}", s.address);
    }
}

#[test]
fn linux_and_qemu_start_the_image() {
    let (folder, path) = file(&image());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(Command::new(&path).status().unwrap().code(), Some(42), "by Linux");
    let serial = folder.path().join("serial");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "microvm,acpi=off", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none"])
        .args(["-no-reboot", "-device", "isa-debug-exit", "-serial"])
        .arg(format!("file:{}", serial.display()))
        .arg("-kernel")
        .arg(&path);
    let status = qemu.status().expect("apt-get install -y qemu-system-x86");
    assert_eq!(status.code(), Some(0x21), "by QEMU");
    assert_eq!(std::fs::read(serial).unwrap(), b"V");
}

#[test]
fn a_program_that_was_not_linked_as_an_image_is_refused() {
    let refuse = |bytes: &[u8]| seal(bytes, draft(), &tree(), &mut Cursor::new(Vec::new())).unwrap_err();
    assert!(matches!(refuse(b"no ELF"), SealError::Object(_)));
    let host = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let error = refuse(&host).to_string();
    assert!(error.contains("not linked as an image"), "{error}");
    let mut long = draft();
    long.args = vec![b"a\0b".to_vec()];
    let error = seal(linked(), long, &tree(), &mut Cursor::new(Vec::new())).unwrap_err();
    assert!(matches!(error, SealError::Manifest(_)));
}

#[test]
fn a_file_that_changes_while_it_is_sealed_is_noticed() {
    let (_folder, path) = file(b"before");
    let mut tree = Tree::new();
    tree.add_file(&path, "/f").unwrap();
    std::fs::write(&path, b"longer than before").unwrap();
    let error = seal(linked(), draft(), &tree, &mut Cursor::new(Vec::new())).unwrap_err();
    assert!(error.to_string().contains("changed while"), "{error}");
}

#[test]
fn files_that_do_not_fit_into_memory_are_refused_before_anything_is_written() {
    let (_folder, path) = file(b"");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(5 << 30).unwrap();
    let mut tree = Tree::new();
    tree.add_file(&path, "/huge").unwrap();
    let mut out = Cursor::new(Vec::new());
    assert!(matches!(seal(linked(), draft(), &tree, &mut out), Err(SealError::TooLarge { .. })));
    assert!(out.into_inner().is_empty());
}
