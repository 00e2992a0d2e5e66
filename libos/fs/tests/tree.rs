//! Paths, the root and memory files, as a program sees them.

mod common;

use kernlet_exec::block_on;
use kernlet_fs as fs;
use kernlet_fs::{File, FileType, OpenOptions, SeekFrom};
use kernlet_image::erofs::Tree;
use kernlet_platform::{Errno, boot};
use kernlet_wire::boot::{Blob, BlobWriter, Mount};

fn start() {
    let mut tree = Tree::new();
    tree.add_bytes("/etc/motd", 0o640, b"welcome\n".to_vec()).unwrap();
    tree.add_bytes("/srv/www/index.html", 0o644, vec![b'x'; 10_000]).unwrap();
    tree.add_symlink("/srv/latest", "www").unwrap();
    tree.add_symlink("/srv/absolute", "/etc/motd").unwrap();
    tree.add_symlink("/srv/up", "../etc/../etc/motd").unwrap();
    tree.add_symlink("/srv/scratch", "../tmp").unwrap();
    tree.add_symlink("/loop", "loop").unwrap();
    tree.add_symlink("/a", "b/x").unwrap();
    tree.add_symlink("/b", "a/x").unwrap();
    common::seal(&tree, "/srv");
}

#[test]
fn files_of_the_root_are_found_by_every_path_that_leads_to_them() {
    start();
    block_on(async {
        let paths =
            ["/etc/motd", "//etc/./motd", "../etc/motd", "absolute", "up", "/srv/latest/../../etc/motd"];
        for path in paths {
            assert_eq!(fs::read_to_string(path).await.unwrap(), "welcome\n", "{path}");
        }
        assert_eq!(fs::read("latest/index.html").await.unwrap(), vec![b'x'; 10_000]);
        assert_eq!(fs::read("/../../../etc/motd").await.unwrap(), b"welcome\n");
    });
}

#[test]
fn a_static_file_is_the_image_s_own_bytes() {
    start();
    let bytes = fs::static_file("latest/index.html").unwrap();
    let segment = kernlet_platform::sealed::segment();
    assert!(segment.as_ptr_range().contains(&bytes.as_ptr()) && bytes == vec![b'x'; 10_000]);
    assert_eq!(fs::static_file("/srv"), Err(Errno::EISDIR));
    assert_eq!(fs::static_file("/none"), Err(Errno::ENOENT));
    block_on(async { fs::write("/tmp/x", "x").await.unwrap() });
    assert_eq!(fs::static_file("/tmp/x"), Err(Errno::EXDEV));
}

#[test]
fn what_is_wrong_with_a_path_is_said_as_linux_says_it() {
    start();
    block_on(async {
        let errors = [
            ("", Errno::ENOENT),
            ("/none", Errno::ENOENT),
            ("/none/x", Errno::ENOENT),
            ("/etc/motd/x", Errno::ENOTDIR),
            ("/etc/motd/", Errno::ENOTDIR),
            ("/etc/motd/..", Errno::ENOTDIR),
            ("/loop", Errno::ELOOP),
            ("/a", Errno::ELOOP),
            ("/etc", Errno::EISDIR),
        ];
        for (path, error) in errors {
            assert_eq!(fs::read(path).await.unwrap_err(), error, "{path}");
        }
        assert_eq!(fs::read(["/", &"x".repeat(256)].concat()).await.unwrap_err(), Errno::ENAMETOOLONG);
        assert_eq!(fs::read("/x".repeat(3000)).await.unwrap_err(), Errno::ENAMETOOLONG);
        assert_eq!(fs::read_dir("/etc/motd").await.unwrap_err(), Errno::ENOTDIR);
    });
}

#[test]
fn the_root_cannot_be_written() {
    start();
    block_on(async {
        assert_eq!(fs::write("/etc/motd", "x").await, Err(Errno::EROFS));
        assert_eq!(fs::write("/etc/new", "x").await, Err(Errno::EROFS));
        assert_eq!(fs::create_dir("/etc/new").await, Err(Errno::EROFS));
        assert_eq!(fs::create_dir("/etc").await, Err(Errno::EEXIST));
        assert_eq!(fs::remove_file("/etc/motd").await, Err(Errno::EROFS));
        assert_eq!(fs::rename("/etc/motd", "/etc/x").await, Err(Errno::EROFS));
        assert_eq!(fs::remove_dir("/tmp").await, Err(Errno::EBUSY));
        let file = File::open("/etc/motd").await.unwrap();
        assert_eq!(file.write_at(b"x", 0).await, Err(Errno::EBADF));
        assert_eq!(file.set_len(0).await, Err(Errno::EINVAL));
    });
}

#[test]
fn metadata_and_listings_tell_what_is_there() {
    start();
    block_on(async {
        let about = fs::metadata("/etc/motd").await.unwrap();
        assert!(about.is_file() && about.len() == 8 && about.mode & 0o777 == 0o640);
        assert!(fs::symlink_metadata("absolute").await.unwrap().is_symlink());
        assert_eq!(fs::read_link("up").await.unwrap(), "../etc/../etc/motd");
        assert!(fs::exists("/etc").await.unwrap() && !fs::exists("/etc/motd/x").await.unwrap());
        let listed = fs::read_dir("/").await.unwrap();
        let names: Vec<_> = listed.iter().map(|e| e.file_name()).collect();
        assert_eq!(names, ["a", "b", "etc", "loop", "run", "srv", "tmp", "var"]);
        assert_eq!(listed[4].file_type(), FileType::Directory);
        let entry = &fs::read_dir("latest").await.unwrap()[0];
        assert_eq!((entry.path().as_str(), entry.file_type()), ("latest/index.html", FileType::File));
        assert_eq!(fs::read_dir("/var").await.unwrap()[0].path(), "/var/tmp");
    });
}

