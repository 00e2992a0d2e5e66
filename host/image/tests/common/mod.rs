//! A linked program to seal: the fixture, built once by rustc with the flags of an image.
#![allow(dead_code, reason = "each test file uses a part")]

use kernlet_image::manifest::{BuildId, Draft, Kind};
use kernlet_image::{erofs::Tree, seal};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const FLAGS: &[&str] = &[
    "--edition=2024",
    "--target=x86_64-unknown-linux-gnu",
    "-Copt-level=2",
    "-Cdebuginfo=line-tables-only",
    "-Cpanic=abort",
    "-Csymbol-mangling-version=v0",
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Crelocation-model=pie",
    "-Cno-redzone=yes",
    "-Clink-arg=-static",
    "-Clink-arg=-pie",
    "-Clink-arg=--no-dynamic-linker",
    "-Clink-arg=--build-id=none",
    "-Clink-arg=-zmax-page-size=4096",
    "-Clink-arg=-znognustack",
    "-Clink-arg=--no-eh-frame-hdr",
    "-Clink-arg=-ztext",
];

/// The linked fixture, with symbols and line tables.
pub fn linked() -> &'static [u8] {
    static LINKED: OnceLock<Vec<u8>> = OnceLock::new();
    LINKED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture");
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("fixture");
        let script = format!("-Clink-arg=-T{}", folder.join("image.ld").display());
        run(Command::new("rustc")
            .args(FLAGS)
            .args([&script, "-o"])
            .arg(&out)
            .arg(folder.join("program.rs"))
            .env_remove("RUSTFLAGS"));
        std::fs::read(out).unwrap()
    })
}

/// Seals the fixture.
pub fn sealed(draft: Draft, tree: &Tree) -> (Vec<u8>, BuildId) {
    let mut out = Cursor::new(Vec::new());
    let id = seal(linked(), draft, tree, &mut out).unwrap();
    (out.into_inner(), id)
}

/// An image of the fixture with two files.
pub fn image() -> Vec<u8> {
    sealed(draft(), &tree()).0
}

pub fn draft() -> Draft {
    Draft { args: vec![b"-v".to_vec()], ..Draft::new("fixture", Kind::Native) }
}

pub fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.add_bytes("/etc/motd", 0o644, b"welcome\n".to_vec()).unwrap();
    tree.add_bytes("/data/large", 0o600, vec![0x5a; 100_000]).unwrap();
    tree
}

/// Writes bytes to a file in a fresh folder.
pub fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Runs a command that has to succeed; a missing tool says which package brings it.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let package = match program.as_str() {
        "fsck.erofs" => "erofs-utils",
        "qemu-system-x86_64" => "qemu-system-x86",
        other => other,
    };
    let output = command.output().unwrap_or_else(|e| panic!("{program}: {e}: apt-get install -y {package}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}
