//! What makes an image out of ordinary crates: the flags of the nested cargo call, and its environment.
//!
//! This file is part of the crate's build script as well, which builds the library OS for Linux programs by the same
//! flags: it uses nothing but the standard library.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target is the host's own, but named: flags then do not reach build scripts and macros.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// For every crate of the program. The red zone is off because interrupts arrive on the same stack; frame
/// pointers are what backtraces walk; v0 names tell the crate of a function. How much is
/// inlined is left to who builds what.
pub(crate) const RUST_FLAGS: &[&str] = &[
    "--cfg=kernlet_image",
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Crelocation-model=pie",
    "-Cno-redzone=yes",
    "-Cforce-frame-pointers=yes",
    "-Csymbol-mangling-version=v0",
    "--remap-path-scope=object",
];

/// For the program alone: a static position-independent executable without anything of a Linux process. Folding
/// identical functions (`--icf=all`) is left out: it saves less than 1 % and makes backtraces name the wrong ones.
pub(crate) const LINK_FLAGS: &[&str] = &[
    "-static",
    "-pie",
    "--no-dynamic-linker",
    "--build-id=none",
    "-zmax-page-size=4096",
    "-znognustack",
    "-ztext",
    "--pack-dyn-relocs=relr",
    "--no-eh-frame-hdr",
    "--hash-style=gnu",
    "--gc-sections",
];

/// Profile settings that the crate's own do not override. The library OS is built for size (see above); a program
/// whose own code has to be fast says so (`opt-level` in its settings).
pub(crate) const PROFILE: &[&str] = &[
    "profile.release.opt-level=\"z\"",
    "profile.release.panic=\"abort\"",
    "profile.release.lto=\"fat\"",
    "profile.release.codegen-units=1",
    "profile.release.debug=1",
    "profile.release.split-debuginfo=\"off\"",
    "profile.release.strip=\"none\"",
    "profile.release.incremental=false",
];

/// What cargo calls the folder of crates from crates.io. Panics name places by path: without it each is 28 bytes shorter.
pub(crate) const CRATES_IO: &str = "index.crates.io-1949cf8c6b5b557f";

/// Environment variables that would change what is built: for the crate around which kernlet itself is being
/// run, or for all of the user's own builds.
const DISTURBING: &[&str] = &[
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_TARGET_DIR",
    "MAKEFLAGS",
    "MFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
];
const DISTURBING_PREFIXES: &[&str] =
    &["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_PKG_", "CARGO_CFG_", "CARGO_BIN_"];

/// Cargo, the program `cargo`, run in a crate's folder with an environment that does not disturb.
pub(crate) fn undisturbed(cargo: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(cargo);
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let disturbs =
            DISTURBING.contains(&&*text) || DISTURBING_PREFIXES.iter().any(|p| text.starts_with(p));
        if disturbs {
            command.env_remove(name);
        }
    }
    command
}

/// The flag for rustc by which `path` is called `name` in the program.
pub(crate) fn remapped(path: &Path, name: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(path);
    flag.push("=");
    flag.push(name);
    flag
}

/// Where cargo keeps the sources of crates.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}
