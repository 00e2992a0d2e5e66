//! The file of rewritten code that lies beside a root's program files.

use crate::erofs::{Dir, Node, Tree, TreeError};
use crate::rewrite::rewrite;
use kernlet_wire::rewrite::PATH;

/// What an ELF file begins with; no other is read whole.
const ELF: &[u8] = b"\x7fELF";

/// Adds the rewritten pages of all program files of the root.
///
/// # Errors
/// A file of the host cannot be read.
pub(super) fn add(tree: &mut Tree) -> Result<(), TreeError> {
    let mut files = Vec::new();
    collect(&tree.root, &mut Vec::new(), &mut files)?;
    match rewrite(files) {
        Some(bytes) => tree.add_bytes(PATH, 0o444, bytes),
        None => Ok(()),
    }
}

fn collect(dir: &Dir, path: &mut Vec<u8>, files: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), TreeError> {
    for (name, node) in &dir.entries {
        let before = path.len();
        path.push(b'/');
        path.extend_from_slice(name);
        match node {
            Node::Dir(dir) => collect(dir, path, files)?,
            Node::File(file) if file.begins_with(ELF)? => {
                let mut bytes = Vec::new();
                file.read(|piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })?;
                files.push((path.clone(), bytes));
            }
            Node::File(_) | Node::Symlink(_) => {}
        }
        path.truncate(before);
    }
    Ok(())
}
