//! Puts into the crate what kernlet carries: the sources of the native API, so that it can build native crates anywhere
//! on the disk, and the library OS for Linux programs, built ([`program`]).
//!
//! The pack of sources is a list of files: path and contents, each with its length before it (`u32`, little-endian). It
//! holds the workspace's manifest with nothing but the packed members, and of each member what building it
//! needs. `src/sdk.rs` unpacks it.

#[path = "src/native/flags.rs"]
mod flags;
#[path = "build/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// What only Linux programs run on.
const LINUX: [&str; 2] = ["linux", "program"];

fn main() -> Result<()> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").map_err(Error::other)?);
    let root = here.join("../..");
    let mut files = BTreeMap::new();
    let mut members = vec![root.join("wire")];
    println!("cargo::rerun-if-changed={}", root.join("libos").display());
    for entry in fs::read_dir(root.join("libos"))? {
        let path = entry?.path();
        // The Linux layer is no part of native programs.
        if !LINUX.iter().any(|name| path.ends_with(name)) {
            members.push(path);
        }
    }
    for member in members.iter().filter(|member| member.join("Cargo.toml").is_file()) {
        let manifest = member_manifest(&member.join("Cargo.toml"))?;
        files.insert(relative(&root, &member.join("Cargo.toml"))?, manifest.into_bytes());
        add_sources(&root, member, &mut files)?;
    }
    files.insert("Cargo.toml".into(), workspace_manifest(&root.join("Cargo.toml"))?.into_bytes());
    let lock = root.join("Cargo.lock");
    if lock.is_file() {
        files.insert("Cargo.lock".into(), read(&lock)?);
    }

    let mut pack = Vec::new();
    for (path, contents) in &files {
        for field in [path.as_bytes(), contents] {
            pack.extend(u32::try_from(field.len()).map_err(Error::other)?.to_le_bytes());
            pack.extend(field);
        }
    }
    let out = PathBuf::from(std::env::var("OUT_DIR").map_err(Error::other)?);
    fs::write(out.join("sdk.pack"), pack)?;

    let linked = program::build(&root, &out)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(&linked)?);
    println!("cargo::rustc-env=KERNLET_PROGRAM={}", linked.display());
    println!("cargo::metadata=elf={}", linked.display());
    println!("cargo::rustc-env=KERNLET_PROGRAM_REVISION={:016x}", hasher.finish());

    // What this crate makes of the same input may change with its code: its caches ask for the revision.
    let mut own = BTreeMap::new();
    add_sources(&root, &here, &mut own)?;
    let mut hasher = DefaultHasher::new();
    own.iter().for_each(|(path, contents)| {
        hasher.write(path.as_bytes());
        hasher.write(contents);
    });
    println!("cargo::rustc-env=KERNLET_IMAGE_REVISION={:016x}", hasher.finish());
    Ok(())
}

/// Adds what building the package at `folder` needs, and tells cargo to look there for changes.
fn add_sources(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !matches!(&*name, "tests" | "benches" | "examples" | "target" | "fuzz")
                && !name.starts_with('.')
            {
                add_sources(root, &path, files)?;
            }
        } else if [".rs", ".ld", ".s", ".S"].iter().any(|suffix| name.ends_with(suffix)) {
            files.insert(relative(root, &path)?, read(&path)?);
        }
    }
    Ok(())
}

/// A member's manifest without what only its tests need.
fn member_manifest(path: &Path) -> Result<String> {
    let mut table = parse(path)?;
    for key in ["dev-dependencies", "bench", "test", "example"] {
        table.remove(key);
    }
    toml::to_string(&table).map_err(Error::other)
}

/// The workspace's manifest with the packed members; what they inherit from it stays.
fn workspace_manifest(path: &Path) -> Result<String> {
    let mut table = parse(path)?;
    table.retain(|key, _| key == "workspace");
    if let Some(workspace) = table.get_mut("workspace").and_then(toml::Value::as_table_mut) {
        workspace.remove("default-members");
        workspace.remove("exclude");
        let members = ["wire", "libos/*"].map(|m| toml::Value::String(m.into()));
        workspace.insert("members".into(), toml::Value::Array(members.into()));
    }
    toml::to_string(&table).map_err(Error::other)
}

fn parse(path: &Path) -> Result<toml::Table> {
    println!("cargo::rerun-if-changed={}", path.display());
    let text = String::from_utf8(read(path)?).map_err(Error::other)?;
    text.parse().map_err(|error| Error::other(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn relative(root: &Path, path: &Path) -> Result<String> {
    let path = path.strip_prefix(root).or_else(|_| path.strip_prefix(root.join("../.."))).unwrap_or(path);
    path.to_str().map(Into::into).ok_or_else(|| Error::other("a source file's name is not UTF-8"))
}
