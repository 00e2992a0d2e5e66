//! Leaving out of a tree what nobody uses.

use super::node::{Dir, Name, Node};
use super::tree::{Tree, split};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Tree {
    /// Removes everything but what the absolute `paths` lead to, links on the way included. A path that leads nowhere says
    /// nothing. Of a directory its entries go, unless they are named themselves.
    pub(crate) fn keep_only<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut kept = HashSet::new();
        paths.into_iter().for_each(|path| self.mark(path, &mut kept));
        prune(&mut self.root, &mut Vec::new(), &kept);
    }

    /// Follows a path as the kernel does, and marks what it ends at and every link.
    fn mark(&self, path: &Path, kept: &mut HashSet<Vec<Name>>) {
        let end = self.follow(split(path.as_os_str().as_bytes()).collect(), |place, node, last| match node {
            Some(Node::Dir(_)) => true,
            Some(Node::File(_)) => last,
            Some(Node::Symlink(_)) => {
                kept.insert(place.to_vec());
                true
            }
            None => false,
        });
        if let Ok(Some(end)) = end {
            kept.insert(end);
        }
    }
}

/// Whether something in the directory, or itself, is kept.
fn prune(dir: &mut Dir, path: &mut Vec<Name>, kept: &HashSet<Vec<Name>>) -> bool {
    dir.entries.retain(|name, node| {
        path.push(name.clone());
        let keep = match node {
            Node::Dir(dir) => prune(dir, path, kept),
            Node::File(_) | Node::Symlink(_) => kept.contains(path),
        };
        path.pop();
        keep
    });
    !dir.entries.is_empty() || kept.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_on_the_way_stay_and_all_else_goes() {
        let mut tree = Tree::new();
        for path in ["/usr/lib/a.so.1", "/usr/lib/b.so", "/usr/share/x/y", "/opt/file"] {
            tree.add_bytes(path, 0o644, path.into()).unwrap();
        }
        for (path, target) in
            [("/lib", "usr/lib"), ("/usr/lib/a.so", "a.so.1"), ("/usr/lib/up", "../share"), ("/loop", "loop")]
        {
            tree.add_symlink(path, target).unwrap();
        }
        let paths = ["/lib/a.so", "/lib/up/x/../../lib/gone", "/opt", "/loop", "/opt/file/deeper", "/gone"];
        tree.keep_only(paths.map(Path::new));
        let has = |path: &str| tree.node(&split(path.as_bytes()).collect::<Vec<_>>()).is_some();
        for path in ["/lib", "/usr/lib/a.so", "/usr/lib/a.so.1", "/usr/lib/up", "/opt", "/loop"] {
            assert!(has(path), "{path}");
        }
        for path in ["/usr/lib/b.so", "/usr/share", "/opt/file"] {
            assert!(!has(path), "{path}");
        }
    }
}
