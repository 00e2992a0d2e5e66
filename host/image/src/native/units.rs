//! How many packages a build compiles: what a progress bar needs.

use super::cargo;
use super::package::Package;
use std::collections::HashSet;
use std::process::Command;

/// Counts the packages that the program is built from, itself included; 0 when cargo does not tell. The arguments
/// are those by which the build, too, finds the native API.
///
/// `cargo tree` knows which optional dependencies are in use; `cargo metadata` lists more than are built.
pub(crate) fn count(package: &Package, arguments: &[String]) -> usize {
    let mut command: Command = cargo::command(&package.folder);
    command
        .args(["tree", "--quiet", "--edges", "no-dev", "--prefix", "none", "--target", cargo::TARGET])
        .args(["--package", &package.id, "--manifest-path"])
        .arg(package.folder.join("Cargo.toml"))
        .args(arguments);
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or(0, |output| distinct(&String::from_utf8_lossy(&output.stdout)))
}

/// How many packages a tree names: each a line, with a mark behind those that stand in it again.
fn distinct(tree: &str) -> usize {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty());
    lines.collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_however_often_it_is_needed() {
        let tree = "app v0.1.0 (/app)\na v1.0.0\nb v2.0.0\nb v2.0.0 (*)\nb v3.0.0\nm v1.0.0 (proc-macro)\n";
        assert_eq!(distinct(tree), 5);
    }
}
