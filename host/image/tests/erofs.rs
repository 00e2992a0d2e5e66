//! Root file systems, checked by the tools of Linux: fsck.erofs takes each apart again, and the trees are equal.

mod common;

use common::run;
use kernlet_image::erofs::{EntryKind, Plan, Tree, TreeError, list};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a tree holds, by path: mode and contents, or the target of a link.
type Listing = BTreeMap<PathBuf, (u32, Vec<u8>)>;

fn listing(folder: &Path) -> Listing {
    let mut all = Listing::new();
    let mut todo = vec![folder.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let contents = if about.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if about.is_file() {
                fs::read(&path).unwrap()
            } else {
                todo.push(path.clone());
                Vec::new()
            };
            all.insert(path.strip_prefix(folder).unwrap().into(), (about.mode(), contents));
        }
    }
    all
}

/// Compares two trees, and names what differs.
fn assert_same(one: &Listing, two: &Listing) {
    let paths: std::collections::BTreeSet<_> = one.keys().chain(two.keys()).collect();
    let about =
        |l: &Listing, p: &Path| l.get(p).map(|(mode, contents)| (format!("{mode:o}"), contents.len()));
    for path in paths {
        assert!(one.get(path) == two.get(path), "{path:?}: {:?} {:?}", about(one, path), about(two, path));
    }
}

fn write(tree: &Tree) -> Vec<u8> {
    let plan = Plan::new(tree).unwrap();
    let mut out = Vec::new();
    plan.write(&mut out).unwrap();
    assert_eq!(out.len() as u64, plan.byte_len());
    out
}

/// Writes the file system, lets fsck.erofs check and extract it, and gives what came out.
fn extract(tree: &Tree) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = common::file(&write(tree));
    let out = folder.path().join("out");
    run(Command::new("fsck.erofs").arg(format!("--extract={}", out.display())).arg("--preserve").arg(path));
    (folder, out)
}

fn put(folder: &Path, path: &str, contents: &[u8], mode: u32) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_tree_of_every_shape_survives() {
    let host = tempfile::tempdir().unwrap();
    let at = host.path();
    put(at, "bin/app", &[0x7f; 12_345], 0o755);
    put(at, "etc/empty", b"", 0o600);
    put(at, "etc/exact", &[1; 4096], 0o644);
    put(at, "a/b/c/d/e/f/g", b"deep", 0o444);
    put(at, &format!("long/{}", "n".repeat(255)), b"long name", 0o644);
    put(at, "-first", b"sorts before the dots", 0o644);
    put(at, "größe/ünï", b"utf-8", 0o644);
    fs::create_dir(at.join("void")).unwrap();
    fs::set_permissions(at.join("void"), Permissions::from_mode(0o1777)).unwrap();
    symlink("bin/app", at.join("link")).unwrap();
    symlink("x".repeat(3000), at.join("long-link")).unwrap();
    for i in 0..3000 {
        put(at, &format!("many/file-number-{i:05}-{}", "y".repeat(i % 90)), i.to_string().as_bytes(), 0o644);
    }
    let mut tree = Tree::new();
    tree.add_root(at).unwrap();
    let (_folder, out) = extract(&tree);
    assert_same(&listing(&out), &listing(at));
}

#[test]
fn modes_are_kept_whole() {
    // fsck.erofs sets the mode before the owner, which takes the set-user-id bit away again.
    let mut tree = Tree::new();
    tree.add_bytes("/su", 0o4755, b"x".to_vec()).unwrap();
    let bytes = write(&tree);
    let (_folder, path) = common::file(&bytes);
    let entries = list(&File::open(path).unwrap(), 0, bytes.len() as u64).unwrap();
    assert_eq!(entries[0].mode, 0o4755);
}

#[test]
fn an_empty_tree_is_a_file_system() {
    let (_folder, out) = extract(&Tree::new());
    assert!(listing(&out).is_empty());
}

#[test]
fn linux_mounts_it() {
    // Where loop devices are not allowed there is nothing to see; fsck.erofs has checked the same format.
    let (folder, path) = common::file(&write(&common::tree()));
    let at = folder.path().join("mnt");
    fs::create_dir(&at).unwrap();
    let mounted = Command::new("mount").args(["-t", "erofs", "-o", "loop,ro"]).arg(&path).arg(&at).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("not mounted: this machine does not allow it");
        return;
    }
    let seen = listing(&at);
    run(Command::new("umount").arg(&at));
    assert_eq!(seen[Path::new("data/large")].1, vec![0x5a; 100_000]);
    assert_eq!(seen[Path::new("etc/motd")].1, b"welcome\n");
}

