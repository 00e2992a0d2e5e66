//! What takes how much room in a linked program: by section, and by Rust crate.

use crate::layout::Header;
use object::elf;
use object::endian::LittleEndian as LE;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};
use std::collections::BTreeMap;

/// Symbols without a Rust name: assembly, and functions that are exported under a name of their own.
const NO_CRATE: &str = "(assembly and exported)";
/// What no symbol covers: text and constants without a name, relocations, padding.
const NO_SYMBOL: &str = "(unnamed data)";

/// Sizes in bytes, largest first; equal ones by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub sections: Vec<(String, u64)>,
    pub crates: Vec<(String, u64)>,
}

/// Adds up the sections and symbols of a linked file that still has them. Memory that is zero at the start
/// is no part of the image and is not counted by crate.
pub(crate) fn of(linked: &[u8]) -> Result<Sizes, object::Error> {
    let header = Header::parse(linked)?;
    let table = header.sections(LE, linked)?;
    let mut sections = BTreeMap::new();
    let mut in_file = 0;
    for section in table.iter().filter(|s| s.sh_flags(LE).contains(elf::SHF_ALLOC) && s.sh_size(LE) > 0) {
        let name = String::from_utf8_lossy(table.section_name(LE, section)?).into_owned();
        *sections.entry(name).or_insert(0) += section.sh_size(LE);
        if section.sh_type(LE) != elf::SHT_NOBITS {
            in_file += section.sh_size(LE);
        }
    }

    let symbols = table.symbols(LE, linked, elf::SHT_SYMTAB)?;
    let mut named = Vec::new();
    for symbol in symbols.iter() {
        let index = symbol.st_shndx(LE).0;
        if index == 0 || index >= elf::SHN_LORESERVE {
            continue;
        }
        let section = table.section(object::SectionIndex(usize::from(index)))?;
        let in_memory_only = section.sh_type(LE) == elf::SHT_NOBITS;
        let kind = symbol.st_type();
        if symbol.st_size(LE) > 0 && !in_memory_only && (kind == elf::STT_FUNC || kind == elf::STT_OBJECT) {
            named.push((symbol.st_value(LE), symbol.st_size(LE), symbols.symbol_name(LE, symbol)?));
        }
    }
    // Identical functions share an address: the first name pays, and no byte is counted twice.
    named.sort_unstable();
    let mut crates = BTreeMap::new();
    let (mut end, mut counted) = (0, 0);
    for (address, size, name) in named {
        let size = size.saturating_sub(end.max(address) - address);
        end = end.max(address.saturating_add(size));
        *crates.entry(crate_of(name)).or_insert(0) += size;
        counted += size;
    }
    crates.insert(NO_SYMBOL.into(), in_file.saturating_sub(counted));
    Ok(Sizes { sections: sorted(sections), crates: sorted(crates) })
}

fn sorted(sizes: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut list: Vec<_> = sizes.into_iter().filter(|(_, size)| *size > 0).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list
}

/// The crate that a symbol belongs to. In a v0 name (RFC 2603) only crates carry a disambiguator, which
/// demangling shows as `name[1234abcd]`; the first is that of the function, or of the type it is a method of.
fn crate_of(symbol: &[u8]) -> String {
    let name = core::str::from_utf8(symbol).ok().and_then(|s| rustc_demangle::try_demangle(s).ok());
    let Some(name) = name.map(|name| name.to_string()) else { return NO_CRATE.into() };
    let is_ident = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in name.match_indices('[') {
        let before = &name[..at];
        let start = before.rfind(|c| !is_ident(c)).map_or(0, |at| at + 1);
        let hash = name[at + 1..].split(']').next().unwrap_or_default();
        if start < at && !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return before[start..].into();
        }
    }
    NO_CRATE.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_a_v0_symbol_is_found() {
        assert_eq!(crate_of(b"_RNvCsdV2xTgp8Q5b_7mycrate3foo"), "mycrate");
        assert_eq!(crate_of(b"_RNvMs_NtCs3Vu_4core3fmtNtB4_9Formatter9write_str"), "core");
        assert_eq!(crate_of(b"memcpy"), NO_CRATE);
        assert_eq!(crate_of(b"\xff"), NO_CRATE);
    }
}
