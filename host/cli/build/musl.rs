//! Linking against the musl that comes with Rust.
//!
//! Cargo builds all crates of a package for one target, so another cargo builds this one as an archive with all that it
//! needs, the standard library for musl included, and the program is linked from that. Whoever has the target gets it
//! by a plain `cargo build --release`; whoever has not is not in need of it.

use crate::flags::undisturbed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "x86_64-unknown-linux-musl";
/// What the archive is built of, from this package's folder.
const SOURCES: [&str; 9] = [
    "src",
    "../image",
    "../monitor",
    "../sandbox",
    "../loader",
    "../broker",
    "../../wire",
    "../../libos",
    "../../Cargo.lock",
];
/// As the glibc build: not position-independent.
const FLAGS: &str = "-Crelocation-model=static";

/// Builds the archive and tells cargo how to link it; else says why that is not possible.
pub fn archive(out: &Path) -> Result<(), String> {
    let path = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("cargo does not set {name}"));
    let (here, cargo) = (path("CARGO_MANIFEST_DIR")?, path("CARGO")?);
    let library = library(&path("RUSTC")?)?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let outer = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(out);
    let target = outer.join("kernlet-musl");
    let mut command = undisturbed(cargo, &here);
    command.args(["rustc", "--quiet", "--release", "--locked", "--lib", "--crate-type=staticlib"]);
    command.args(["--target", TARGET, "--target-dir"]).arg(&target).env("RUSTFLAGS", FLAGS);
    command.env("KERNLET_GIVEN_PROGRAM", path("DEP_KERNLET_PROGRAM_ELF")?);
    let status = command.args(["--", "--cfg=kernlet_archive"]).status().map_err(|e| format!("cargo: {e}"))?;
    if !status.success() {
        return Err(format!("kernlet does not build for {TARGET} (see above)"));
    }
    let own = out.join("libkernlet.a");
    fs::copy(target.join(TARGET).join("release/libkernlet_cli.a"), &own).map_err(|e| e.to_string())?;

    println!("cargo::rustc-cfg=kernlet_archive");
    for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    let parts = ["crt1.o", "crti.o"].map(|name| library.join(name)).into_iter().chain([own]);
    for part in parts.chain(["libunwind.a", "libc.a", "crtn.o"].map(|name| library.join(name))) {
        println!("cargo::rustc-link-arg-bins={}", part.display());
    }
    Ok(())
}

/// Where Rust keeps its musl.
fn library(rustc: &Path) -> Result<PathBuf, String> {
    let asked = Command::new(rustc).args(["--print=target-libdir", "--target", TARGET]).output();
    let mut answer = asked.map_err(|error| format!("rustc: {error}"))?.stdout;
    answer.truncate(answer.trim_ascii_end().len());
    let folder = PathBuf::from(String::from_utf8_lossy(&answer).into_owned());
    // Another target may be added at any time.
    if let Some(targets) = folder.ancestors().nth(2) {
        println!("cargo::rerun-if-changed={}", targets.display());
    }
    let library = folder.join("self-contained");
    if !library.join("libc.a").is_file() {
        return Err(format!("Rust has no {TARGET} here: rustup target add {TARGET}"));
    }
    Ok(library)
}
