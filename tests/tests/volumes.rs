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
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    let user = User::ordinary();
    let file = user.folder("folder").join("config");
    std::fs::write(&file, "settings").expect("writable");
    let mount = format!("{}:/etc/config:ro", file.display());
    for backend in ["process", "qemu"] {
        let run = ["run", "-b", backend, "-v", &mount, image, "read", "/etc/config"];
        assert_eq!(user.run(run).out, "settings", "{backend}");
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
