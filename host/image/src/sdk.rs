//! The sources of the native API, which every `kernlet` carries: a crate anywhere on the disk builds with them.

use crate::hash::digest_of_pieces;
use crate::store::{self, StoreError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Packed by this crate's build script.
static PACK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sdk.pack"));
/// Makes builds with these sources reproducible.
const WRAPPER: &str = include_str!("rustc-wrapper.sh");
const WRAPPER_NAME: &str = "rustc-wrapper.sh";
/// How many versions stay unpacked: builds of older ones may be running.
const KEEP: usize = 4;

/// The unpacked sources.
#[derive(Debug, Clone)]
pub struct Sdk {
    folder: PathBuf,
}

impl Sdk {
    /// Unpacks the sources under `home`, unless they are there already. Several processes may do so at once.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn unpack(home: &Path) -> Result<Self, StoreError> {
        let all = home.join("sdk");
        let folder = all.join(&id()[..16]);
        if !folder.is_dir() {
            store::create_dir(&all)?;
            let scratch = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&all);
            let scratch = scratch.map_err(store::error(&all))?;
            for (path, contents) in files() {
                store::write(&scratch.path().join(path), contents)?;
            }
            let wrapper = scratch.path().join(WRAPPER_NAME);
            store::write(&wrapper, WRAPPER.as_bytes())?;
            fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
                .map_err(store::error(&wrapper))?;
            // Whoever comes second finds the folder there; what it holds is the same.
            if fs::rename(scratch.path(), &folder).is_ok() {
                // It has its place now, and must not be removed.
                let _moved = scratch.keep();
            }
            if !folder.is_dir() {
                return Err(StoreError::new(&folder, std::io::ErrorKind::NotFound.into()));
            }
            store::prune(&all, KEEP);
        }
        Ok(Self { folder })
    }

    /// Where the sources are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the crate `kernlet`, the native API.
    #[must_use]
    pub fn api(&self) -> PathBuf {
        self.folder.join("libos/api")
    }

    /// The linker script that lays out an image.
    #[must_use]
    pub fn linker_script(&self) -> PathBuf {
        self.folder.join("libos/platform/image.ld")
    }

    /// What cargo runs in place of rustc.
    pub(crate) fn rustc_wrapper(&self) -> PathBuf {
        self.folder.join(WRAPPER_NAME)
    }

    /// The versions of the crates that the native API was tested with: a good start for a new crate.
    #[must_use]
    pub fn lock_file(&self) -> Option<PathBuf> {
        Some(self.folder.join("Cargo.lock")).filter(|path| path.is_file())
    }
}

/// Names this version of the sources.
pub(crate) fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| digest_of_pieces([PACK, WRAPPER.as_bytes()]).to_string())
}

/// The packed files: path and contents.
fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    fn field(pack: &'static [u8]) -> Option<(&'static [u8], &'static [u8])> {
        let (len, rest) = pack.split_first_chunk()?;
        rest.split_at_checked(u32::from_le_bytes(*len) as usize)
    }
    let mut rest = PACK;
    std::iter::from_fn(move || {
        let (path, tail) = field(rest)?;
        let (contents, tail) = field(tail)?;
        rest = tail;
        Some((std::str::from_utf8(path).ok()?, contents))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_holds_a_workspace_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let sdk = Sdk::unpack(home.path()).unwrap();
        assert!(sdk.api().join("Cargo.toml").is_file());
        assert!(sdk.linker_script().is_file());
        assert!(!sdk.folder().join("host").exists());
        assert_eq!(Sdk::unpack(home.path()).unwrap().folder(), sdk.folder());
        assert_eq!(std::fs::read_dir(home.path().join("sdk")).unwrap().count(), 1);
    }
}
