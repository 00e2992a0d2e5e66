//! What the cache knows of earlier builds: which image came out, and what it was made from.

use super::inputs::{self, Inputs};
use crate::image::Image;
use crate::native::Built;
use crate::store::{self, StoreError};
use std::fs::{self, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many builds are remembered.
const KEEP: usize = 256;

/// The record of one build: a line that names the image, then [`Inputs`].
pub(crate) struct Record {
    path: PathBuf,
    began: SystemTime,
}

impl Record {
    /// That of the build which `key` names.
    pub(crate) fn of(home: &Path, key: &str) -> Self {
        Self { path: home.join("cache/programs").join(key), began: SystemTime::now() }
    }

    /// The image, when it is whole and what it was made from is unchanged.
    pub(crate) fn find(&self, home: &Path) -> Option<Built> {
        let record = fs::read(&self.path).ok()?;
        let end = record.iter().position(|&byte| byte == b'\n')?;
        let (line, inputs) = record.split_at(end);
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (file, known) = (words.next()?, words.next()?);
        let image = home.join("cache/images").join(file);
        let opened = Image::open(&image).ok()?;
        if identity(&opened.file().metadata().ok()?) != known || !inputs::unchanged(&inputs[1..]) {
            return None;
        }
        let manifest = opened.manifest();
        let (name, build_id) = (manifest.name.to_owned(), manifest.build_id);
        store::used(&image);
        store::touch(&self.path);
        Some(Built { image, name, build_id, cached: true })
    }

    /// Remembers a build, unless a change may have gone unseen.
    pub(crate) fn remember(&self, image: &Path, inputs: &Inputs) -> Result<(), StoreError> {
        let file = image.file_name().unwrap_or_default().to_string_lossy();
        if inputs.too_fresh(self.began) {
            return Ok(());
        }
        let about = fs::metadata(image).map_err(store::error(image))?;
        store::write_atomically(&self.path, 0o644, |record| {
            let line = format!("{file} {}\n", identity(&about));
            record
                .write_all(line.as_bytes())
                .and_then(|()| record.write_all(&inputs.encode()))
                .map_err(store::error(&self.path))
        })?;
        if let Some(folder) = self.path.parent() {
            store::prune(folder, KEEP);
        }
        Ok(())
    }
}

/// What changes when somebody writes to the image.
fn identity(about: &Metadata) -> String {
    format!("{}:{}:{}.{}", about.ino(), about.len(), about.mtime(), about.mtime_nsec())
}
