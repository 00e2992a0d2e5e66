//! What Debian knows of a program: which package it belongs to, and what that package needs at run time.
//!
//! The program's *own* packages are those that hold a file which was met on the way to it (links, scripts and
//! interpreters included). A package that is the minimal part of another stands for that one (`python3.11-minimal`
//! for `python3.11`, `perl-base` for `perl`). To them come the packages that they depend on (Depends and Pre-Depends,
//! Provides and alternatives as they are installed), and so on.
//!
//! 1. Of all of them the run-time files are taken ([`filter`]).
//! 2. Programs of dependencies are left out: nothing can execute them, since there is no fork and no exec yet.
//! 3. A dependency with programs, of priority standard or above, is part of the system around the program, needed by
//!    maintainer scripts or to be executed (dpkg, adduser, perl for a server's helper scripts): it is left out with what
//!    only it needs, unless it comes from the same source as an own package.
//! 4. What a library works with although no package says so is in [`COMPANIONS`] and [`LIBRARY_COMPANIONS`].

mod database;
mod filter;

use super::error::ProgramError;
use super::host::{Host, Place};
use database::{Database, Package};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// A package, of whose name a part may be left open (`*`), and another whose files it reads without depending on it: Debian counts on that everywhere.
const COMPANIONS: [(&str, &str); 4] = [
    // Where OpenSSL looks for certificate authorities.
    ("ca-certificates", "openssl"),
    // The locale C.UTF-8.
    ("libc6", "libc-bin"),
    // Names of services and protocols (services(5), protocols(5)).
    ("libc6", "netbase"),
    // zoneinfo.
    ("libpython3*-stdlib", "tzdata"),
];
/// The same by the name of a library that is loaded, whatever program loads it.
const LIBRARY_COMPANIONS: [(&str, &str); 5] = [
    ("libgnutls.so", "ca-certificates"),
    ("libssl.so", "ca-certificates"),
    // Terminal descriptions.
    ("libncurses.so", "ncurses-base"),
    ("libncursesw.so", "ncurses-base"),
    ("libtinfo.so", "ncurses-base"),
];
/// Files that no package lists, since they are made when a package is installed: with which package they go.
const GENERATED: [(&str, &str); 2] =
    [("ca-certificates", "/etc/ssl/certs"), ("tzdata", "/usr/share/zoneinfo/tzdata.zi")];

/// Whether a package is one of those that a table means.
fn is_named(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name == pattern,
    }
}

/// What was taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// All packages; none when the program belongs to no package.
    pub packages: BTreeSet<String>,
    /// The texts of their scripts for installation.
    pub scripts: Vec<String>,
}

/// Takes the run-time files of the packages that the program which was found through `places` belongs to.
pub(crate) fn take(places: &[Place], host: &mut Host) -> Result<Taken, ProgramError> {
    let Some(database) = Database::load(host) else { return Ok(Taken::default()) };
    let files = places
        .iter()
        .flat_map(|place| place.links.iter().map(|(link, _)| link.as_path()).chain([place.real.as_path()]));
    let mut selection = Selection { database: &database, own: Vec::new(), all: Vec::new() };
    selection.add_own(database.owners(files, host));
    selection.add_dependencies(host);
    take_all(&database, &selection.all, host)
}

/// Takes what the libraries that were taken work with although no package says so.
pub(crate) fn take_companions(host: &mut Host) -> Result<(), ProgramError> {
    let loaded = |name: &str| host.libraries.keys().any(|library| library.starts_with(name.as_bytes()));
    let names: BTreeSet<&str> =
        LIBRARY_COMPANIONS.iter().filter(|(library, _)| loaded(library)).map(|(_, name)| *name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let Some(database) = Database::load(host) else { return Ok(()) };
    let mut selection = Selection { database: &database, own: Vec::new(), all: Vec::new() };
    selection.all = names.into_iter().map(|name| (name, Role::Companion)).collect();
    selection.add_dependencies(host);
    take_all(&database, &selection.all, host).map(|_| ())
}

fn take_all(database: &Database, chosen: &[(&str, Role)], host: &mut Host) -> Result<Taken, ProgramError> {
    let mut taken = Taken::default();
    let mut folders = Vec::new();
    for (name, role) in chosen {
        let Some(package) = database.package(name) else { continue };
        take_package(package, *role, &mut folders, host)?;
        taken.packages.insert((*name).to_owned());
        taken.scripts.extend(package.script(host));
    }
    for (name, path) in GENERATED {
        if taken.packages.contains(name) {
            take_generated(Path::new(path), host)?;
        }
    }
    take_enabled(&folders, host)?;
    Ok(taken)
}

/// How a package came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Own,
    Dependency,
    /// What it holds is of use, but for programs and what those alone read.
    Companion,
}

struct Selection<'a> {
    database: &'a Database,
    own: Vec<&'a Package>,
    all: Vec<(&'a str, Role)>,
}

