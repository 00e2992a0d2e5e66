//! Which libraries a program is loaded with: the search of ld.so(8), and musl's.
//!
//! Each library is searched in the dynamic linker's own order. LD_LIBRARY_PATH is of the user's session, not of the
//! program, and is left out.

use super::elf::Elf;
use super::error::ProgramError;
use super::host::{Host, Place};
use super::ld_cache::{self, LdCache};
use crate::erofs::TreeError;
use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The system's directories, of Debian and of those that have lib64.
const DEFAULT: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// Those of musl, unless a file says others.
const MUSL_DEFAULT: [&str; 3] = ["/lib", "/usr/local/lib", "/usr/lib"];
/// Names that mean musl itself, whatever stands behind the dot.
const MUSL_OWN: [&str; 8] = ["c", "pthread", "rt", "m", "dl", "util", "xnet", "crypt"];
/// Directories beside a library for CPUs that can more, the best first.
const HWCAPS: [&str; 3] = ["glibc-hwcaps/x86-64-v4", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v2"];
/// What `$LIB` may stand for, and `$PLATFORM`.
const LIB: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "lib"];
const PLATFORM: [&str; 2] = ["x86_64", "haswell"];
/// What glibc loads when a thread is cancelled or ends early, although nothing says so.
const GLIBC_OWN: &str = "libgcc_s.so.1";
/// More libraries than any program has.
const MAX_LIBRARIES: usize = 4096;

/// How the dynamic linker searches.
pub(crate) enum Linker {
    Glibc(LdCache),
    /// With its directories.
    Musl(Vec<PathBuf>),
}

/// Something that is loaded, and what loaded it first.
struct Object {
    path: PathBuf,
    /// What `$ORIGIN` is.
    origin: PathBuf,
    elf: Elf,
    loader: Option<Rc<Object>>,
}

impl Object {
    /// Whether what it needs is found at the same place as by every other object of that kind.
    fn searches_defaults_only(&self) -> bool {
        let own = self.elf.rpath.is_none() && self.elf.runpath.is_none() && !self.elf.no_default;
        own && self.loader.as_ref().is_none_or(|loader| loader.searches_defaults_only())
    }
}

impl Linker {
    /// The one at the path that the program names.
    pub(crate) fn of(interpreter: &Path, host: &mut Host) -> Result<Self, TreeError> {
        let name = interpreter.file_name().unwrap_or_default().as_bytes();
        if !name.starts_with(b"ld-musl-") {
            let cache = host.read(Path::new("/etc/ld.so.cache")).unwrap_or_default();
            return Ok(Self::Glibc(LdCache::parse(&cache)));
        }
        // musl's ldso/dynlink.c: the file lies in etc beside the lib that the linker is in.
        let prefix = interpreter.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        let file = prefix.join("etc/ld-musl-x86_64.path");
        let list = host.read(&file);
        host.take_entry(&file)?;
        let own = list.as_ref().map(|list| {
            let parts = list.split(|byte| b":\n".contains(byte)).filter(|part| part.starts_with(b"/"));
            parts.map(|part| PathBuf::from(OsStr::from_bytes(part))).collect()
        });
        Ok(Self::Musl(own.unwrap_or_else(|_| MUSL_DEFAULT.map(PathBuf::from).to_vec())))
    }

    /// Takes into the root all that the program or library at `path` is loaded with, each library found under the path by
    /// which the dynamic linker will find it. With names that are `known`, which then grow, what is not found is left out.
    pub(crate) fn take(
        &self,
        path: &Path,
        real: &Path,
        elf: &Elf,
        mut known: Option<&mut HashSet<Vec<u8>>>,
        host: &mut Host,
    ) -> Result<(), ProgramError> {
        let origin = real.parent().unwrap_or(Path::new("/")).to_path_buf();
        let program = Rc::new(Object { path: path.into(), origin, elf: elf.clone(), loader: None });
        let mut loaded: HashSet<Vec<u8>> = HashSet::new();
        let mut taken = 0;
        let mut queue = VecDeque::from([Rc::clone(&program)]);
        while let Some(object) = queue.pop_front() {
            for name in &object.elf.needed {
                if !loaded.insert(name.clone()) || self.is_own(name) {
                    continue;
                }
                if let Some(known) = &mut known
                    && object.searches_defaults_only()
                    && !known.insert(name.clone())
                {
                    continue;
                }
                let found = match self.search(name, &object, host)? {
                    Ok(found) => found,
                    Err(_) if known.is_some() => continue,
                    Err(sought) => {
                        return Err(ProgramError::Library {
                            program: path.into(),
                            library: String::from_utf8_lossy(name).into_owned(),
                            needed_by: object.path.clone(),
                            sought,
                        });
                    }
                };
                if taken == MAX_LIBRARIES {
                    return Err(ProgramError::TooManyLibraries(path.into()));
                }
                host.take(&found.place)?;
                if known.is_none() {
                    host.needs(found.elf.level, &found.path);
                }
                loaded.extend(found.elf.soname.clone());
                taken += 1;
                let origin = found.path.parent().unwrap_or(Path::new("/")).to_path_buf();
                let loader = Some(Rc::clone(&object));
                queue.push_back(Rc::new(Object { path: found.path, origin, elf: found.elf, loader }));
            }
        }
        Ok(())
    }

