//! /etc/ld.so.cache: which library has which name, as ldconfig found them (glibc's sysdeps/generic/dl-cache.h).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
const HEADER_LEN: usize = 48;
const ENTRY_LEN: usize = 24;
const OLD_ENTRY_LEN: usize = 12;
/// `FLAG_X8664_LIB64 | FLAG_ELF_LIBC6`.
const X86_64: u32 = 0x0303;

/// Paths by the library's name: first those for every CPU, then those for some (`glibc-hwcaps` directories).
#[derive(Debug, Default)]
pub(crate) struct LdCache(HashMap<Vec<u8>, Vec<(bool, PathBuf)>>);

impl LdCache {
    /// Reads the file. What cannot be read of it is not there: the dynamic linker does the same.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut cache = Self::default();
        let Some(new) = new_part(bytes) else { return cache };
        let count = number(new, 20).unwrap_or(0) as usize;
        for entry in new.get(HEADER_LEN..).unwrap_or_default().chunks_exact(ENTRY_LEN).take(count) {
            let (flags, key, value) = (number(entry, 0), number(entry, 4), number(entry, 8));
            let some_cpus = entry[16..].iter().any(|&byte| byte != 0);
            if flags != Some(X86_64) {
                continue;
            }
            if let (Some(name), Some(path)) = (text(new, key), text(new, value))
                && path.starts_with(b"/")
            {
                let paths = cache.0.entry(name.to_vec()).or_default();
                paths.push((some_cpus, PathBuf::from(OsStr::from_bytes(path))));
            }
        }
        // Stable: of those that are alike the first counts.
        cache.0.values_mut().for_each(|paths| paths.sort_by_key(|(some_cpus, _)| *some_cpus));
        cache
    }

    /// Where libraries of this name are.
    pub(crate) fn find<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a Path> + use<'a> {
        self.0.get(name).into_iter().flatten().map(|(_, path)| path.as_path())
    }
}

/// The part in the new format: the file may begin with the old one.
fn new_part(bytes: &[u8]) -> Option<&[u8]> {
    let new = if bytes.starts_with(OLD_MAGIC) {
        let count = number(bytes, 12)? as usize;
        let end = count.checked_mul(OLD_ENTRY_LEN)?.checked_add(16)?;
        bytes.get(end.checked_next_multiple_of(8)?..)?
    } else {
        bytes
    };
    new.starts_with(MAGIC).then_some(new)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn text(bytes: &[u8], at: Option<u32>) -> Option<&[u8]> {
    let text = bytes.get(usize::try_from(at?).ok()?..)?;
    let end = text.iter().position(|&byte| byte == 0)?;
    Some(&text[..end]).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with these entries: flags, hwcap, name, path.
    fn cache(entries: &[(u32, u64, &str, &str)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.resize(HEADER_LEN, 0);
        let mut strings = Vec::new();
        let base = HEADER_LEN + entries.len() * ENTRY_LEN;
        for (flags, hwcap, name, path) in entries {
            bytes.extend(flags.to_le_bytes());
            for text in [name, path] {
                bytes.extend(((base + strings.len()) as u32).to_le_bytes());
                strings.extend(text.bytes().chain([0]));
            }
            bytes.extend(0u32.to_le_bytes());
            bytes.extend(hwcap.to_le_bytes());
        }
        [bytes, strings].concat()
    }

    #[test]
    fn libraries_for_every_cpu_come_first_and_32_bit_ones_not_at_all() {
        let entries = [
            (X86_64, 1 << 62, "libx.so.1", "/usr/lib/glibc-hwcaps/x86-64-v3/libx.so.1"),
            (X86_64, 0, "libx.so.1", "/usr/lib/libx.so.1"),
            (0x0003, 0, "libx.so.1", "/usr/lib32/libx.so.1"),
        ];
        let old = [OLD_MAGIC, &1u32.to_le_bytes(), &[0; 12], &[0; 4]].concat();
        for bytes in [cache(&entries), [old, cache(&entries)].concat()] {
            let cache = LdCache::parse(&bytes);
            let found: Vec<_> = cache.find(b"libx.so.1").map(|path| path.to_str().unwrap()).collect();
            assert_eq!(found, ["/usr/lib/libx.so.1", "/usr/lib/glibc-hwcaps/x86-64-v3/libx.so.1"]);
            assert_eq!(cache.find(b"liby.so").count(), 0);
        }
    }

    #[test]
    fn any_damage_leaves_a_cache_that_can_be_asked() {
        let whole = cache(&[(X86_64, 0, "a", "/a"), (X86_64, 0, "b", "/b")]);
        for len in 0..whole.len() {
            LdCache::parse(&whole[..len]);
            let mut changed = whole.clone();
            changed[len] = 0xff;
            LdCache::parse(&changed);
        }
    }

    #[test]
    fn the_cache_of_this_machine_knows_the_c_library() {
        let cache = LdCache::parse(&std::fs::read("/etc/ld.so.cache").unwrap());
        assert!(cache.find(b"libc.so.6").next().unwrap().is_file());
    }
}