#[test]
fn equal_trees_give_equal_bytes_whatever_their_times_and_order() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["a", "b", "c"] {
        put(one.path(), name, name.as_bytes(), 0o644);
    }
    for name in ["c", "a", "b"] {
        put(two.path(), name, name.as_bytes(), 0o644);
        File::open(two.path().join(name)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let of = |dir: &Path| {
        let mut tree = Tree::new();
        tree.add_root(dir).unwrap();
        write(&tree)
    };
    assert_eq!(of(one.path()), of(two.path()));
}

#[test]
fn what_has_no_time_of_its_own_is_as_old_as_the_newest_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seconds) in [("sub/old", 5), ("sub/new", 1_000_000_000), ("none", 0)] {
        put(folder.path(), name, name.as_bytes(), 0o644);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::open(folder.path().join(name)).unwrap().set_modified(time).unwrap();
    }
    symlink("sub", folder.path().join("link")).unwrap();
    // The superblock's build_time, which all compact inodes have.
    let built = |keep: bool| {
        let mut tree = Tree::new();
        if keep {
            tree.keep_found();
        }
        tree.add_root(folder.path()).unwrap();
        u64::from_le_bytes(*write(&tree)[1024 + 24..].first_chunk().unwrap())
    };
    assert_eq!((built(true), built(false)), (1_000_000_000, 0));
}

#[test]
fn later_sources_win_and_parents_are_made() {
    let (low, high) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(low.path(), "etc/conf", b"old", 0o644);
    put(low.path(), "etc/kept", b"kept", 0o644);
    put(low.path(), "thing/inside", b"gone", 0o644);
    put(low.path(), "usr/lib/so", b"so", 0o644);
    symlink("usr/lib", low.path().join("lib")).unwrap();
    put(high.path(), "etc/conf", b"new", 0o600);
    put(high.path(), "thing", b"a file now", 0o644);
    put(high.path(), "lib/more", b"more", 0o644);
    let extra = high.path().join("etc/conf");
    let mut tree = Tree::new();
    tree.add_root(low.path()).unwrap();
    tree.add_root(high.path()).unwrap();
    tree.add_file(&extra, "/a/b/c").unwrap();
    tree.add_file(&extra, "/lib/").unwrap();
    tree.add_file(high.path(), "/copy").unwrap();
    let (_folder, out) = extract(&tree);
    let seen = listing(&out);
    let contents = |path: &str| String::from_utf8(seen[Path::new(path)].1.clone()).unwrap();
    assert_eq!(contents("etc/conf"), "new");
    assert_eq!(contents("etc/kept"), "kept");
    assert_eq!(contents("thing"), "a file now");
    assert_eq!(contents("a/b/c"), "new");
    assert_eq!(contents("lib"), "usr/lib");
    assert_eq!(contents("usr/lib/more"), "more");
    assert_eq!(contents("usr/lib/conf"), "new");
    assert_eq!(contents("copy/lib/more"), "more");
}

#[test]
fn unusable_sources_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new();
    let missing = tree.add_file(&folder.path().join("none"), "/x").unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
    let zero = Path::new("/dev/zero");
    assert!(matches!(tree.add_file(zero, "/x").unwrap_err(), TreeError::Special(_)));
    for guest in ["relative", "/a/../b", "/", &format!("/{}", "n".repeat(256))] {
        let error = tree.add_bytes(guest, 0o644, Vec::new()).unwrap_err();
        assert!(matches!(error, TreeError::BadPath(..)), "{guest}");
    }
    tree.add_symlink("/loop", "loop").unwrap();
    assert!(matches!(tree.add_bytes("/loop/x", 0o644, Vec::new()), Err(TreeError::BadPath(..))));
    run(Command::new("mkfifo").arg(folder.path().join("pipe")));
    assert!(matches!(tree.add_root(folder.path()).unwrap_err(), TreeError::Special(_)));
}

#[test]
fn owners_are_as_given() {
    let mut tree = common::tree();
    for (uid, gid) in [(1000, 100), (100_000, 100_001)] {
        tree.set_owner(uid, gid);
        let (_folder, out) = extract(&tree);
        let about = fs::metadata(out.join("etc/motd")).unwrap();
        // fsck.erofs can set owners for root only.
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            assert_eq!((about.uid(), about.gid()), (uid, gid));
        }
    }
}

#[test]
fn large_files_are_streamed_and_listed() {
    let host = tempfile::tempdir().unwrap();
    let path = host.path().join("large");
    let mut file = File::create(&path).unwrap();
    file.set_len(300 << 20).unwrap();
    file.write_all(b"head").unwrap();
    let mut tree = Tree::new();
    tree.add_root(host.path()).unwrap();
    tree.add_symlink("/link", "large").unwrap();
    let image = host.path().join("image");
    let mut out = File::create(&image).unwrap();
    let plan = Plan::new(&tree).unwrap();
    plan.write(&mut out).unwrap();
    let entries = list(&File::open(&image).unwrap(), 0, plan.byte_len()).unwrap();
    let seen: Vec<_> =
        entries.iter().map(|e| (e.path.as_str(), e.kind, e.size, e.target.as_deref())).collect();
    let link = ("/link", EntryKind::Symlink, 5, Some("large"));
    assert_eq!(seen, [("/large", EntryKind::File, 300 << 20, None), link]);
}