    /// Takes what the C library itself loads without naming it.
    pub(crate) fn take_hidden(&self, host: &mut Host) -> Result<(), ProgramError> {
        match self {
            Self::Glibc(_) => {
                let needed = vec![GLIBC_OWN.as_bytes().to_vec()];
                let elf = Elf { needed, ..Elf::default() };
                self.take(Path::new("/"), Path::new("/"), &elf, Some(&mut HashSet::new()), host)
            }
            Self::Musl(_) => Ok(()),
        }
    }

    /// The file in which it finds libraries by their names, when it has one.
    pub(crate) fn cache(&self, host: &Host) -> Option<Vec<u8>> {
        match self {
            Self::Glibc(_) if !host.libraries.is_empty() => Some(ld_cache::encode(&host.libraries)),
            _ => None,
        }
    }

    /// Whether the name means the dynamic linker itself.
    fn is_own(&self, name: &[u8]) -> bool {
        let own = |own: &&str| {
            let rest = name.strip_prefix(b"lib").and_then(|rest| rest.strip_prefix(own.as_bytes()));
            rest.is_some_and(|rest| rest.starts_with(b"."))
        };
        matches!(self, Self::Musl(_)) && (MUSL_OWN.iter().any(own) || name.starts_with(b"ld-musl-"))
    }

    /// The library, or where it was sought.
    fn search(
        &self,
        name: &[u8],
        object: &Rc<Object>,
        host: &mut Host,
    ) -> Result<Result<Found, Vec<PathBuf>>, ProgramError> {
        let file = OsStr::from_bytes(name);
        let mut sought = Vec::new();
        if name.contains(&b'/') {
            // A path, from the working directory on when it is not absolute: that is / unless somebody says otherwise.
            for path in expand(name, &object.origin) {
                let path = Path::new("/").join(path);
                if let Some(found) = look(&path, host)? {
                    return Ok(Ok(found));
                }
                sought.push(path);
            }
            return Ok(Err(sought));
        }
        let mut first = None;
        for step in self.steps(object) {
            let (directories, cached, by_name) = match step {
                Step::Own(list) => (list, Vec::new(), false),
                Step::Default(list) => (list, Vec::new(), true),
                Step::Cache(cache) => (Vec::new(), cache.find(name).map(Path::to_path_buf).collect(), true),
            };
            let remember = |found: &Found, host: &mut Host| {
                if by_name {
                    host.libraries.insert(name.to_vec(), found.path.clone());
                }
            };
            for directory in directories {
                if let Some(found) = look(&directory.join(file), host)? {
                    // Which of these a CPU takes is known when the program starts.
                    let hwcaps = HWCAPS.iter().filter(|_| matches!(self, Self::Glibc(_)));
                    for better in hwcaps.map(|hwcap| directory.join(hwcap).join(file)) {
                        if let Some(better) = look(&better, host)? {
                            host.take(&better.place)?;
                        }
                    }
                    remember(&found, host);
                    return Ok(Ok(found));
                }
                sought.push(directory);
            }
            for path in cached {
                let Some(found) = look(&path, host)? else { continue };
                match first {
                    None => first = Some(found),
                    Some(_) => host.take(&found.place)?,
                }
            }
            if let Some(found) = first {
                remember(&found, host);
                return Ok(Ok(found));
            }
        }
        sought.dedup();
        Ok(Err(sought))
    }