#[test]
fn memory_files_are_written_read_moved_and_removed() {
    start();
    block_on(async {
        fs::create_dir_all("/tmp/a/b/c").await.unwrap();
        fs::write("/tmp/a/file", "one").await.unwrap();
        fs::write("scratch/a/file", "two").await.unwrap();
        assert_eq!(fs::read("/tmp/a/file").await.unwrap(), b"two");
        let mut file = OpenOptions::new().read(true).append(true).open("/tmp/a/file").await.unwrap();
        file.write_all(b" three").await.unwrap();
        assert_eq!(file.seek(SeekFrom::Start(4)).await, Ok(4));
        let mut buffer = [0; 16];
        assert_eq!(file.read(&mut buffer).await, Ok(5));
        assert_eq!(&buffer[..5], b"three");
        assert_eq!(file.seek(SeekFrom::End(-9)).await, Ok(0));
        assert_eq!(file.seek(SeekFrom::Current(-1)).await, Err(Errno::EINVAL));

        fs::rename("/tmp/a/file", "/tmp/moved").await.unwrap();
        assert_eq!(fs::read("/tmp/a/file").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(fs::rename("/tmp/a", "/tmp/a/b/inside").await, Err(Errno::EINVAL));
        assert_eq!(fs::remove_dir("/tmp/a").await, Err(Errno::ENOTEMPTY));
        assert_eq!(fs::remove_file("/tmp/a").await, Err(Errno::EISDIR));
        fs::remove_file("/tmp/moved").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().links, 0);
        assert_eq!(file.read_at(&mut buffer, 0).await, Ok(9));

        let new = OpenOptions::new().write(true).create_new(true).open("/tmp/new").await;
        assert!(new.is_ok());
        let again = OpenOptions::new().write(true).create_new(true).open("/tmp/new").await;
        assert_eq!(again.unwrap_err(), Errno::EEXIST);
        assert_eq!(File::create("/tmp/dir/").await.unwrap_err(), Errno::EISDIR);
        assert_eq!(OpenOptions::new().open("/tmp/new").await.unwrap_err(), Errno::EINVAL);
        assert_eq!(fs::rename("/tmp/new", "/run/new").await, Ok(()));
    });
}

#[test]
fn memory_files_have_links_of_both_kinds() {
    start();
    block_on(async {
        fs::symlink("target", "/tmp/link").await.unwrap();
        assert_eq!(fs::read("/tmp/link").await.unwrap_err(), Errno::ENOENT);
        fs::write("/tmp/link", "through").await.unwrap();
        assert_eq!(fs::read("/tmp/target").await.unwrap(), b"through");
        fs::hard_link("/tmp/target", "/tmp/second").await.unwrap();
        assert_eq!(fs::metadata("/tmp/target").await.unwrap().links, 2);
        fs::remove_file("/tmp/target").await.unwrap();
        assert_eq!(fs::read("/tmp/second").await.unwrap(), b"through");
        assert_eq!(fs::hard_link("/etc/motd", "/tmp/motd").await, Err(Errno::EXDEV));
        fs::set_mode("/tmp/second", 0o600).await.unwrap();
        fs::set_times("/tmp/second", None, Some(5)).await.unwrap();
        let about = fs::metadata("/tmp/second").await.unwrap();
        assert_eq!((about.mode, about.modified), (0o100_600, 5));
    });
}

#[test]
fn a_change_shows_in_the_time_of_modification() {
    start();
    block_on(async {
        fs::write("/tmp/watched", "1").await.unwrap();
        let before = fs::metadata("/tmp/watched").await.unwrap().modified();
        kernlet_exec::sleep(core::time::Duration::from_millis(5)).await;
        fs::write("/tmp/watched", "2").await.unwrap();
        assert!(fs::metadata("/tmp/watched").await.unwrap().modified() > before);
    });
}

#[test]
fn a_mount_point_needs_nothing_at_its_place() {
    start();
    let mut blob = BlobWriter::new();
    blob.workdir("/etc");
    blob.mount(Mount { id: 0, path: "/deep/er/volume", read_only: false, file: false });
    boot::set_blob(Blob::parse(Vec::leak(blob.finish())).unwrap());
    block_on(async {
        assert_eq!(fs::read("motd").await.unwrap(), b"welcome\n");
        assert!(fs::metadata("/deep/er").await.unwrap().is_dir());
        assert_eq!(fs::read_dir("/deep").await.unwrap()[0].path(), "/deep/er");
        assert_eq!(fs::read_dir("/deep/er").await.unwrap()[0].path(), "/deep/er/volume");
        // There is no broker here.
        assert_eq!(fs::read("/deep/er/volume/x").await.unwrap_err(), Errno::ENODEV);
        assert_eq!(fs::read("/deep/er/volume/../../../etc/motd").await.unwrap(), b"welcome\n");
        assert_eq!(fs::create_dir("/deep/x").await, Err(Errno::EROFS));
    });
}
