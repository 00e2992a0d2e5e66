//! How many packages a build compiles: what a progress bar needs.

use super::cargo;
use super::package::Package;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::process::Command;

#[derive(Deserialize)]
struct Metadata {
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// Counts the packages that the program is built from, itself included; 0 when cargo does not tell. The arguments
/// are those by which the build, too, finds the native API.
pub(crate) fn count(package: &Package, arguments: &[String]) -> usize {
    let mut command: Command = cargo::command(&package.folder);
    command
        .args(["metadata", "--format-version=1", "--filter-platform", cargo::TARGET, "--manifest-path"])
        .arg(package.folder.join("Cargo.toml"))
        .args(arguments);
    let output = command.output().ok().filter(|output| output.status.success());
    let metadata: Option<Metadata> = output.and_then(|output| serde_json::from_slice(&output.stdout).ok());
    metadata.map_or(0, |metadata| reachable(&metadata.resolve.nodes, &package.id))
}

/// How many packages there are from `root` on, over dependencies that are not for tests.
fn reachable(nodes: &[Node], root: &str) -> usize {
    let nodes: HashMap<&str, &Node> = nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen = HashSet::from([root]);
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        let deps = nodes.get(id).map_or(&[][..], |node| &node.deps);
        let built = deps.iter().filter(|d| d.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev")));
        for dependency in built {
            if seen.insert(&dependency.pkg) {
                todo.push(&dependency.pkg);
            }
        }
    }
    seen.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_need_is_not_counted() {
        let json = r#"[
            {"id": "app", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}, {"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "a", "deps": [{"pkg": "b", "dep_kinds": [{"kind": "dev"}, {"kind": "build"}]}]},
            {"id": "b", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}]},
            {"id": "t", "deps": []}
        ]"#;
        let nodes: Vec<Node> = serde_json::from_str(json).unwrap();
        assert_eq!(reachable(&nodes, "app"), 3);
    }
}
