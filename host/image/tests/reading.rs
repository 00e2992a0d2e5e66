//! Images that are broken, hostile, or something else: each gets a clear error, and none a panic.

mod common;

use common::{file, image, linked, run};
use kernlet_image::inspect::Inspection;
use kernlet_image::{Image, ImageError};
use proptest::prelude::*;
use std::process::Command;

fn refused(bytes: &[u8]) -> ImageError {
    let in_memory = Image::parse(bytes).unwrap_err();
    let (_folder, path) = file(bytes);
    let opened = Image::open(path).unwrap_err();
    assert_eq!(in_memory.to_string(), opened.to_string());
    opened
}

/// An image with the bytes at an offset replaced.
fn patched(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = image();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// The offset of a field of the program header with the given index.
fn in_header(index: usize, field: usize) -> usize {
    64 + 56 * index + field
}

#[test]
fn what_is_no_image_is_told_apart() {
    assert!(matches!(refused(b""), ImageError::NotAnImage("an empty file")));
    assert!(matches!(refused(b"#!/bin/sh\n"), ImageError::NotAnImage("a script")));
    assert!(matches!(refused(&[0x41; 9000]), ImageError::NotAnImage(_)));
    assert!(matches!(Image::open("/").unwrap_err(), ImageError::NotAnImage("a directory")));
    assert!(matches!(Image::open("/dev/null").unwrap_err(), ImageError::NotAnImage(_)));
    let (folder, _) = file(b"");
    let pipe = folder.path().join("pipe");
    run(Command::new("mkfifo").arg(&pipe));
    assert!(matches!(Image::open(pipe).unwrap_err(), ImageError::NotAnImage(_)));
    assert!(matches!(Image::open("/no/such/file").unwrap_err(), ImageError::Io(_)));
}

#[test]
fn an_ordinary_linux_executable_is_called_one() {
    let own = std::env::current_exe().unwrap();
    assert!(matches!(Image::open(own).unwrap_err(), ImageError::LinuxElf));
    assert!(matches!(refused(linked()), ImageError::LinuxElf));
}

#[test]
fn other_machines_and_kinds_of_files_are_named() {
    assert_eq!(
        refused(&patched(18, &[183, 0])).to_string(),
        "this file is for AArch64, and kernlet runs on x86-64"
    );
    assert!(matches!(refused(&patched(4, &[1])), ImageError::WrongMachine(_)));
    assert!(matches!(refused(&patched(16, &[1, 0])), ImageError::NotAnImage(_)));
}

#[test]
fn a_newer_format_is_named() {
    let at = Image::parse(&image()).unwrap().0.manifest.offset as usize;
    let error = refused(&patched(at + 8, &[9, 0, 3, 0]));
    assert!(matches!(error, ImageError::NewerVersion { major: 9, minor: 3 }));
    assert!(error.to_string().contains("format 9.3"));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = image();
    for len in (1..bytes.len()).step_by(911).chain([4, 40, 64, 100, 4095, 4096, bytes.len() - 1]) {
        let error = refused(&bytes[..len]);
        assert!(matches!(error, ImageError::Truncated { .. } | ImageError::NotAnImage(_)), "{len}: {error}");
    }
}

#[test]
fn broken_rules_are_named() {
    let says = |bytes: &[u8], what: &str| {
        let error = refused(bytes).to_string();
        assert!(error.contains(what), "{error}");
    };
    says(&patched(16, &[2, 0]), "ET_DYN");
    says(&patched(24, &0u64.to_le_bytes()), "entry is not in an executable segment");
    says(&patched(in_header(1, 4), &[7]), "writable and executable");
    says(&patched(in_header(1, 16), &0x10_0000u64.to_le_bytes()), "virtual and physical");
    says(&patched(in_header(0, 8), &4096u64.to_le_bytes()), "overlap in the file");
    let low = [0xf0000u64.to_le_bytes(); 2].concat();
    says(&patched(in_header(0, 16), &low), "start of the file");
    says(&patched(in_header(2, 40), &u64::MAX.to_le_bytes()), "above 4 GiB");
    says(&patched(in_header(2, 40), &(1u64 << 24).to_le_bytes()), "overlap in memory");
    says(&patched(in_header(2, 8), &0u64.to_le_bytes()), "overlap in the file");
    says(&patched(in_header(2, 40), &0u64.to_le_bytes()), "or none");
    says(&patched(0x400 + 8, &[0]), "PVH note");
    let manifest = Image::parse(&image()).unwrap().0.manifest.offset as usize;
    says(&patched(manifest, b"xxxx"), "not a kernlet manifest");
    says(&patched(manifest + 12, &[0xff, 0xff, 0xff, 0x7f]), "most allowed");
}

#[test]
fn an_image_tells_what_is_in_it() {
    let (_folder, path) = file(&image());
    let told = Inspection::of(&Image::open(&path).unwrap()).unwrap();
    assert_eq!((told.name.as_str(), told.kind, told.signed), ("fixture", "native", false));
    assert_eq!(told.defaults.args, ["-v"]);
    assert_eq!(told.segments.len(), 4);
    let root = told.root.as_ref().unwrap();
    let files: Vec<_> = root.files.iter().map(|e| (e.path.as_str(), e.size)).collect();
    assert_eq!(files[1..3], [("/data/large", 100_000), ("/etc", files[2].1)]);
    assert_eq!(root.files[1].mode, 0o600);
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["root"]["files"][1]["kind"], "file");
    assert_eq!(json["build_id"].as_str().unwrap().len(), 64);
    let text = told.to_string();
    for part in ["fixture (native program", "arguments  -v", "/etc/motd", ".text", "program"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    // The offset that it tells is where the file system begins.
    let bytes = std::fs::read(&path).unwrap();
    let (_folder, erofs) = file(&bytes[root.offset as usize..]);
    run(Command::new("fsck.erofs").arg(erofs));
}

#[test]
fn opening_costs_microseconds() {
    let (_folder, path) = file(&image());
    let start = std::time::Instant::now();
    for _ in 0..100 {
        Image::open(&path).unwrap();
    }
    // A debug build on a busy machine; a release build takes a hundredth of that.
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn damaged_images_are_read_without_a_panic(changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..6)) {
        let mut bytes = image();
        let manifest = Image::parse(&bytes).unwrap().0.manifest.offset as usize;
        for (at, value) in changes {
            // Half of them in the headers, half in the manifest.
            let at = if at % 2 == 0 { at / 2 } else { manifest + at / 2 };
            bytes[at] = value;
        }
        if let Ok((layout, manifest)) = Image::parse(&bytes) {
            let _ = (layout.memory(), layout.sealed(), manifest.env().count());
        }
    }

    #[test]
    fn damaged_file_systems_are_listed_without_a_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut bytes = image();
        let (layout, manifest) = Image::parse(&bytes).unwrap();
        let root = manifest.root.unwrap();
        let start = (layout.manifest.offset + root.offset) as usize;
        for (at, value) in changes {
            // Superblock, inodes and the first directories.
            let at = start + 1024 + at % 12_000;
            bytes[at] = value;
        }
        let (_folder, path) = file(&bytes);
        let _ = Inspection::of(&Image::open(path).unwrap());
    }
}