impl<'a> Selection<'a> {
    fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(known, _)| *known == name)
    }

    fn add_own(&mut self, names: BTreeSet<String>) {
        for name in names {
            let whole = ["-minimal", "-base"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let whole = whole.and_then(|whole| self.database.package(whole));
            let whole = whole.filter(|whole| self.database.dependencies(whole).any(|d| d.name == name));
            for package in self.database.package(&name).into_iter().chain(whole) {
                if !self.has(&package.name) {
                    self.own.push(package);
                    self.all.push((&package.name, Role::Own));
                }
            }
        }
    }

    fn add_dependencies(&mut self, host: &mut Host) {
        let mut at = 0;
        while let Some(&(name, role)) = self.all.get(at) {
            at += 1;
            let Some(package) = self.database.package(name) else { continue };
            let companions = COMPANIONS.iter().filter(|(of, _)| is_named(name, of));
            for companion in companions.filter_map(|(_, name)| self.database.package(name)) {
                if !self.has(&companion.name) {
                    self.all.push((&companion.name, Role::Companion));
                }
            }
            // Companions are taken for some of their data.
            if role == Role::Companion {
                continue;
            }
            for dependency in self.database.dependencies(package) {
                if !self.has(&dependency.name) && !self.is_system(dependency, host) {
                    self.all.push((&dependency.name, Role::Dependency));
                }
            }
        }
    }

    /// Whether a dependency is only part of the system around.
    fn is_system(&self, package: &Package, host: &mut Host) -> bool {
        package.is_standard()
            && !self.own.iter().any(|own| own.source == package.source)
            && package.files(host).iter().any(|path| filter::is_program(path))
    }
}

/// Takes a package's files, and adds the folders of configuration that it lists.
fn take_package(
    package: &Package,
    role: Role,
    folders: &mut Vec<PathBuf>,
    host: &mut Host,
) -> Result<(), ProgramError> {
    for path in package.files(host) {
        let wanted = filter::is_run_time(&path)
            && match role {
                Role::Own => true,
                Role::Dependency => !filter::is_program(&path),
                Role::Companion => !filter::is_program(&path) && filter::is_companion_data(&path),
            };
        if !wanted {
            continue;
        }
        let path = PathBuf::from(path);
        if host.take_entry(&path)? && path.starts_with("/etc") && path.components().count() > 2 {
            folders.push(path.clone());
        }
        take_compiled(&path, host)?;
    }
    Ok(())
}

/// A module of Python is compiled when its package is installed. What is compiled fits one version of the file, which it
/// knows by its time and length.
fn take_compiled(path: &Path, host: &mut Host) -> Result<(), ProgramError> {
    if path.extension().is_none_or(|extension| extension != "py") {
        return Ok(());
    }
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return Ok(()) };
    let cache = folder.join("__pycache__");
    for name in host.names_in(&cache) {
        let text = name.to_string_lossy();
        let rest =
            text.strip_prefix(&*stem.to_string_lossy()).and_then(|rest| rest.strip_prefix(".cpython-"));
        if rest.and_then(|rest| rest.strip_suffix(".pyc")).is_some_and(|tag| !tag.contains('.')) {
            host.take_entry(&cache.join(&name))?;
        }
    }
    Ok(())
}

/// Takes all in a folder, and what links in it lead to.
fn take_generated(path: &Path, host: &mut Host) -> Result<(), ProgramError> {
    let Ok(place) = host.find(path) else { return Ok(()) };
    host.take(&place)?;
    if place.is_dir() {
        for name in host.names_in(path) {
            let entry = path.join(name);
            if let Ok(place) = host.find(&entry)
                && place.is_file()
                && host.is_readable(&place)
            {
                host.take(&place)?;
            }
        }
    }
    Ok(())
}

/// In folders of configuration packages leave places for links, by which parts of theirs are switched on: those that lead to
/// what was taken are taken, too.
fn take_enabled(folders: &[PathBuf], host: &mut Host) -> Result<(), ProgramError> {
    let unique: HashSet<&PathBuf> = folders.iter().collect();
    let mut sorted: Vec<_> = unique.into_iter().collect();
    sorted.sort();
    for folder in sorted {
        for name in host.names_in(folder) {
            let path = folder.join(name);
            let leads_inside = host.find(&path).is_ok_and(|place| {
                !place.links.is_empty() && place.is_file() && host.tree.has_file(&place.real)
            });
            if leads_inside {
                host.take_entry(&path)?;
            }
        }
    }
    Ok(())
}

/// Reads any text as dpkg's status file.
pub(crate) fn exercise(text: &str) {
    let database = Database::parse(text);
    let mut selection = Selection { database: &database, own: Vec::new(), all: Vec::new() };
    selection.add_own(database.names().map(Into::into).collect());
    assert!(selection.all.len() <= database.names().count());
}
