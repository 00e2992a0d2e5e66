//! dpkg's database, read as it lies on the disk (deb-control(5), dpkg-query(1)): no call of dpkg is needed.

use crate::linux::host::Host;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const STATUS: &str = "/var/lib/dpkg/status";
const INFO: &str = "/var/lib/dpkg/info";
/// Directories of the root that are links into /usr since Debian 12. Old packages list files under both names.
const MERGED: [&str; 4] = ["/bin/", "/sbin/", "/lib/", "/lib64/"];

/// All installed packages for this machine.
#[derive(Debug, Default)]
pub(crate) struct Database {
    packages: HashMap<String, Package>,
    /// Names that stand for others.
    provided: HashMap<String, Vec<String>>,
}

/// What dpkg knows of a package.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub name: String,
    /// The source package that it was built from.
    pub source: String,
    architecture: String,
    priority: String,
    /// Each a list of alternatives.
    depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

impl Database {
    /// Reads the database; `None` where there is none.
    pub(crate) fn load(host: &mut Host) -> Option<Self> {
        let status = host.read(Path::new(STATUS)).ok()?;
        Some(Self::parse(&String::from_utf8_lossy(&status)))
    }

    pub(crate) fn parse(status: &str) -> Self {
        let mut database = Self::default();
        for paragraph in status.split("\n\n") {
            if let Some(package) = Package::parse(paragraph) {
                for name in &package.provides {
                    database.provided.entry(name.clone()).or_default().push(package.name.clone());
                }
                database.packages.insert(package.name.clone(), package);
            }
        }
        database
    }

    /// All packages.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(|name| &**name)
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.get(name)
    }

    /// The installed packages that a package depends on: of alternatives the first that is there.
    pub(crate) fn dependencies<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a Package> {
        package.depends.iter().filter_map(|alternatives| {
            alternatives.iter().find_map(|name| self.package(name).or_else(|| self.provider(name)))
        })
    }

    fn provider(&self, name: &str) -> Option<&Package> {
        self.provided.get(name)?.iter().find_map(|name| self.package(name))
    }

    /// The packages that hold one of these files.
    pub(crate) fn owners<'a>(
        &self,
        files: impl Iterator<Item = &'a Path>,
        host: &mut Host,
    ) -> BTreeSet<String> {
        let wanted: HashSet<PathBuf> = files.flat_map(both_names).collect();
        let wanted: HashSet<&[u8]> = wanted.iter().map(|path| path.as_os_str().as_bytes()).collect();
        let mut owners = BTreeSet::new();
        let mut names: Vec<&String> = self.packages.keys().collect();
        names.sort();
        for name in names {
            let list = self.package(name).and_then(|package| package.list(host));
            if list.is_some_and(|list| list.split(|&byte| byte == b'\n').any(|line| wanted.contains(line))) {
                owners.insert(name.clone());
            }
        }
        owners
    }
}

/// A path as it is, and as it is called when directories of the root and of /usr are one.
fn both_names(path: &Path) -> [PathBuf; 2] {
    let text = path.as_os_str().as_bytes();
    let merged = |text: &[u8]| MERGED.iter().any(|folder| text.starts_with(folder.as_bytes()));
    let other = match text.strip_prefix(b"/usr") {
        Some(rest) if merged(rest) => OsStr::from_bytes(rest).into(),
        None if merged(text) => Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)),
        _ => path.into(),
    };
    [path.into(), other]
}

