//! A Linux system of a few files: programs are ELF files with nothing in them but what says what they need.
#![allow(dead_code, reason = "each test file uses a part")]

use kernlet_image::Image;
use kernlet_image::erofs::{self, Entry};
use kernlet_image::linux::{ProgramError, ProgramOptions, build_program};
use kernlet_image::native::Built;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const INTERPRETER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What an ELF file says.
#[derive(Clone, Default)]
pub struct Elf<'a> {
    pub interpreter: Option<&'a str>,
    pub needed: &'a [&'a str],
    pub soname: Option<&'a str>,
    pub rpath: Option<&'a str>,
    pub runpath: Option<&'a str>,
}

impl Elf<'_> {
    /// A program for the usual dynamic linker.
    pub fn program<'a>(needed: &'a [&'a str]) -> Elf<'a> {
        Elf { interpreter: Some(INTERPRETER), needed, ..Elf::default() }
    }

    /// The file: its header, three program headers, then the interpreter's path, strings and dynamic section.
    pub fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut dynamic: Vec<(u64, u64)> = Vec::new();
        let mut name = |tag: u64, text: &str| {
            dynamic.push((tag, strings.len() as u64));
            strings.extend(text.bytes().chain([0]));
        };
        self.needed.iter().for_each(|text| name(1, text));
        [(14, self.soname), (15, self.rpath), (29, self.runpath)]
            .into_iter()
            .for_each(|(tag, text)| text.into_iter().for_each(|text| name(tag, text)));
        let interpreter: Vec<u8> = self.interpreter.unwrap_or("none").bytes().chain([0]).collect();
        let interpreter_at = 64 + 3 * 56;
        let strings_at = interpreter_at + interpreter.len();
        let dynamic_at = (strings_at + strings.len()).next_multiple_of(8);
        dynamic.extend([(5, strings_at as u64), (10, strings.len() as u64), (0, 0)]);
        let len = dynamic_at + dynamic.len() * 16;

        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([0x1000u64, 64, 0].iter().flat_map(|number| number.to_le_bytes()));
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 64, 0, 0, 0, 0, 0]);
        let mut header = |kind: u32, at: usize, len: usize| {
            file.extend(kind.to_le_bytes());
            file.extend(4u32.to_le_bytes());
            let numbers = [at, at, at, len, len, 8];
            file.extend(numbers.iter().flat_map(|number| (*number as u64).to_le_bytes()));
        };
        header(1, 0, len);
        // Without an interpreter there is an entry that means nothing (`PT_NULL`).
        header(if self.interpreter.is_some() { 3 } else { 0 }, interpreter_at, interpreter.len());
        header(2, dynamic_at, len - dynamic_at);
        file.extend(interpreter);
        file.extend(strings);
        file.resize(dynamic_at, 0);
        file.extend(
            dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten(),
        );
        file
    }
}

/// A system in a folder of its own, and a home for kernlet.
pub struct System {
    folder: tempfile::TempDir,
}

impl System {
    /// With a dynamic linker and a C library, as Debian has them.
    pub fn new() -> Self {
        let new = Self { folder: tempfile::tempdir().unwrap() };
        new.link("/lib", "usr/lib");
        new.link("/lib64", "usr/lib64");
        new.link("/usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
        new.library("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", Elf::default());
        new.library(
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            Elf { soname: Some("libc.so.6"), ..Elf::default() },
        );
        new
    }

    pub fn outside(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.outside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.outside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub fn program(&self, path: &str, elf: &Elf<'_>) -> PathBuf {
        self.put(path, &elf.bytes(), 0o755)
    }

    pub fn library(&self, path: &str, elf: Elf<'_>) -> PathBuf {
        self.put(path, &elf.bytes(), 0o644)
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn options(&self) -> ProgramOptions {
        ProgramOptions { sysroot: Some(self.outside("/")), ..ProgramOptions::default() }
    }

    pub fn build(&self, path: &str) -> Result<Built, ProgramError> {
        self.build_with(path, &self.options())
    }

    pub fn build_with(&self, path: &str, options: &ProgramOptions) -> Result<Built, ProgramError> {
        build_program(Path::new(path), options, &self.home(), &mut ())
    }

    /// Builds, and gives the image.
    #[track_caller]
    pub fn image(&self, path: &str) -> Image {
        Image::open(self.build(path).unwrap().image).unwrap()
    }

    /// Builds, and lists what is in the root.
    #[track_caller]
    pub fn root(&self, path: &str) -> Root {
        Root::of(&self.image(path))
    }

    /// What building fails with: the message, its help, and the status.
    #[track_caller]
    pub fn fails(&self, path: &str) -> (String, Option<u8>) {
        let error = self.build(path).unwrap_err();
        let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
        (format!("{error}\n{help}"), error.status())
    }
}

/// The files of an image.
pub struct Root {
    pub entries: Vec<Entry>,
}

impl Root {
    pub fn of(image: &Image) -> Self {
        let (offset, len) = image.root().unwrap();
        Self { entries: erofs::list(image.file(), offset, len).unwrap() }
    }

    pub fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    pub fn target(&self, path: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.path == path)?.target.as_deref()
    }

    /// Asserts that all of the one are there and none of the other.
    #[track_caller]
    pub fn check(&self, there: &[&str], not: &[&str]) {
        for path in there {
            assert!(self.has(path), "{path} is missing: {:#?}", self.paths());
        }
        for path in not {
            assert!(!self.has(path), "{path} is there");
        }
    }

    fn paths(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| &*entry.path).collect()
    }
}
