//! The archive that an initial file system comes in: cpio of the format "newc" (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;

/// Headers and contents begin at multiples of this.
const ALIGN: usize = 4;
const FOLDER: u32 = 0o40755;
const FILE: u32 = 0o100_755;
/// When all files were changed: not at the beginning of time, since NSD takes a zone file of then for one that it has read.
const TIME: u32 = 1 << 30;
/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive that grows. All in it is root's, and may be read and executed by everybody.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// A folder, with those that it lies in.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.contains(path) {
            return;
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.folders.insert(path.into());
        self.entry(path, FOLDER, &[]);
    }

    /// A file, with the folders that it lies in.
    pub fn file(&mut self, path: &str, contents: &[u8]) {
        let path = path.trim_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(path, FILE, contents);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (contents.len() as u32, name.len() as u32 + 1);
        // Inode, mode, owner, group, links, time, size, device and represented device, length of the name, no checksum.
        let fields = [self.entries, mode, 0, 0, 1, TIME, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_the_documented_layout_and_folders_come_before_their_files() {
        let mut archive = Archive::default();
        archive.file("/a/b", b"five!");
        archive.file("a/c", b"");
        let bytes = archive.finish();
        let header = |inode: u32, mode: &str, size: u32, name: u32| {
            let zeros = "00000000";
            format!(
                "070701{inode:08x}{mode}{zeros}{zeros}0000000140000000{size:08x}{}{name:08x}{zeros}",
                zeros.repeat(4)
            )
        };
        let expected = [
            header(1, "000041ed", 0, 2) + "a\0",
            header(2, "000081ed", 5, 4) + "a/b\0\0\0five!\0\0\0",
            header(3, "000081ed", 0, 4) + "a/c\0\0\0",
            header(4, "00000000", 0, 11) + "TRAILER!!!\0\0\0\0",
        ];
        assert_eq!(String::from_utf8(bytes).unwrap(), expected.concat());
    }
}
