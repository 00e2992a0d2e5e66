//! The nested cargo call for a crate.

use super::Progress;
use super::error::BuildError;
use super::flags::{CRATES_IO, LINK_FLAGS, PROFILE, RUST_FLAGS, cargo_home, remapped, undisturbed};
use super::package::Package;
use super::{run, units};
use crate::sdk::Sdk;
use crate::store::{self, StoreError};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use super::flags::TARGET;

/// Cargo, run in a crate's folder with an environment that does not disturb.
pub(crate) fn command(folder: &Path) -> Command {
    undisturbed("cargo", folder)
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

/// At level "z" LLVM inlines next to nothing, after which images are larger than with about the threshold that "s" has (50):
/// calls and what they repeat take more than they save.
const INLINE: &str = "-Cllvm-args=-inline-threshold=47";

/// Flags in cargo's encoding. No path of this machine stays in the program: neither in the places that panics
/// name, nor in the line tables.
fn rust_flags(package: &Package, sdk: &Sdk, target: &Path) -> OsString {
    let mut flags: Vec<OsString> = RUST_FLAGS.iter().chain([&INLINE]).map(OsString::from).collect();
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
