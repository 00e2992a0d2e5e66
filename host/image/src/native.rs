//! Building native programs: a Rust crate on the native API becomes an image.
//!
//! 1. The crate is built by a nested cargo call, with stock stable Rust for the host's own target, flags of
//!    its own and a target folder of its own. Nothing of the environment or of the crate's profiles that would
//!    make another kind of binary gets through.
//! 2. A crate that names `kernlet = "0.1"` gets the [`Sdk`] that this kernlet carries; one that depends on the
//!    native API by path gets what is at that path.
//! 3. What cargo takes for unchanged is compared by content, since cargo looks at times only.
//! 4. Images are cached by all that decides their bytes. The linked file with its symbols is kept beside them,
//!    for [`crate::symbols`].

mod cargo;
mod error;
mod flags;
mod package;
mod run;
mod sources;
mod units;

pub use error::BuildError;

use crate::erofs::Tree;
use crate::hash::{Hasher, digest};
use crate::image::Image;
use crate::pieces;
use crate::sdk::{self, Sdk};
use crate::seal::seal;
use crate::store;
use crate::symbols;
use kernlet_wire::manifest::{BuildId, Draft, Identity, Kind, Policy};
use package::{Package, Settings};
use sources::Sources;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What a build reports while it goes on. The defaults say nothing.
pub trait Progress {
    /// A new step begins, such as `compiling smoltcp`.
    fn step(&mut self, _what: &str) {}
    /// Of `total` parts `done` are finished; `total` is 0 while nobody knows.
    fn tick(&mut self, _done: usize, _total: usize) {}
    /// A warning about the crate, as rustc printed it.
    fn warning(&mut self, _text: &str) {}
}

/// Reports nothing.
impl Progress for () {}

/// A source of files for the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSource {
    /// All that is in a host directory, at the root.
    Dir(PathBuf),
    /// A host file or directory at an absolute path.
    File {
        /// On the host.
        host: PathBuf,
        /// In the image.
        guest: String,
    },
}

/// What to build, beyond what the crate itself says.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Which binary, when the crate has several.
    pub bin: Option<String>,
    /// The image's default arguments; when there are none, the crate's.
    pub args: Vec<Vec<u8>>,
    /// Additions to the crate's default environment, each `NAME=VALUE`; a later one wins.
    pub env: Vec<Vec<u8>>,
    /// The program's working directory, instead of the crate's choice.
    pub workdir: Option<String>,
    /// The program's identity.
    pub identity: Identity,
    /// The image may start without entropy.
    pub start_without_entropy: bool,
    /// Files for the root, laid over the crate's own in this order.
    pub root: Vec<RootSource>,
    /// Let rustc colour its messages.
    pub color: bool,
}

/// A finished build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image, in kernlet's cache. Copy it to keep it.
    pub image: PathBuf,
    /// The program's name.
    pub name: String,
    /// The image's name for itself.
    pub build_id: BuildId,
    /// The image was in the cache already.
    pub cached: bool,
}

