//! The program: from what the user names to the executable that is entered, with its libraries.

use super::elf::{Elf, ElfError};
use super::error::ProgramError;
use super::host::{Host, Place};
use super::libraries::Linker;
use super::script::{HEAD, MAX_DEPTH, Shebang};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where `env` looks for programs: the default of the image's own environment.
const ENV_PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is entered, and how.
pub(crate) struct Program {
    /// The executable's path in the root.
    pub path: PathBuf,
    /// What it is called.
    pub name: OsString,
    /// What stands before the arguments: `argv[0]`, and for a script what its first line says and its path.
    pub lead: Vec<OsString>,
    /// All files that were named on the way, with the links to them: scripts, interpreters, the executable.
    pub places: Vec<Place>,
    /// Its dynamic linker's path.
    pub interpreter: Option<PathBuf>,
    /// How its libraries are found; a static program has none.
    linker: Option<Linker>,
}

impl Program {
    /// Finds the program that is started by executing `path`, and takes into the root what that needs.
    pub(crate) fn find(path: &Path, name: Option<&OsStr>, host: &mut Host) -> Result<Self, ProgramError> {
        let name = name.unwrap_or(path.as_os_str()).to_owned();
        let mut program = Self {
            path: path.into(),
            lead: vec![name.clone()],
            name,
            places: Vec::new(),
            interpreter: None,
            linker: None,
        };
        for _ in 0..MAX_DEPTH {
            let (place, mut file) = program.executable(host)?;
            let mut head = Vec::new();
            let read = |source| ProgramError::Read { path: program.path.clone(), source };
            file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(read)?;
            let line = Shebang::parse(&head);
            if line.is_none() && !head.starts_with(b"\x7fELF") {
                return Err(ProgramError::NoProgram(program.path));
            }
            if place.about.mode() & 0o111 == 0 {
                return Err(ProgramError::NoPermission(program.path));
            }
            host.take(&place)?;
            program.places.push(place.clone());
            let Some(line) = line else {
                program.load(&file, &place, host)?;
                return Ok(program);
            };
            program.interpret(line, host)?;
        }
        let why = "its interpreter is a script, and so is that one's, and so on".into();
        Err(ProgramError::Script { script: program.name.into(), interpreter: program.path, why })
    }

    /// The paths of what is entered: the executable and its dynamic linker.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.path].into_iter().chain(&self.interpreter).map(PathBuf::as_path)
    }

    /// Takes what the libraries and modules in the root need that came by other ways. What is not found is left out:
    /// nobody knows whether they will be loaded.
    pub(crate) fn take_libraries(&self, host: &mut Host) -> Result<(), ProgramError> {
        let Some(linker) = &self.linker else { return Ok(()) };
        let mut known = HashSet::new();
        for (path, outside) in host.tree.host_files() {
            let name = path.file_name().unwrap_or_default().as_bytes();
            if !name.windows(3).any(|part| part == b".so") {
                continue;
            }
            if let Ok(elf) =
                File::open(&outside).map_err(|e| ElfError::Read(e.kind())).and_then(|f| Elf::read(&f))
            {
                linker.take(&path, &path, &elf, Some(&mut known), host)?;
            }
        }
        if let Some(cache) = linker.cache(host)
            && host.tree.is_free("/etc/ld.so.cache")
        {
            host.tree.add_bytes("/etc/ld.so.cache", 0o644, cache)?;
        }
        Ok(())
    }

    /// Opens what is at the path, if it is a file.
    fn executable(&self, host: &mut Host) -> Result<(Place, File), ProgramError> {
        let path = || self.path.clone();
        let place = host.find(&self.path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.missing(),
            _ => ProgramError::Read { path: path(), source },
        })?;
        if !place.is_file() {
            return Err(ProgramError::NotAFile(path()));
        }
        let file = File::open(host.outside(&place.real));
        Ok((place, file.map_err(|source| ProgramError::Read { path: path(), source })?))
    }

    /// Nothing is there: of a script, the interpreter.
    fn missing(&self) -> ProgramError {
        match self.places.last() {
            Some(script) => ProgramError::Script {
                script: script.real.clone(),
                interpreter: self.path.clone(),
                why: "it does not exist".into(),
            },
            None => ProgramError::NotFound(self.path.clone()),
        }
    }

    /// Goes from a script to its interpreter. `env` only looks for another program, which it then becomes: that is looked
    /// for now.
    fn interpret(&mut self, line: Shebang, host: &mut Host) -> Result<(), ProgramError> {
        let script = std::mem::take(&mut self.path);
        let mut lead: Vec<OsString> = match line.through_env() {
            Some((name, rest)) => {
                self.path = find_by_env(&name, host).ok_or_else(|| ProgramError::Script {
                    script: script.clone(),
                    interpreter: name.clone().into(),
                    why: format!("it is in none of {}", ENV_PATH.join(", ")),
                })?;
                [name].into_iter().chain(rest).collect()
            }
            None => {
                // A relative one is looked for from the working directory on.
                self.path = Path::new("/").join(&line.interpreter);
                [line.interpreter.into_os_string()].into_iter().chain(line.argument).collect()
            }
        };
        // The script's path stands where argv[0] stood, as by the kernel.
        lead.push(script.into_os_string());
        lead.extend(self.lead.drain(..).skip(1));
        self.lead = lead;
        Ok(())
    }

    /// Takes the executable's dynamic linker and libraries.
    fn load(&mut self, file: &File, place: &Place, host: &mut Host) -> Result<(), ProgramError> {
        let path = self.path.clone();
        let elf = Elf::read(file).map_err(|source| ProgramError::Elf { path: path.clone(), source })?;
        if elf.interpreter.is_none() && !elf.has_entry {
            return Err(ProgramError::SharedLibrary(path.clone()));
        }
        host.needs(elf.level, &path);
        let Some(interpreter) = &elf.interpreter else { return Ok(()) };
        let interpreter = Path::new(OsStr::from_bytes(interpreter));
        let wrong = |why: String| ProgramError::Interpreter {
            program: path.clone(),
            interpreter: interpreter.into(),
            why,
        };
        // A relative one is looked for from the working directory on.
        let absolute = Path::new("/").join(interpreter);
        let (linker, linker_file) = host.open(&absolute).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => wrong("it does not exist".into()),
            _ => wrong(error.to_string()),
        })?;
        let own = Elf::read(&linker_file).map_err(|error| wrong(error.to_string()))?;
        host.needs(own.level, &absolute);
        host.take(&linker)?;
        let linker = Linker::of(&absolute, host)?;
        linker.take(&path, &place.real, &elf, None, host)?;
        linker.take_hidden(host)?;
        (self.interpreter, self.linker) = (Some(absolute), Some(linker));
        Ok(())
    }
}

fn find_by_env(name: &OsStr, host: &mut Host) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(Path::new("/").join(name));
    }
    ENV_PATH
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| host.find(path).is_ok_and(|place| place.is_file() && place.about.mode() & 0o111 != 0))
}
