//! Sealing unmodified Linux programs: an executable becomes an image together with all that it is loaded with.
//!
//! 1. The program is found as the kernel would find it: through links, which stay links, and through the first lines of
//!    scripts. Then its dynamic linker and its libraries, as that would find them (`libraries`).
//! 2. All of it goes into the root under the paths that it has here, byte for byte. No compiler and no linker is needed:
//!    the library OS is part of kernlet, built when kernlet was.
//! 3. Everything that was looked at is remembered with its fingerprint (`inputs`): as long as nothing of it has
//!    changed, the image is the one in the cache, which takes milliseconds to know.
//! 4. Files are not trusted. What is wrong with one is an error that names it.

mod base;
mod debian;
pub mod elf;
mod error;
mod host;
mod inputs;
mod ld_cache;
mod libraries;
mod program;
mod property;
mod python;
mod record;
mod rewritten;
mod script;
mod shim;

pub use error::ProgramError;
pub use shim::behind as behind_shim;

use crate::erofs::ReadError;
use crate::hash::{Hasher, digest};
use crate::image::Image;
use crate::native::{Built, Progress, RootSource};
use crate::seal::seal;
use crate::store;
use crate::symbols;
use base::Accounts;
use host::Host;
use kernlet_wire::manifest::{BuildId, Draft, Identity, Kind};
use program::Program;
use record::Record;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The library OS for Linux programs, as the linker left it.
static LIBRARY_OS: &[u8] = include_bytes!(env!("KERNLET_PROGRAM"));
/// The search path for programs inside, as Docker has it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image is to be, beyond the program.
#[derive(Debug, Clone, Default)]
pub struct ProgramOptions {
    /// What the program is called: its `argv[0]`. The path unless given.
    pub name: Option<OsString>,
    /// The image's default arguments.
    pub args: Vec<Vec<u8>>,
    /// Additions to the default environment, each `NAME=VALUE`; a later one wins.
    pub env: Vec<Vec<u8>>,
    /// The program's working directory; `/` unless given.
    pub workdir: Option<String>,
    /// The program's identity.
    pub identity: Identity,
    /// Files for the root, laid over what the program brings in this order.
    pub root: Vec<RootSource>,
    /// Nothing but the program and its libraries.
    pub libs_only: bool,
    /// Keep nothing but what these paths lead to, beside what every system has: what a trace of the program's use of its
    /// files told ([`kernlet_wire::trace`]).
    pub only: Option<Vec<PathBuf>>,
    /// Where the program's system begins; `/` unless given.
    pub sysroot: Option<PathBuf>,
}

/// Seals the program at `path` (in the system root, which is `/` as a rule), with all caches under `home`.
///
/// # Errors
/// See [`ProgramError`].
pub fn build_program(
    path: &Path,
    options: &ProgramOptions,
    home: &Path,
    progress: &mut dyn Progress,
) -> Result<Built, ProgramError> {
    let path = absolute(path)?;
    let record = Record::of(home, &key(&path, options));
    if let Some(built) = record.find(home) {
        return Ok(built);
    }
    progress.step(&format!("gathering the files of {}", path.display()));
    let mut host = Host::new(options.sysroot.as_deref().unwrap_or(Path::new("/")));
    let program = Program::find(&path, options.name.as_deref(), &mut host)?;
    let taken = if options.libs_only { debian::Taken::default() } else { packages(&program, &mut host)? };
    let accounts = base::add(&taken.scripts, &mut host)?;
    add_sources(&options.root, &mut host)?;
    program.take_libraries(&mut host)?;
    if !options.libs_only {
        debian::take_companions(&mut host)?;
    }
    report_locked(&host, progress);
    if let Some(used) = &options.only {
        let mut kept: Vec<&Path> = used.iter().map(PathBuf::as_path).collect();
        kept.extend(program.paths());
        base::kept().for_each(|path| kept.push(path));
        host.tree.keep_only(kept);
    }
    progress.step("rewriting system calls");
    rewritten::add(&mut host.tree)?;
    progress.step("sealing");
    let draft = draft(&program, &host, accounts.home(options.identity.uid), options);
    let (image, build_id, cached) = finish(&draft, &host, home)?;
    record.remember(&image, &host.inputs)?;
    Ok(Built { image, name: draft.name, build_id, cached })
}

/// Takes what the program's packages bring, and what its interpreter needs that belongs to none.
fn packages(program: &Program, host: &mut Host) -> Result<debian::Taken, ProgramError> {
    let taken = debian::take(&program.places, host)?;
    let packaged = taken.packages.iter().any(|name| name.ends_with("-stdlib"));
    for place in &program.places {
        python::take(place, packaged, host)?;
    }
    Ok(taken)
}

/// Says which files are missing in the image since the user may not read them.
fn report_locked(host: &Host, progress: &mut dyn Progress) {
    const SHOWN: usize = 5;
    let locked = &host.locked;
    if locked.is_empty() {
        return;
    }
    let shown: Vec<String> = locked.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = locked.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    progress.warning(&format!("not in the image, since you may not read them: {}{more}", shown.join(", ")));
}