impl Built {
    /// Copies the image to `path`, where it appears whole: instances of an image that was there go on with that.
    ///
    /// # Errors
    /// `path` cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), BuildError> {
        let failed = |source| BuildError::Save { path: path.into(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut scratch = tempfile::Builder::new().prefix(".kernlet-").tempfile_in(folder).map_err(failed)?;
        let copied =
            File::open(&self.image).and_then(|mut image| pieces::copy(&mut image, scratch.as_file_mut()));
        copied.map_err(failed)?;
        scratch.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Builds the crate in `dir` and seals it, with all caches under `home`.
///
/// # Errors
/// See [`BuildError`].
pub fn build_crate(
    dir: &Path,
    options: &BuildOptions,
    home: &Path,
    progress: &mut dyn Progress,
) -> Result<Built, BuildError> {
    store::create_dir(home)?;
    let home = fs::canonicalize(home).map_err(store::error(home))?;
    let package = Package::load(dir, options.bin.as_deref())?;
    let sdk = Sdk::unpack(&home)?;
    let linked = link(&package, &sdk, &home, options.color, false, progress)?;
    match finish(&package, options, &home, &linked, progress) {
        // Perhaps the linked file was cut off, by a disk that was full or power that failed: once more, then.
        Err(BuildError::Seal(_)) => {
            let linked = link(&package, &sdk, &home, options.color, true, progress)?;
            finish(&package, options, &home, &linked, progress)
        }
        finished => finished,
    }
}

/// Builds the program; `anew` whatever cargo thinks of what is there.
fn link(
    package: &Package,
    sdk: &Sdk,
    home: &Path,
    color: bool,
    anew: bool,
    progress: &mut dyn Progress,
) -> Result<Vec<u8>, BuildError> {
    let target = home.join("cache/target");
    let _alone = store::lock(&home.join("cache/target.lock"), || progress.step("waiting for another build"))?;
    let sources = Sources::of(package, home, &target);
    if anew {
        sources.forget();
    }
    sources.compare();
    let executable = cargo::build(package, sdk, &target, color, progress)?;
    sources.remember(&executable)?;
    Ok(fs::read(&executable).map_err(store::error(&executable))?)
}

/// Seals the linked program, unless the cache has the image.
fn finish(
    package: &Package,
    options: &BuildOptions,
    home: &Path,
    linked: &[u8],
    progress: &mut dyn Progress,
) -> Result<Built, BuildError> {
    progress.step("sealing");
    let draft = draft(package, options);
    let tree = tree(package, options)?;
    let name = package.bin.clone();
    let image = home.join("cache/images").join(format!("{}.img", cache_key(linked, &draft, &tree)?));
    // What the cache holds may have been cut off or changed since.
    if let Ok(found) = Image::open(&image)
        && found.verify().is_ok()
    {
        store::touch(&image);
        let build_id = found.build_id();
        symbols::keep(home, build_id, linked)?;
        return Ok(Built { image, name, build_id, cached: true });
    }
    let build_id = store::write_atomically(&image, 0o755, |file| -> Result<BuildId, BuildError> {
        Ok(seal(linked, draft, &tree, file)?)
    })?;
    symbols::keep(home, build_id, linked)?;
    if let Some(folder) = image.parent() {
        store::prune_images(folder);
    }
    Ok(Built { image, name, build_id, cached: false })
}

fn draft(package: &Package, options: &BuildOptions) -> Draft {
    let Settings { args, env, workdir, .. } = &package.settings;
    let own_args = || args.iter().map(|arg| arg.clone().into_bytes()).collect();
    let mut variables: Vec<Vec<u8>> =
        env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect();
    for variable in &options.env {
        let name = |v: &[u8]| v.split(|&b| b == b'=').next().map(<[u8]>::to_vec);
        variables.retain(|old| name(old) != name(variable));
        variables.push(variable.clone());
    }
    Draft {
        args: if options.args.is_empty() { own_args() } else { options.args.clone() },
        env: variables,
        workdir: options.workdir.clone().or_else(|| workdir.clone()).unwrap_or_else(|| "/".into()),
        identity: options.identity,
        policy: Policy { start_without_entropy: options.start_without_entropy },
        ..Draft::new(&package.bin, Kind::Native)
    }
}

fn tree(package: &Package, options: &BuildOptions) -> Result<Tree, BuildError> {
    let mut tree = Tree::new();
    if let Some(root) = &package.settings.root {
        tree.add_root(&package.folder.join(root))?;
    }
    for source in &options.root {
        match source {
            RootSource::Dir(dir) => tree.add_root(dir)?,
            RootSource::File { host, guest } => tree.add_file(host, guest)?,
        }
    }
    Ok(tree)
}

/// The hash of everything that decides an image's bytes.
fn cache_key(linked: &[u8], draft: &Draft, tree: &Tree) -> Result<String, BuildError> {
    let mut hasher = Hasher::new();
    hasher.field(env!("KERNLET_IMAGE_REVISION").as_bytes());
    hasher.field(sdk::id().as_bytes());
    hasher.field(&digest(linked).0);
    hasher.field(&draft.encode().map_err(crate::SealError::from)?);
    tree.fingerprint(&mut hasher)?;
    Ok(hasher.finish().to_string())
}
