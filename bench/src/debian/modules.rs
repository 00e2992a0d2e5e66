//! Kernel modules, and what they need to be there before them.

use crate::error::BenchError;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of modules and of all that they depend on, in the order in which they can be inserted.
pub fn with_dependencies(folder: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>, BenchError> {
    let mut files = HashMap::new();
    collect(folder, &mut files)?;
    let mut order = vec![];
    for name in wanted {
        insert(name, &files, &mut order)?;
    }
    Ok(order)
}

/// Appends a module after its dependencies. The kernel's build refuses circles.
fn insert(name: &str, files: &HashMap<String, PathBuf>, order: &mut Vec<PathBuf>) -> Result<(), BenchError> {
    let path = files.get(name).ok_or_else(|| {
        BenchError::failed(format!("finding the driver {name}"), "the kernel's package has no such module")
    })?;
    if order.contains(path) {
        return Ok(());
    }
    let contents = fs::read(path).map_err(BenchError::io(path.display()))?;
    for dependency in dependencies(&contents) {
        insert(&dependency, files, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// Modules by name, in which `-` and `_` are the same.
fn collect(folder: &Path, files: &mut HashMap<String, PathBuf>) -> Result<(), BenchError> {
    for entry in fs::read_dir(folder).map_err(BenchError::io(folder.display()))?.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, files)?;
        } else if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".ko")) {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// The names in a module's `depends`, one of the zero-terminated strings of its section .modinfo.
fn dependencies(module: &[u8]) -> Vec<String> {
    let depends = module.split(|&byte| byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let text = String::from_utf8_lossy(depends.unwrap_or_default()).replace('-', "_");
    text.split(',').filter(|name| !name.is_empty()).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("net")).unwrap();
        let write = |name: &str, depends: &str| {
            fs::write(folder.path().join(name), format!("\x7fELF\0license=GPL\0depends={depends}\0"))
                .unwrap();
        };
        write("net/card.ko", "ring,fail-over");
        write("bus.ko", "ring");
        write("ring.ko", "");
        write("fail-over.ko", "ring");
        let order = with_dependencies(folder.path(), &["bus", "card"]).unwrap();
        let names: Vec<_> = order.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["ring", "bus", "fail-over", "card"]);
        assert!(with_dependencies(folder.path(), &["other"]).is_err());
    }
}
