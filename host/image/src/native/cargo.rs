//! The nested cargo call: its flags and its environment.

use super::Progress;
use super::error::BuildError;
use super::package::Package;
use super::{run, units};
use crate::sdk::Sdk;
use crate::store::{self, StoreError};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target is the host's own, but named: flags then do not reach build scripts and macros.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// For every crate of the program. The red zone is off because interrupts arrive on the same stack; frame
/// pointers are what backtraces walk; v0 names tell the crate of a function. At level "z" LLVM inlines next to nothing,
/// after which images are larger than with the threshold that "s" has: calls and what they repeat take more than they save.
const RUST_FLAGS: &[&str] = &[
    "--cfg=kernlet_image",
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Crelocation-model=pie",
    "-Cno-redzone=yes",
    "-Cforce-frame-pointers=yes",
    "-Csymbol-mangling-version=v0",
    "--remap-path-scope=object",
    "-Cllvm-args=-inline-threshold=50",
];

/// For the program alone: a static position-independent executable without anything of a Linux process. Folding
/// identical functions (`--icf=all`) is left out: it saves less than 1 % and makes backtraces name the wrong ones.
const LINK_FLAGS: &[&str] = &[
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
const PROFILE: &[&str] = &[
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
const CRATES_IO: &str = "index.crates.io-1949cf8c6b5b557f";

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

/// Cargo, run in a crate's folder with an environment that does not disturb.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
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

pub(crate) fn start_error(error: io::Error) -> BuildError {
    match error.kind() {
        io::ErrorKind::NotFound => BuildError::NoCargo,
        _ => BuildError::Cargo(error),
    }
}

/// Builds the package's program and gives the path of the executable. The caller holds the lock on `target`.
pub(crate) fn build(
    package: &Package,
    sdk: &Sdk,
    target: &Path,
    color: bool,
    progress: &mut dyn Progress,
) -> Result<PathBuf, BuildError> {
    seed_lock_file(package, sdk)?;
    let mut command = command(&package.folder);
    command
        .args([
            "rustc",
            "--release",
            "--target",
            TARGET,
            "--package",
            &package.id,
            "--bin",
            &package.bin,
            "--manifest-path",
        ])
        .arg(package.folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(["--color", "never"])
        .args(["--message-format", if color { "json-diagnostic-rendered-ansi" } else { "json" }])
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(package, sdk, target))
        .env("RUSTC_WRAPPER", sdk.rustc_wrapper())
        .env("KERNLET_RUSTC_WRAPPER", std::env::var_os("RUSTC_WRAPPER").unwrap_or_default())
        .env("KERNLET_CARGO_HOME", cargo_home().unwrap_or_else(|| "/nonexistent".into()));
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    // The library OS is built for size; the program itself as it says.
    if let Some(level) = package.settings.opt_level.as_ref().and_then(|level| level.config()) {
        command.args(["--config", &format!("profile.release.package.{}.opt-level={level}", package.name)]);
    }
    let patch = patch(package, sdk);
    command.args(&patch);
    // Not among the flags for all crates, which would be built again for each workspace. Those of the workspace
    // have paths relative to it anyway.
    command.arg("--").arg(remapped(&package.workspace, "/crate"));
    command.args(LINK_FLAGS.iter().map(|flag| format!("-Clink-arg={flag}")));
    let mut script = OsString::from("-Clink-arg=-T");
    script.push(sdk.linker_script());
    command.arg(script);
    // Only a build that takes long is worth the question how long.
    let executable = target.join(TARGET).join("release").join(&package.bin);
    let total = if executable.exists() { 0 } else { units::count(package, &patch) };
    run::run(command, package, sdk, total, progress)
}

/// Cargo's arguments for a crate that names the native API by its version.
fn patch(package: &Package, sdk: &Sdk) -> Vec<String> {
    if !package.wants_sdk {
        return Vec::new();
    }
    vec!["--config".into(), format!("patch.crates-io.kernlet.path={:?}", sdk.api().to_string_lossy())]
}

/// A crate without a lock file of its own starts with the versions that the native API was tested with. Cargo
/// drops from it what the crate does not use.
fn seed_lock_file(package: &Package, sdk: &Sdk) -> Result<(), StoreError> {
    let path = package.workspace.join("Cargo.lock");
    let Some(tested) = sdk.lock_file().filter(|_| package.wants_sdk && !path.exists()) else { return Ok(()) };
    std::fs::copy(&tested, &path).map(|_| ()).map_err(store::error(&path))
}

/// Flags in cargo's encoding. No path of this machine stays in the program: neither in the places that panics
/// name, nor in the line tables.
fn rust_flags(package: &Package, sdk: &Sdk, target: &Path) -> OsString {
    let mut flags: Vec<OsString> = RUST_FLAGS.iter().map(OsString::from).collect();
    let mut remap = |path: &Path, name: &str| flags.push(remapped(path, name));
    if let Some(home) = cargo_home() {
        // Of prefixes that fit the last counts.
        remap(&home.join("registry/src"), "/cargo");
        remap(&home.join("registry/src").join(CRATES_IO), "/crates.io");
    }
    remap(target, "/target");
    remap(sdk.folder(), "/kernlet");
    for (name, folder) in &package.outside {
        // The native API's crates stand together: from a checkout of kernlet the names are as from the SDK.
        match folder.ancestors().nth(2).filter(|_| folder.ends_with("libos/api")) {
            Some(checkout) => remap(checkout, "/kernlet"),
            None => remap(folder, &format!("/crates/{name}")),
        }
    }
    flags.join(&OsString::from("\x1f"))
}

fn remapped(path: &Path, name: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(path);
    flag.push("=");
    flag.push(name);
    flag
}

fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}