    /// Where to look, in this order.
    fn steps<'a>(&'a self, object: &'a Rc<Object>) -> Vec<Step<'a>> {
        let chain = || std::iter::successors(Some(object), |object| object.loader.as_ref());
        let list = |object: &Object, list: &Option<Vec<u8>>| directories(list.as_deref(), &object.origin);
        match self {
            Self::Glibc(cache) => {
                let mut steps = Vec::new();
                if object.elf.runpath.is_none() {
                    // The program, the last of the chain, too.
                    let old = chain().filter(|o| o.elf.runpath.is_none());
                    steps.push(Step::Own(old.flat_map(|o| list(o, &o.elf.rpath)).collect()));
                }
                steps.push(Step::Own(list(object, &object.elf.runpath)));
                if !object.elf.no_default {
                    steps.push(Step::Cache(cache));
                    steps.push(Step::Default(DEFAULT.map(PathBuf::from).to_vec()));
                }
                steps
            }
            Self::Musl(own) => {
                let all = chain().flat_map(|o| {
                    let path = if o.elf.runpath.is_some() { &o.elf.runpath } else { &o.elf.rpath };
                    list(o, path)
                });
                vec![Step::Own(all.collect()), Step::Default(own.clone())]
            }
        }
    }
}

enum Step<'a> {
    /// Directories that an object names.
    Own(Vec<PathBuf>),
    /// Directories of the dynamic linker's.
    Default(Vec<PathBuf>),
    Cache(&'a LdCache),
}

struct Found {
    path: PathBuf,
    place: Place,
    elf: Elf,
}

/// The library at a path. What is not there or is for another machine is passed over, as by the dynamic linker; what is
/// there and damaged is an error.
fn look(path: &Path, host: &mut Host) -> Result<Option<Found>, ProgramError> {
    let (place, file) = match host.open(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(ProgramError::Read { path: path.into(), source: error });
        }
        Err(_) => return Ok(None),
    };
    match Elf::read(&file) {
        Ok(elf) => Ok(Some(Found { path: path.into(), place, elf })),
        Err(error) if error.is_other_machine() => Ok(None),
        Err(error) => Err(ProgramError::DamagedLibrary { path: path.into(), source: error }),
    }
}

/// The directories of a `DT_RPATH` or `DT_RUNPATH`.
fn directories(list: Option<&[u8]>, origin: &Path) -> Vec<PathBuf> {
    let parts = list.unwrap_or_default().split(|&byte| byte == b':').filter(|part| !part.is_empty());
    // Relative ones depend on the working directory, which is / unless somebody says otherwise.
    parts.flat_map(|part| expand(part, origin)).map(|path| Path::new("/").join(path)).collect()
}

/// Replaces `$ORIGIN`, `$LIB` and `$PLATFORM`, also in braces.
fn expand(text: &[u8], origin: &Path) -> Vec<PathBuf> {
    let mut all = vec![text.to_vec()];
    for (token, values) in [
        ("ORIGIN", &[origin.as_os_str().as_bytes()][..]),
        ("LIB", &LIB.map(str::as_bytes)[..]),
        ("PLATFORM", &PLATFORM.map(str::as_bytes)[..]),
    ] {
        for form in [format!("${{{token}}}"), format!("${token}")] {
            all = all.iter().flat_map(|text| replace(text, form.as_bytes(), values)).collect();
        }
    }
    all.iter().map(|path| PathBuf::from(OsStr::from_bytes(path))).collect()
}

/// The text once for each value, in all places.
fn replace(text: &[u8], token: &[u8], values: &[&[u8]]) -> Vec<Vec<u8>> {
    if !text.windows(token.len()).any(|window| window == token) {
        return vec![text.to_vec()];
    }
    let one = |value: &&[u8]| {
        let (mut out, mut rest) = (Vec::new(), text);
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match rest.strip_prefix(token) {
                Some(after) => {
                    out.extend_from_slice(value);
                    after
                }
                None => {
                    out.push(byte);
                    tail
                }
            };
        }
        out
    };
    values.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_the_dynamic_linker_are_replaced() {
        let of = |text: &str| {
            let paths = directories(Some(text.as_bytes()), Path::new("/opt/app/bin"));
            paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of("$ORIGIN/../lib::${ORIGIN}"), ["/opt/app/bin/../lib", "/opt/app/bin"]);
        assert_eq!(of("/x/$LIB"), ["/x/lib/x86_64-linux-gnu", "/x/lib64", "/x/lib"]);
        assert_eq!(of("/$PLATFORM/y"), ["/x86_64/y", "/haswell/y"]);
        assert_eq!(of("relative"), ["/relative"]);
    }
}
