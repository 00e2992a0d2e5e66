//! The reader of the root against file systems that kernlet and mkfs.erofs made.

use kernlet_fs::erofs::{Erofs, Inode, exercise};
use kernlet_image::erofs::{Plan, Tree};
use kernlet_platform::Errno;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const LARGE: usize = 3 * 4096 + 17;

fn large() -> Vec<u8> {
    (0..LARGE).map(|i| (i % 251) as u8).collect()
}

/// More names than one block of a directory holds.
fn many() -> impl Iterator<Item = String> {
    (0..500).map(|i| format!("a-file-with-a-rather-long-name-{i:04}"))
}

/// As `kernlet build` writes it.
fn sealed() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut tree = Tree::new();
        tree.add_bytes("/etc/motd", 0o640, b"welcome\n".to_vec()).unwrap();
        tree.add_bytes("/empty", 0o644, Vec::new()).unwrap();
        tree.add_bytes("/data/large", 0o644, large()).unwrap();
        tree.add_symlink("/link", "etc/motd").unwrap();
        for name in many() {
            tree.add_bytes(&format!("/many/{name}"), 0o644, name.into_bytes()).unwrap();
        }
        let mut bytes = Vec::new();
        Plan::new(&tree).unwrap().write(&mut bytes).unwrap();
        bytes
    })
}

/// The same by mkfs.erofs, which puts the ends of files behind their inodes.
fn made_by_mkfs() -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    for folder in ["etc", "data", "many"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("etc/motd"), "welcome\n").unwrap();
    std::fs::write(root.join("empty"), "").unwrap();
    std::fs::write(root.join("data/large"), large()).unwrap();
    std::os::unix::fs::symlink("etc/motd", root.join("link")).unwrap();
    for name in many() {
        std::fs::write(root.join("many").join(&name), &name).unwrap();
    }
    let image = scratch.path().join("image");
    run_mkfs(&image, &root);
    std::fs::read(image).unwrap()
}

fn run_mkfs(image: &Path, root: &Path) {
    let output = Command::new("mkfs.erofs")
        .args(["-T", "1700000000"])
        .args([image, root])
        .output()
        .expect("mkfs.erofs is needed: install the package erofs-utils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn find(fs: &Erofs<'_>, path: &str) -> Result<Inode, Errno> {
    path.split('/').filter(|p| !p.is_empty()).try_fold(fs.root()?, |at, name| fs.lookup(&at, name.as_bytes()))
}

fn holds_everything(bytes: &[u8]) {
    let fs = Erofs::new(bytes).unwrap();
    let motd = find(&fs, "etc/motd").unwrap();
    assert!(motd.is_file() && motd.links == 1);
    assert_eq!(fs.content(&motd).unwrap().whole(), Some(&b"welcome\n"[..]));
    assert!(fs.content(&find(&fs, "empty").unwrap()).unwrap().is_empty());
    let mut buffer = vec![0; LARGE + 5];
    let content = fs.content(&find(&fs, "data/large").unwrap()).unwrap();
    assert_eq!(content.read_at(0, &mut buffer), LARGE);
    assert_eq!(buffer[..LARGE], large());
    assert_eq!(content.read_at(4090, &mut buffer[..100]), 100);
    assert_eq!(buffer[..100], large()[4090..4190]);
    assert_eq!(content.read_at(LARGE as u64 - 1, &mut buffer), 1);
    assert_eq!(content.read_at(u64::MAX, &mut buffer), 0);
    assert_eq!(fs.link(&find(&fs, "link").unwrap()), Ok(&b"etc/motd"[..]));
    assert_eq!(fs.link(&motd), Err(Errno::EINVAL));
    for name in many() {
        let inode = find(&fs, &format!("many/{name}")).unwrap();
        assert_eq!(fs.content(&inode).unwrap().whole(), Some(name.as_bytes()));
    }
    for absent in ["", "a", "zzz", "a-file-with-a-rather-long-name-", "a-file-with-a-rather-long-name-0077x"]
    {
        let directory = find(&fs, "many").unwrap();
        assert_eq!(fs.lookup(&directory, absent.as_bytes()), Err(Errno::ENOENT));
    }
    assert_eq!(fs.lookup(&motd, b"x"), Err(Errno::ENOTDIR));
    let names = fs.entries(&find(&fs, "many").unwrap()).unwrap().map(|e| e.unwrap().name);
    assert!(names.eq(many().collect::<Vec<_>>().iter().map(String::as_bytes)));
    let root: Vec<_> = fs.entries(&fs.root().unwrap()).unwrap().map(|e| e.unwrap()).collect();
    let names: Vec<_> = root.iter().map(|e| (e.name, e.kind)).collect();
    assert_eq!(names, [(&b"data"[..], 2), (b"empty", 1), (b"etc", 2), (b"link", 7), (b"many", 2)]);
}

#[test]
fn everything_that_kernlet_writes_is_read_back() {
    holds_everything(sealed());
}

#[test]
fn every_file_that_kernlet_writes_is_one_slice_of_the_image() {
    let fs = Erofs::new(sealed()).unwrap();
    let content = fs.content(&find(&fs, "data/large").unwrap()).unwrap().whole().unwrap();
    assert!(sealed().as_ptr_range().contains(&content.as_ptr()));
    assert_eq!(content, large());
}

#[test]
fn files_whose_ends_stand_behind_their_inodes_are_read_too() {
    let bytes = made_by_mkfs();
    holds_everything(&bytes);
    let fs = Erofs::new(&bytes).unwrap();
    assert_eq!(find(&fs, "etc/motd").unwrap().modified, 1_700_000_000_000_000_000);
}

#[test]
fn something_else_and_a_cut_file_system_are_refused() {
    assert_eq!(Erofs::new(&[0; 4096]).unwrap_err(), Errno::EIO);
    assert_eq!(Erofs::new(&sealed()[..1100]).unwrap_err(), Errno::EIO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_damage_makes_the_reader_panic_or_loop(
        damage in proptest::collection::vec((0usize..40_000, any::<u8>()), 1..40),
        length in 0usize..200_000,
    ) {
        let mut bytes = sealed().to_vec();
        bytes.truncate(length.max(2048));
        for (at, value) in damage {
            let length = bytes.len();
            // Not the magic, or all cases end there.
            bytes[1028 + at % (length - 1028)] = value;
        }
        exercise(&bytes);
    }
}
