//! The cache never serves what is stale, cut off or another's: whatever changed, the image holds the latest.
//!
//! One test, because each build takes seconds: every step goes on from the state that the one before left.

use kernlet_image::Image;
use kernlet_image::native::{BuildOptions, Built, RootSource, build_crate};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Says to the test binary, started again, which crate to build with which home.
const BUILD: &str = "KERNLET_TEST_BUILD";

struct Crate {
    folder: tempfile::TempDir,
    home: PathBuf,
}

impl Crate {
    fn new(home: &Path) -> Self {
        let new = Self { folder: tempfile::tempdir().unwrap(), home: home.into() };
        new.put("dep/Cargo.toml", "[package]\nname = \"dep\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        new.put("dep/src/lib.rs", "#![no_std]\npub const WORD: &str = \"dep-word-1\";\n");
        new.put("app/Cargo.toml", MANIFEST);
        new.put("app/src/main.rs", MAIN);
        new.put("app/src/word.txt", "txt-word-1");
        new.put("files/greeting", "root-word-1");
        new
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a word by one of the same length, and leaves the file with the time that it had: cargo, which looks at
    /// times, sees no change.
    fn replace_unseen(&self, path: &str, old: &str, new: &str) {
        let time = SystemTime::now() - Duration::from_secs(100_000);
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(old) && old.len() == new.len());
        fs::write(self.path(path), text.replace(old, new)).unwrap();
        File::options().write(true).open(self.path(path)).unwrap().set_modified(time).unwrap();
    }

    fn options(&self) -> BuildOptions {
        BuildOptions { root: vec![RootSource::Dir(self.path("files"))], ..BuildOptions::default() }
    }

    fn build(&self) -> Built {
        build_crate(&self.path("app"), &self.options(), &self.home, &mut ()).unwrap()
    }

    /// Builds, and checks that the image is whole and holds each of the words.
    #[track_caller]
    fn holds(&self, words: &[&str]) -> Built {
        let built = self.build();
        Image::open(&built.image).unwrap().verify().unwrap();
        let bytes = fs::read(&built.image).unwrap();
        for word in words {
            assert!(bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word} is not in the image");
        }
        built
    }
}

const MANIFEST: &str = r#"[workspace]
[package]
name = "cached"
version = "0.1.0"
edition = "2024"
[features]
loud = []
[dependencies]
kernlet = "0.1"
dep = { path = "../dep" }
"#;

const MAIN: &str = r#"#![cfg_attr(kernlet_image, no_std, no_main)]
#[kernlet::main]
async fn main() {
    kernlet::println!("app-word-1");
    kernlet::println!("{}", dep::WORD);
    kernlet::println!("{}", include_str!("word.txt"));
    #[cfg(feature = "loud")]
    kernlet::println!("loud-word-1");
}
"#;

#[test]
fn whatever_changed_the_image_holds_the_latest() {
    let home = tempfile::tempdir().unwrap();
    let ours = Crate::new(home.path());
    let first = ours.holds(&["app-word-1", "dep-word-1", "txt-word-1", "root-word-1"]);
    assert!(!first.cached && ours.build().cached);

    // Sources, sources of a dependency by path, included files, files of the root: all behind cargo's back.
    ours.replace_unseen("app/src/main.rs", "app-word-1", "app-word-2");
    ours.replace_unseen("dep/src/lib.rs", "dep-word-1", "dep-word-2");
    ours.holds(&["app-word-2", "dep-word-2"]);
    ours.replace_unseen("app/src/word.txt", "txt-word-1", "txt-word-2");
    ours.replace_unseen("files/greeting", "root-word-1", "root-word-2");
    let changed = ours.holds(&["app-word-2", "dep-word-2", "txt-word-2", "root-word-2"]);
    assert!(!changed.cached);

    // Features, and the image's own settings.
    ours.put("app/Cargo.toml", &MANIFEST.replace("[features]", "[features]\ndefault = [\"loud\"]"));
    ours.holds(&["loud-word-1"]);
    ours.put("app/Cargo.toml", MANIFEST);
    assert_eq!(ours.build().image, changed.image);
    let options = BuildOptions { env: vec![b"WORD=env-word-1".to_vec()], ..ours.options() };
    let other = build_crate(&ours.path("app"), &options, home.path(), &mut ()).unwrap();
    assert!(!other.cached && other.image != changed.image);

    // An image that is cut off, changed, or gone; a linked program that is cut off, or gone; no memory of the sources.
    let bytes = fs::read(&changed.image).unwrap();
    for damaged in [&bytes[..bytes.len() - 100], &bytes[..10], &[]] {
        fs::write(&changed.image, damaged).unwrap();
        assert!(!ours.build().cached);
        assert_eq!(fs::read(&changed.image).unwrap(), bytes);
    }
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&changed.image, flipped).unwrap();
    ours.build();
    assert_eq!(fs::read(&changed.image).unwrap(), bytes);
    fs::remove_file(&changed.image).unwrap();
    ours.build();
    assert_eq!(fs::read(&changed.image).unwrap(), bytes);
    let linked = home.path().join("cache/target/x86_64-unknown-linux-gnu/release/cached");
    File::options().write(true).open(&linked).unwrap().set_len(1000).unwrap();
    ours.build();
    assert_eq!(fs::read(&changed.image).unwrap(), bytes);
    fs::remove_file(&linked).unwrap();
    fs::remove_dir_all(home.path().join("cache/sources")).unwrap();
    ours.replace_unseen("app/src/main.rs", "app-word-2", "app-word-3");
    ours.holds(&["app-word-3", "dep-word-2", "txt-word-2", "root-word-2"]);

