//! Volumes, in both doors.

use kernlet_tests::{User, image};

#[test]
fn volumes_are_read_and_written_in_both_doors() {
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let volume = user.folder("volume");
        let mount = format!("{}:/data/deep", volume.display());
        let run = |arguments: &[&str]| {
            let mut all = vec!["run", "-b", backend, "-v", &mount, image];
            all.extend(arguments);
            user.run(all)
        };
        assert_eq!(run(&["write", "/data/deep/file", "some text"]).status, 0, "{backend}");
        assert_eq!(std::fs::read_to_string(volume.join("file")).expect("it was made"), "some text");
        assert_eq!(run(&["read", "/data/deep/file"]).out, "some text", "{backend}");
        assert_eq!(run(&["mkdir", "/data/deep/folder"]).status, 0, "{backend}");
        assert!(volume.join("folder").is_dir());
        let listed = run(&["ls", "/data/deep"]);
        let mut names: Vec<&str> = listed.out.lines().collect();
        names.sort_unstable();
        assert_eq!(names, ["file", "folder"], "{backend}");
        assert_eq!(run(&["mv", "/data/deep/file", "/data/deep/folder/moved"]).status, 0, "{backend}");
        assert!(volume.join("folder/moved").exists());
        assert!(run(&["stat", "/data/deep/folder/moved"]).out.contains("9 bytes"), "{backend}");
        assert!(run(&["rmdir", "/data/deep/folder"]).out.contains("ENOTEMPTY"), "{backend}");
        assert_eq!(run(&["rm", "/data/deep/folder/moved"]).status, 0, "{backend}");
        assert_eq!(run(&["rmdir", "/data/deep/folder"]).status, 0, "{backend}");
        assert!(run(&["read", "/data/deep/nothing"]).out.contains("ENOENT"), "{backend}");
    }
}

#[test]
fn read_only_volumes_stay_as_they_are_in_both_doors() {
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let volume = user.folder("volume");
        std::fs::write(volume.join("file"), "kept").expect("writable");
        let mount = format!("{}:/v:ro", volume.display());
        for attempt in [
            &["write", "/v/file", "changed"][..],
            &["write", "/v/new", "x"],
            &["rm", "/v/file"],
            &["mkdir", "/v/d"],
        ] {
            let mut all = vec!["run", "-b", backend, "-v", &mount, image];
            all.extend(attempt);
            let finished = user.run(all);
            assert_eq!(finished.status, 1, "{backend} {attempt:?}: {finished:?}");
        }
        assert_eq!(std::fs::read_to_string(volume.join("file")).expect("it is there"), "kept");
        assert_eq!(std::fs::read_dir(&volume).expect("it is there").count(), 1);
    }
}

#[test]
fn a_single_file_can_be_a_volume_in_both_doors() {
    use std::os::unix::fs::MetadataExt;
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    for (backend, machine) in [("process", ""), ("qemu", "microvm"), ("qemu", "q35")] {
        let user = User::ordinary();
        let folder = user.folder("folder");
        let file = folder.join("config");
        std::fs::write(&file, "settings").expect("writable");
        std::fs::write(folder.join("secret"), "secret").expect("writable");
        let owner = std::fs::metadata(&folder).expect("it is there");
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).expect("it is ours");
        let inode = std::fs::metadata(&file).expect("it is there").ino();
        let mount = format!("{}:/etc/config", file.display());
        let read_only = format!("{mount}:ro");
        let run = |mount: &str, arguments: &[&str]| {
            let mut all = vec!["run", "-b", backend, "-v", mount, image];
            all.extend(arguments);
            kernlet_tests::finish(user.kernlet(all).env("KERNLET_QEMU_MACHINE", machine))
        };
        let text = || std::fs::read_to_string(&file).expect("it is there");
        assert_eq!(run(&read_only, &["read", "/etc/config"]).out, "settings", "{backend} {machine}");
        let refused = run(&read_only, &["write", "/etc/config", "changed"]);
        assert!(refused.status == 1 && refused.out.contains("EROFS"), "{backend} {machine}: {refused:?}");
        assert_eq!(text(), "settings");

        // What is written reaches the file itself, longer than a message or shorter than what was there.
        for contents in ["x".repeat(20_000), "short".into()] {
            let written = run(&mount, &["write", "/etc/config", &contents]);
            assert_eq!(written.status, 0, "{backend} {machine}: {written:?}");
            assert_eq!(text(), contents);
            assert_eq!(run(&mount, &["read", "/etc/config"]).out, contents, "{backend} {machine}");
        }
        assert_eq!(std::fs::metadata(&file).expect("it is there").ino(), inode);
        assert!(run(&mount, &["stat", "/etc/config"]).out.contains("5 bytes"), "{backend} {machine}");

        // It is no way to what lies beside it.
        for (attempt, error) in [
            (&["read", "/etc/secret"][..], "ENOENT"),
            (&["read", "/etc/config/../secret"], "ENOTDIR"),
            (&["rm", "/etc/config"], "EBUSY"),
            (&["mv", "/etc/config", "/tmp/moved"], "E"),
        ] {
            let refused = run(&mount, attempt);
            let failed = refused.status == 1 && refused.out.contains(error);
            assert!(failed, "{backend} {machine} {attempt:?}: {refused:?}");
        }
        assert_eq!(text(), "short");
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 2);
    }
}

#[test]
fn memory_files_work_and_the_root_is_read_only() {
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        assert_eq!(user.run(["run", "-b", backend, image, "write", "/tmp/x", "y"]).status, 0, "{backend}");
        let finished = user.run(["run", "-b", backend, image, "write", "/x", "y"]);
        assert!(finished.status == 1 && finished.out.contains("EROFS"), "{backend}: {finished:?}");
    }
}
