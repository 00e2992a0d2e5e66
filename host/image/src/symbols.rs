//! What an address in an image means.
//!
//! The image itself carries no names: it prints `kernlet+0x10432c`, an address at link time. The linked file
//! with symbols and line tables is kept on the host that built the image, under the image's build id.

use crate::layout::{Header, LINK_BASE};
use crate::store::{self, StoreError};
use addr2line::Context;
use kernlet_wire::manifest::BuildId;
use miette::Diagnostic;
use object::elf;
use object::endian::LittleEndian as LE;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// How many linked files are kept: the youngest.
const KEEP: usize = 50;
/// How the library OS prints an address.
const TOKEN: &str = "kernlet+0x";

type Reader = gimli::EndianArcSlice<gimli::LittleEndian>;

/// Why addresses cannot be resolved.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum SymbolError {
    /// There are no symbols for the image here.
    #[error("there are no symbols for the image {build_id} on this machine")]
    #[diagnostic(help("they are kept where an image is built, for the {KEEP} youngest: build it again"))]
    Missing {
        /// The image.
        build_id: BuildId,
    },
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its symbols are malformed.
    #[error("the symbols cannot be read")]
    Object(#[from] object::Error),
    /// Its line tables are malformed.
    #[error("the line tables cannot be read")]
    Dwarf(#[from] gimli::Error),
}

/// A place in the source. Of several for one address the first is the innermost inlined function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function's name.
    pub function: String,
    /// The source file: from its crate's folder on (`smoltcp-0.14.0/src/wire/ip.rs`), without a path of the
    /// machine that built it.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

impl Frame {
    /// Whether it is a function of the standard library.
    #[must_use]
    pub fn is_std(&self) -> bool {
        let prefixes = ["alloc/src/", "core/src/", "std/src/"];
        self.file.as_ref().is_some_and(|file| prefixes.iter().any(|prefix| file.starts_with(prefix)))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if let Some(file) = &self.file {
            write!(f, " at {file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}

/// The symbols of one image.
pub struct Symbols {
    context: Context<Reader>,
    /// Address, length and mangled name of functions, by address.
    functions: Vec<(u64, u64, String)>,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

impl Symbols {
    /// Opens the symbols of the image `build_id`, kept under `home`.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn open(home: &Path, build_id: BuildId) -> Result<Self, SymbolError> {
        let path = path_of(home, build_id);
        match fs::read(&path) {
            Ok(linked) => Self::parse(&linked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SymbolError::Missing { build_id }),
            Err(source) => Err(SymbolError::Read { path, source }),
        }
    }

    /// Takes the symbols of a linked file.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn parse(linked: &[u8]) -> Result<Self, SymbolError> {
        let header = Header::parse(linked)?;
        let sections = header.sections(LE, linked)?;
        let load = |id: gimli::SectionId| -> Result<Reader, gimli::Error> {
            let section = sections.section_by_name(LE, id.name().as_bytes());
            let data = section.and_then(|(_, section)| section.data(LE, linked).ok()).unwrap_or_default();
            Ok(Reader::new(Arc::from(data), gimli::LittleEndian))
        };
        let context = Context::from_dwarf(gimli::Dwarf::load(load)?)?;
        let symbols = sections.symbols(LE, linked, elf::SHT_SYMTAB)?;
        let mut functions = Vec::new();
        for symbol in
            symbols.iter().filter(|s| s.st_type() == elf::STT_FUNC || s.st_type() == elf::STT_NOTYPE)
        {
            let name = String::from_utf8_lossy(symbols.symbol_name(LE, symbol)?).into_owned();
            if !name.is_empty() && symbol.st_shndx(LE).0 != 0 {
                functions.push((symbol.st_value(LE), symbol.st_size(LE), name));
            }
        }
        functions.sort();
        Ok(Self { context, functions })
    }

    /// The places in the source that the code at a link-time address comes from, the innermost first. Nothing
    /// when the address is in no function.
    #[must_use]
    pub fn resolve(&self, link_address: u64) -> Vec<Frame> {
        // Logs may hold any number at all; images end below 4 GiB.
        if !(LINK_BASE..1 << 32).contains(&link_address) {
            return Vec::new();
        }
        let mut frames = self.source_frames(link_address).unwrap_or_default();
        if let Some(symbol) = self.function(link_address) {
            // The line tables tell the bare names of functions, the symbol the whole path.
            match frames.last_mut() {
                Some(outermost) => outermost.function = symbol,
                None => frames.push(Frame { function: symbol, file: None, line: None }),
            }
        }
        frames.retain(|frame| !frame.function.is_empty());
        frames
    }

    /// Explains each `kernlet+0xHEX` in a line of a log: `kernlet+0x10432c (function at file:line)`. `None`
    /// when the line holds no address that is known.
    ///
    /// Functions of the standard library are left out where they were inlined into others. In a line of a
    /// backtrace (`3: kernlet+0x10432c`) the address is where a call returns to: what is told is the call.
    #[must_use]
    pub fn symbolise_line(&self, line: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = line;
        let mut found = false;
        while let Some(at) = rest.find(TOKEN) {
            let digits = &rest[at + TOKEN.len()..];
            let len = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
            let returns = is_numbered(&rest[..at]);
            let (token, tail) = rest.split_at(at + TOKEN.len() + len);
            out.push_str(token);
            let address = u64::from_str_radix(&digits[..len], 16).unwrap_or(0);
            let frames = self.resolve(address.saturating_sub(returns.into()));
            if !frames.is_empty() {
                found = true;
                out.push_str(&format!(" ({})", explained(&frames)));
            }
            rest = tail;
        }
        out.push_str(rest);
        found.then_some(out)
    }

    fn source_frames(&self, address: u64) -> Result<Vec<Frame>, gimli::Error> {
        let mut found = self.context.find_frames(address).skip_all_loads()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next()? {
            let name = frame.function.as_ref().map(|name| name.raw_name()).transpose()?;
            let location = frame.location.as_ref();
            frames.push(Frame {
                function: name.map(|name| bare(&demangled(&name)).into()).unwrap_or_default(),
                file: location.and_then(|l| l.file).map(shortened),
                line: location.and_then(|l| l.line),
            });
        }
        Ok(frames)
    }

    fn function(&self, address: u64) -> Option<String> {
        let after = self.functions.partition_point(|(start, ..)| *start <= address);
        let before = self.functions[..after].iter().rev();
        // Assembly labels have no length: they reach to the next symbol.
        let mut near = before.take_while(|(start, ..)| *start == self.functions[after - 1].0);
        let (_, _, name) = near.find(|(start, len, _)| *len == 0 || address - start < *len)?;
        Some(demangled(name))
    }
}

/// Whether what precedes an address ends in the number of a frame, such as ` 12: `.
fn is_numbered(before: &str) -> bool {
    before.strip_suffix(": ").is_some_and(|before| before.ends_with(|c: char| c.is_ascii_digit()))
}

fn explained(frames: &[Frame]) -> String {
    let own: Vec<String> = frames.iter().filter(|frame| !frame.is_std()).map(Frame::to_string).collect();
    match frames {
        [inner, ..] if own.is_empty() => inner.to_string(),
        _ => own.join(", inlined into "),
    }
}

/// Keeps a linked file as the symbols of the image `build_id`.
pub(crate) fn keep(home: &Path, build_id: BuildId, linked: &[u8]) -> Result<(), StoreError> {
    let path = path_of(home, build_id);
    if path.is_file() {
        store::touch(&path);
        return Ok(());
    }
    store::write_atomically(&path, 0o644, |file| {
        io::Write::write_all(file, linked).map_err(|error| StoreError::new(&path, error))
    })?;
    path.parent().into_iter().for_each(|folder| store::prune(folder, KEEP));
    Ok(())
}

fn path_of(home: &Path, build_id: BuildId) -> PathBuf {
    home.join("symbols").join(build_id.to_string())
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The name of an inlined function without its type parameters, which can be longer than the line.
fn bare(name: &str) -> &str {
    match name.find('<') {
        Some(at) if at > 0 => name[..at].trim_end_matches("::"),
        _ => name,
    }
}

/// Takes away what stands for folders of the machine: the names that the build gave them, the registry's index,
/// and the commit of the standard library.
fn shortened(file: &str) -> String {
    for prefix in ["/crate/", "/crates/", "/crates.io/", "/kernlet/", "/target/"] {
        if let Some(rest) = file.strip_prefix(prefix) {
            return rest.trim_start_matches("./").into();
        }
    }
    if let Some((_, rest)) = file.strip_prefix("/cargo/").and_then(|rest| rest.split_once('/')) {
        return rest.into();
    }
    if let Some((_, rest)) = file.strip_prefix("/rustc/").and_then(|rest| rest.split_once("/library/")) {
        return rest.into();
    }
    // The library OS in a checkout of kernlet, else a path that the build gave no name: the crate's folder is likely the one above src or tests.
    if let Some(at) = file.rfind("/libos/") {
        return file[at + 1..].into();
    }
    let folders = ["/src/", "/tests/"].iter().filter_map(|name| file.rfind(name)).max();
    match folders.filter(|_| file.starts_with('/')) {
        Some(at) => file[file[..at].rfind('/').map_or(0, |at| at + 1)..].into(),
        None => file.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn no_path_of_the_building_machine_is_shown() {
        assert_eq!(shortened("/crate/src/main.rs"), "src/main.rs");
        assert_eq!(shortened("/kernlet/libos/net/src/lib.rs"), "libos/net/src/lib.rs");
        assert_eq!(shortened("/crates.io/smoltcp-0.14.0/src/a.rs"), "smoltcp-0.14.0/src/a.rs");
        assert_eq!(
            shortened("/cargo/registry.example-0123456789abcdef/smoltcp-0.14.0/src/a.rs"),
            "smoltcp-0.14.0/src/a.rs"
        );
        assert_eq!(shortened("/rustc/0123abcd/library/core/src/num/mod.rs"), "core/src/num/mod.rs");
        assert_eq!(shortened("/home/me/app/src/main.rs"), "app/src/main.rs");
        assert_eq!(shortened("src/main.rs"), "src/main.rs");
    }
}
