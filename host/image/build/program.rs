//! Builds the library OS for Linux programs, which is sealed around them as it is.

use crate::flags::{CRATES_IO, LINK_FLAGS, PROFILE, RUST_FLAGS, TARGET, cargo_home, remapped, undisturbed};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Error, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate, in the repository.
const CRATE: &str = "libos/program";
/// Its name and its program's.
const NAME: &str = "kernlet-program";

/// What native programs have not (`native::cargo`): four fifths of their threshold for inlining take 8 KB off this larger one, and what
/// several functions have in common as a function of its own another 20. (A threshold of 25 would take 20 KB more.)
const SMALLER: [&str; 2] =
    ["-Cllvm-args=-inline-threshold=40", "-Cllvm-args=-enable-machine-outliner=always"];
/// Panics name no place of their own: the backtrace, which the monitor turns into functions and lines, names it as well, and a
/// thousand places are 38 KB. Stable compilers have the flag, but want to be told that they may.
const PLACELESS: &str = "-Zlocation-detail=none";
const ALLOWED: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// The one that the outer of two builds has made (host/cli/build.rs).
const GIVEN: &str = "KERNLET_GIVEN_PROGRAM";

/// Builds it and gives the path of the linked file, in `out`.
///
/// It has a target folder of its own, since the flags differ, and one for all profiles of this crate. Cargo sees what
/// has changed; without a change this takes as long as cargo needs to see that.
pub fn build(root: &Path, out: &Path) -> Result<PathBuf> {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    if let Some(given) = std::env::var_os(GIVEN) {
        println!("cargo::rerun-if-changed={}", given.display());
        let linked = out.join("program.elf");
        fs::copy(given, &linked)?;
        return Ok(linked);
    }
    let root = fs::canonicalize(root)?;
    // The target folder of the outer build is marked by cargo.
    let outer = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(out);
    let target = outer.join("kernlet-program");
    let wrapper = wrapper(&root, &target)?;
    let placeless = placeless();
    let mut command = undisturbed(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), &root);
    command
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--package",
            NAME,
            "--bin",
            NAME,
        ])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&root, &target, placeless))
        .env("RUSTC_WRAPPER", wrapper)
        .env("KERNLET_RUSTC_WRAPPER", std::env::var_os("RUSTC_WRAPPER").unwrap_or_default())
        .env("KERNLET_CARGO_HOME", cargo_home().unwrap_or_else(|| "/nonexistent".into()));
    if placeless {
        command.env(ALLOWED.0, ALLOWED.1);
    }
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    command.arg("--").args(LINK_FLAGS.iter().map(|flag| format!("-Clink-arg={flag}")));
    let mut script = OsString::from("-Clink-arg=-T");
    script.push(linker_script(&root, &target)?);
    let status = command.arg(script).status()?;
    if !status.success() {
        return Err(Error::other(format!(
            "the library OS for Linux programs ({CRATE}) does not build: see above"
        )));
    }
    // Another build, with another toolchain perhaps, may replace the file in the target folder at any time.
    let linked = out.join("program.elf");
    fs::copy(target.join(TARGET).join("release").join(NAME), &linked)?;
    Ok(linked)
}

/// The linker script, by a name that changes with it: cargo looks at flags, and does not know that this one names a file.
fn linker_script(root: &Path, target: &Path) -> Result<PathBuf> {
    let source = fs::read(root.join("libos/platform/image.ld"))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&source);
    let path = target.join(format!("image-{:016x}.ld", hasher.finish()));
    fs::write(&path, source)?;
    Ok(path)
}

/// What cargo runs in place of rustc. Not every checkout makes it executable.
fn wrapper(root: &Path, target: &Path) -> Result<PathBuf> {
    let source = fs::read(root.join("host/image/src/rustc-wrapper.sh"))?;
    let path = target.join("rustc-wrapper.sh");
    if fs::read(&path).is_ok_and(|existing| existing == source) {
        return Ok(path);
    }
    fs::create_dir_all(target)?;
    let scratch = target.join(format!(".rustc-wrapper-{}", std::process::id()));
    fs::write(&scratch, source)?;
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
    fs::rename(&scratch, &path)?;
    Ok(path)
}

/// Whether the compiler has [`PLACELESS`]. One that has not makes a library OS that is larger and does the same.
fn placeless() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(rustc).env(ALLOWED.0, ALLOWED.1).args([PLACELESS, "--print=cfg"]).output();
    asked.is_ok_and(|answer| answer.status.success())
}

/// The same as for a native crate (`native::cargo`): no path of this machine stays in the program.
fn rust_flags(root: &Path, target: &Path, placeless: bool) -> OsString {
    let mut flags: Vec<OsString> = RUST_FLAGS.iter().chain(&SMALLER).map(OsString::from).collect();
    if let Some(home) = cargo_home() {
        flags.push(remapped(&home.join("registry/src"), "/cargo"));
        flags.push(remapped(&home.join("registry/src").join(CRATES_IO), "/crates.io"));
    }
    flags.extend(placeless.then(|| PLACELESS.into()));
    // Of prefixes that fit the last counts.
    flags.push(remapped(root, "/kernlet"));
    flags.push(remapped(target, "/target"));
    flags.join(&OsString::from("\x1f"))
}
