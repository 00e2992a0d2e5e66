//! Links `kernlet` statically, so that it is one file that starts fast: against musl where Rust has it, else against
//! glibc.
//!
//! A static program of glibc's executes some forty CPUID instructions before main, each of which traps in a virtual
//! machine: a quarter of what `kernlet run` takes to its program's first byte. musl's executes none.

#[path = "../image/src/native/flags.rs"]
#[expect(dead_code, reason = "the flags are those of images")]
mod flags;
#[path = "build/glibc.rs"]
mod glibc;
#[path = "build/musl.rs"]
mod musl;

use std::path::PathBuf;
use std::{env, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-check-cfg=cfg(kernlet_archive)");
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    // While somebody works on it, one build is enough.
    if variable("PROFILE") == "release" {
        match musl::archive(&out) {
            Ok(()) => return Ok(()),
            Err(reason) => {
                println!("cargo::warning={reason}; each start of kernlet takes some 0.2 ms longer")
            }
        }
    }
    glibc::link(&out)
}
