//! /etc/ld.so.cache: which library has which name, as ldconfig found them (glibc's sysdeps/generic/dl-cache.h).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
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

/// Writes a cache of these libraries: name and path. The order is the dynamic linker's own, which searches by halving.
pub(crate) fn encode(libraries: &BTreeMap<Vec<u8>, PathBuf>) -> Vec<u8> {
    const LITTLE_ENDIAN: u8 = 2;
    let mut sorted: Vec<_> = libraries.iter().collect();
    sorted.sort_by(|a, b| compare(b.0, a.0));
    let start = HEADER_LEN + sorted.len() * ENTRY_LEN;
    let (mut entries, mut strings) = (Vec::new(), Vec::new());
    for (name, path) in sorted {
        entries.extend(X86_64.to_le_bytes());
        for text in [name, path.as_os_str().as_bytes()] {
            entries.extend(small(start + strings.len()));
            strings.extend_from_slice(text);
            strings.push(0);
        }
        entries.extend([0; 12]);
    }
    let mut header = [MAGIC, &small(libraries.len()), &small(strings.len()), &[LITTLE_ENDIAN]].concat();
    header.resize(HEADER_LEN, 0);
    [header, entries, strings].concat()
}

/// A number that is small: so many libraries no program has.
fn small(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// `_dl_cache_libcmp` of glibc: by bytes, but numbers by their value, and behind all else.
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    fn digits(text: &[u8]) -> (u32, &[u8]) {
        let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = text[..len]
            .iter()
            .fold(0u32, |value, digit| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
        (value, &text[len..])
    }
    loop {
        match (a.first(), b.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let ((x, rest_a), (y, rest_b)) = (digits(a), digits(b));
                if x != y {
                    return x.cmp(&y);
                }
                (a, b) = (rest_a, rest_b);
            }
            (Some(x), _) if x.is_ascii_digit() => return Ordering::Greater,
            (Some(_), Some(y)) if y.is_ascii_digit() => return Ordering::Less,
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            (x, y) => return x.cmp(&y),
        }
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
    fn what_is_written_is_found() {
        let names = ["libc.so.6", "libz.so.1", "libcrypto.so.3", "libx.so.10", "libx.so.9", "libx-1.so"];
        let libraries =
            names.map(|name| (name.as_bytes().to_vec(), PathBuf::from(format!("/usr/lib/{name}"))));
        let bytes = encode(&libraries.into());
        let cache = LdCache::parse(&bytes);
        for name in names {
            assert_eq!(cache.find(name.as_bytes()).next().unwrap(), Path::new("/usr/lib").join(name));
        }
        assert_eq!(compare(b"libx.so.10", b"libx.so.9"), Ordering::Greater);
        assert_eq!(compare(b"lib1", b"liba"), Ordering::Greater);
        assert_eq!(compare(b"liba", b"lib1"), Ordering::Less);
        assert_eq!(compare(b"liba", b"libab"), Ordering::Less);
        assert_eq!(compare(b"lib", b"lib"), Ordering::Equal);
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