impl Package {
    fn parse(paragraph: &str) -> Option<Self> {
        let mut package = Self::default();
        let mut installed = false;
        // Lines that go on with a blank belong to fields that are of no interest here.
        for line in paragraph.lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match field {
                "Package" => package.name = value.into(),
                "Source" => package.source = value.split(' ').next().unwrap_or_default().into(),
                "Status" => installed = value.ends_with(" installed"),
                "Architecture" => package.architecture = value.into(),
                "Priority" => package.priority = value.into(),
                "Depends" | "Pre-Depends" => package.depends.extend(relations(value)),
                "Provides" => package.provides = relations(value).flatten().collect(),
                _ => {}
            }
        }
        if package.source.is_empty() {
            package.source.clone_from(&package.name);
        }
        let ours = matches!(&*package.architecture, "amd64" | "all");
        // The name is part of a path.
        let sound = !package.name.is_empty() && !package.name.contains('/') && !package.name.starts_with('.');
        (installed && ours && sound).then_some(package)
    }

    /// Whether it is of a priority that a system has without being asked.
    pub(crate) fn is_standard(&self) -> bool {
        matches!(&*self.priority, "required" | "important" | "standard")
    }

    /// The paths of its files and directories.
    pub(crate) fn files(&self, host: &mut Host) -> Vec<String> {
        let list = self.list(host).unwrap_or_default();
        let lines = list.split(|&byte| byte == b'\n').filter(|line| line.len() > 1 && line[0] == b'/');
        // A path that is no UTF-8 is in no package of Debian's.
        lines.filter_map(|line| Some(std::str::from_utf8(line).ok()?.to_owned())).collect()
    }

    /// The script that runs when it has been unpacked.
    pub(crate) fn script(&self, host: &mut Host) -> Option<String> {
        self.info("postinst", host).map(|script| String::from_utf8_lossy(&script).into_owned())
    }

    fn list(&self, host: &mut Host) -> Option<Vec<u8>> {
        self.info("list", host)
    }

    fn info(&self, kind: &str, host: &Host) -> Option<Vec<u8>> {
        let Self { name, architecture, .. } = self;
        // The status file changes whenever one of these does: it alone is an input.
        [format!("{name}:{architecture}.{kind}"), format!("{name}.{kind}")]
            .iter()
            .find_map(|file| std::fs::read(host.outside(&Path::new(INFO).join(file))).ok())
    }
}

/// `a (>= 1) | b, c:any [amd64]` as lists of alternatives.
fn relations(value: &str) -> impl Iterator<Item = Vec<String>> {
    let name = |relation: &str| {
        let end = relation.find([' ', '(', ':', '[']).unwrap_or(relation.len());
        relation[..end].to_owned()
    };
    value
        .split(',')
        .map(move |group| group.split('|').map(|relation| name(relation.trim())).collect())
        .filter(|group: &Vec<String>| group.iter().any(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: app
Status: install ok installed
Priority: optional
Architecture: amd64
Source: suite (1.0)
Depends: gone | lib:any (>= 2), virtual,
 folded
Description: an application
 Depends: nothing

Package: lib
Status: install ok installed
Architecture: amd64

Package: real
Status: hold ok installed
Priority: important
Architecture: all
Provides: virtual (= 1), other

Package: gone
Status: deinstall ok config-files
Architecture: amd64

Package: foreign
Status: install ok installed
Architecture: i386
";

    #[test]
    fn dependencies_are_those_that_are_installed() {
        let database = Database::parse(STATUS);
        let app = database.package("app").unwrap();
        assert_eq!(app.source, "suite");
        assert!(!app.is_standard() && database.package("real").unwrap().is_standard());
        let names: Vec<_> = database.dependencies(app).map(|package| &*package.name).collect();
        assert_eq!(names, ["lib", "real"]);
        assert!(database.package("gone").is_none() && database.package("foreign").is_none());
    }

    #[test]
    fn a_path_has_two_names_where_directories_are_one() {
        let of = |path: &str| both_names(Path::new(path)).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(of("/usr/bin/x"), ["/usr/bin/x", "/bin/x"]);
        assert_eq!(of("/lib/x"), ["/lib/x", "/usr/lib/x"]);
        assert_eq!(of("/usr/share/x"), ["/usr/share/x", "/usr/share/x"]);
        assert_eq!(of("/opt/x"), ["/opt/x", "/opt/x"]);
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        for text in [
            "",
            ":",
            "Package",
            "Package:\nStatus: x installed",
            "Package: ../x\nStatus: a installed\nArchitecture: all",
        ] {
            assert!(Database::parse(text).packages.is_empty());
        }
    }
}