    // Two crates of the same name at once, each its own.
    let theirs = Crate::new(home.path());
    theirs.replace_unseen("app/src/main.rs", "app-word-1", "app-word-9");
    std::thread::scope(|scope| {
        scope.spawn(|| theirs.holds(&["app-word-9", "dep-word-1", "root-word-1"]));
        scope.spawn(|| ours.holds(&["app-word-3", "dep-word-2", "root-word-2"]));
    });

    // A build that was killed on its way.
    ours.replace_unseen("app/src/main.rs", "app-word-3", "app-word-4");
    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "builds_for_another_test"])
        .env(BUILD, format!("{}\n{}", ours.path("app").display(), home.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    killed.kill().unwrap();
    killed.wait().unwrap();
    ours.replace_unseen("dep/src/lib.rs", "dep-word-2", "dep-word-3");
    ours.holds(&["app-word-4", "dep-word-3", "txt-word-2", "root-word-2"]);
}

/// A compiler of another version, as far as cargo sees, which says so to what it compiles.
const OTHER_COMPILER: &str = r#"#!/bin/sh
real=REAL
case "$*" in
  *-vV*) "$real" "$@" | sed 's/^release: .*/release: 1.999.0/; s/^rustc .*/rustc 1.999.0 (other)/' ;;
  *) exec "$real" "$@" --cfg other_compiler ;;
esac
"#;

#[test]
fn what_a_crate_reads_of_the_environment_and_of_its_build_script_and_its_compiler_is_the_latest() {
    let home = tempfile::tempdir().unwrap();
    let ours = Crate::new(home.path());
    let main = MAIN.replace(
        "    kernlet::println!(\"app-word-1\");",
        r#"    kernlet::println!("{}", env!("CACHED_WORD"));
    kernlet::println!("{}", option_env!("CACHED_OPTION").unwrap_or("no-option"));
    kernlet::println!("{}", env!("SCRIPT_WORD"));
    #[cfg(other_compiler)]
    kernlet::println!("compiler-word-2");"#,
    );
    ours.put("app/src/main.rs", &main);
    ours.put(
        "app/build.rs",
        r#"fn main() {
    println!("cargo::rerun-if-changed=input.txt");
    println!("cargo::rustc-check-cfg=cfg(other_compiler)");
    println!("cargo::rustc-env=SCRIPT_WORD={}", std::fs::read_to_string("input.txt").unwrap());
}"#,
    );
    ours.put("app/input.txt", "script-word-1");
    let with = |variables: &[(&str, &str)], words: &[&str]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "builds_for_another_test"])
            .env(BUILD, format!("{}\n{}", ours.path("app").display(), home.path().display()))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let image = fs::read_to_string(home.path().join("built")).unwrap();
        let bytes = fs::read(image).unwrap();
        for word in words {
            assert!(bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word}: {variables:?}");
        }
        bytes
    };
    let first = with(&[("CACHED_WORD", "env-word-1")], &["env-word-1", "no-option", "script-word-1"]);
    with(&[("CACHED_WORD", "env-word-2")], &["env-word-2"]);
    with(&[("CACHED_WORD", "env-word-2"), ("CACHED_OPTION", "option-1")], &["env-word-2", "option-1"]);
    // What is meant for the user's own builds changes nothing.
    let flags =
        [("CACHED_WORD", "env-word-1"), ("RUSTFLAGS", "--cfg other_compiler"), ("CARGO_INCREMENTAL", "1")];
    assert!(with(&flags, &["env-word-1", "no-option"]) == first);
    ours.replace_unseen("app/input.txt", "script-word-1", "script-word-2");
    with(&[("CACHED_WORD", "env-word-1")], &["env-word-1", "script-word-2"]);

    let real = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let real = format!("{}/bin/rustc", String::from_utf8(real.stdout).unwrap().trim());
    ours.put("bin/rustc", &OTHER_COMPILER.replace("REAL", &real));
    let program = ours.path("bin/rustc");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let other = [("CACHED_WORD", "env-word-1"), ("RUSTC", program.to_str().unwrap())];
    with(&other, &["compiler-word-2"]);
    let back = with(&[("CACHED_WORD", "env-word-1")], &["env-word-1"]);
    assert!(!back.windows(15).any(|w| w == b"compiler-word-2"));
}

#[test]
#[ignore = "started by the tests that have it killed, or in another environment"]
fn builds_for_another_test() {
    let Ok(what) = std::env::var(BUILD) else { return };
    let (folder, home) = what.split_once('\n').unwrap();
    let built = build_crate(Path::new(folder), &BuildOptions::default(), Path::new(home), &mut ()).unwrap();
    fs::write(Path::new(home).join("built"), built.image.to_str().unwrap()).unwrap();
}