/// Seals, unless the cache has the image.
fn finish(draft: &Draft, host: &Host, home: &Path) -> Result<(PathBuf, BuildId, bool), ProgramError> {
    let mut hasher = Hasher::new();
    hasher.field(env!("KERNLET_IMAGE_REVISION").as_bytes());
    hasher.field(&digest(LIBRARY_OS).0);
    hasher.field(&draft.encode().map_err(crate::SealError::from)?);
    host.tree.fingerprint(&mut hasher)?;
    let image = home.join("cache/images").join(format!("{}.img", hasher.finish()));
    // What the cache holds may have been cut off or changed since.
    if let Ok(found) = Image::open(&image)
        && found.verify().is_ok()
    {
        store::used(&image);
        return Ok((image, found.build_id(), true));
    }
    let build_id = store::write_atomically(&image, 0o755, |file| -> Result<BuildId, ProgramError> {
        Ok(seal(LIBRARY_OS, draft.clone(), &host.tree, file)?)
    })?;
    symbols::keep(home, build_id, LIBRARY_OS)?;
    if let Some(folder) = image.parent() {
        store::prune_images(folder);
    }
    Ok((image, build_id, false))
}

fn draft(program: &Program, host: &Host, home: &str, options: &ProgramOptions) -> Draft {
    let mut env: Vec<Vec<u8>> = vec![PATH.into(), format!("HOME={home}").into()];
    for variable in &options.env {
        let name = |v: &[u8]| v.split(|&b| b == b'=').next().map(<[u8]>::to_vec);
        env.retain(|old| name(old) != name(variable));
        env.push(variable.clone());
    }
    Draft {
        program: Some(program.path.as_os_str().as_bytes().to_vec()),
        lead: program.lead.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        args: options.args.clone(),
        cpu: host.level.as_ref().map(|(level, path)| (*level, path.as_os_str().as_bytes().to_vec())),
        env,
        workdir: options.workdir.clone().unwrap_or_else(|| "/".into()),
        identity: options.identity,
        ..Draft::new(&shown_name(&program.name), Kind::Linux)
    }
}

/// The program's name as people may see it: without control characters.
fn shown_name(name: &OsStr) -> String {
    let name = Path::new(name).file_name().unwrap_or(name).to_string_lossy();
    let shown: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.is_empty() { "program".into() } else { shown }
}

/// The home directory of a user by the /etc/passwd of an image, `/` of one who has no account there: what HOME is unless
/// somebody says otherwise, as Docker has it.
///
/// # Errors
/// The root file system cannot be read.
pub fn home(image: &Image, uid: u32) -> Result<String, ReadError> {
    Ok(Accounts::of(image)?.home(uid).into())
}

fn add_sources(sources: &[RootSource], host: &mut Host) -> Result<(), ProgramError> {
    for source in sources {
        match source {
            RootSource::Dir(dir) => {
                host.saw_all(dir);
                host.tree.add_root(dir)?;
            }
            RootSource::File { host: file, guest } => {
                host.saw_all(file);
                host.tree.add_file(file, guest)?;
            }
        }
    }
    Ok(())
}

/// The path from the root on, without `.` and `..`; links stay, but for those before a `..`.
fn absolute(path: &Path) -> Result<PathBuf, ProgramError> {
    let read = |source| ProgramError::Read { path: path.into(), source };
    let whole = std::path::absolute(path).map_err(read)?;
    let is_parent = |part| part == std::path::Component::ParentDir;
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) if whole.components().any(is_parent) => {
            let missing = |error: std::io::Error| match error.kind() {
                std::io::ErrorKind::NotFound => ProgramError::NotFound(path.into()),
                _ => read(error),
            };
            Ok(fs::canonicalize(parent).map_err(missing)?.join(name))
        }
        _ => Ok(whole),
    }
}

/// Reads bytes as everything that this module reads but for ELF files: what a fuzzer calls.
#[doc(hidden)]
pub fn exercise(bytes: &[u8]) {
    let cache = ld_cache::LdCache::parse(bytes);
    let _ = cache.find(b"libc.so.6").count();
    if let Some(line) = script::Shebang::parse(bytes) {
        let _ = line.through_env();
    }
    debian::exercise(&String::from_utf8_lossy(bytes));
}

/// The hash of all that decides the image but for the contents of files.
fn key(path: &Path, options: &ProgramOptions) -> String {
    let ProgramOptions { name, args, env, workdir, identity, root, libs_only, only, sysroot } = options;
    let mut hasher = Hasher::new();
    hasher.field(env!("KERNLET_IMAGE_REVISION").as_bytes());
    hasher.field(env!("KERNLET_PROGRAM_REVISION").as_bytes());
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.field(path.as_os_str().as_bytes());
    // Paths of sources may be relative.
    let folder = root.iter().any(|_| true).then(std::env::current_dir);
    let rest = (name, args, env, workdir, identity, root, libs_only, only, sysroot, folder);
    hasher.field(format!("{rest:?}").as_bytes());
    hasher.finish().to_string()
}
