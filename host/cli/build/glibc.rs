//! Linking against glibc.
//!
//! A dynamic loader would cost half a millisecond at each start. `-C target-feature=+crt-static` cannot be used:
//! without `--target` it reaches procedural macros too, which must be dynamic libraries. So only this binary is
//! linked with `-static -no-pie`, and the shared libraries that rustc names on the linker's command line are
//! found first in a folder where each name stands for a linker script that means the archive.
//!
//! Not position-independent on purpose: its relocations would be applied at each start, and each page that
//! they touch would be a private copy in every monitor.

use std::path::Path;
use std::{fs, io};

/// The shared libraries of the standard library's link line. All but libgcc are parts of glibc's libc.a today.
const LIBRARIES: [(&str, &str); 8] = [
    ("libgcc_s.so", "libgcc_eh.a libgcc.a"),
    ("libc.so", "libc.a"),
    ("libm.so", "libm.a"),
    ("libutil.so", "libc.a"),
    ("librt.so", "libc.a"),
    ("libpthread.so", "libc.a"),
    ("libdl.so", "libc.a"),
    ("libresolv.so", "libc.a"),
];

/// Tells cargo how.
pub fn link(out: &Path) -> io::Result<()> {
    for (name, archives) in LIBRARIES {
        fs::write(out.join(name), format!("GROUP ( {archives} )\n"))?;
    }
    for argument in ["-static", "-no-pie", "-Wl,--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-L{}", out.display());
    Ok(())
}
