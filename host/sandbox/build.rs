//! Builds the trusted loader (host/loader), which the sandbox embeds: one rustc call, as it links nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("loader");
    let loader = here.join("../loader");
    for file in ["src", "loader.ld"] {
        println!("cargo::rerun-if-changed={}", loader.join(file).display());
    }
    println!("cargo::rerun-if-changed={}", here.join("../../wire/src/launch.rs").display());
    println!("cargo::rerun-if-changed=build.rs");
    build(&loader, &out);
    cut(&out);
}

fn build(loader: &Path, out: &Path) {
    let script = format!("-Clink-arg=-T{}", loader.join("loader.ld").display());
    let status = Command::new(std::env::var_os("RUSTC").expect("cargo sets it"))
        .args(["--edition=2024", "--crate-type=bin", "--target=x86_64-unknown-linux-gnu"])
        .args(["-Copt-level=s", "-Cpanic=abort", "-Ccodegen-units=1", "-Clto=fat", "-Cstrip=symbols"])
        .args(["-Cforce-unwind-tables=no", "-Coverflow-checks=no", "-Cdebug-assertions=no"])
        .args(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-Crelocation-model=pie"])
        .args([
            "-Clink-arg=-static",
            "-Clink-arg=-pie",
            "-Clink-arg=--no-dynamic-linker",
            "-Clink-arg=-ztext",
        ])
        .args([
            "-Clink-arg=--build-id=none",
            "-Clink-arg=--no-eh-frame-hdr",
            "-Clink-arg=-zmax-page-size=4096",
        ])
        .args(["-Clink-arg=-znorelro", &script, "-o"])
        .arg(out)
        .arg(loader.join("src/main.rs"))
        .status()
        .expect("rustc runs");
    assert!(status.success(), "the loader did not build");
}

/// Cuts the file off where the last segment, the configuration, begins, and drops the section headers behind it.
fn cut(out: &Path) {
    let mut bytes = std::fs::read(out).expect("the loader was just built");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let (table, count) = (word(32) as usize, usize::from(bytes[56]));
    let last = table + (count - 1) * 56;
    let offset = word(last + 8) as usize;
    assert_eq!(bytes[last], 1, "the configuration is the last program header and a PT_LOAD");
    bytes.truncate(offset);
    bytes[40..48].fill(0);
    bytes[58..64].fill(0);
    std::fs::write(out, bytes).expect("the output directory is writable");
}
