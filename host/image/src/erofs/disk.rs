//! The structures on disk, by the offsets of fs/erofs/erofs_fs.h. All numbers are little-endian.

/// Block size: the page size, so that files can be mapped.
pub(crate) const BLOCK: u64 = 4096;
/// Offset of the superblock, and its length.
pub(crate) const SUPER_OFFSET: usize = 1024;
pub(crate) const SUPER_LEN: usize = 128;
/// Inodes stand at multiples of this; an inode's number is its offset divided by it.
pub(crate) const SLOT: u64 = 32;
pub(crate) const DIRENT_LEN: usize = 12;
pub(crate) const NAME_MAX: usize = 255;

const MAGIC: u32 = 0xe0f5_e1e2;
const COMPAT_CHECKSUM: u32 = 1;

/// The first field of an inode: its form, and where its data are.
const EXTENDED: u16 = 1;
const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2 << 1;

/// File type bits of a mode.
pub(crate) const S_IFMT: u16 = 0o170_000;
pub(crate) const S_IFDIR: u16 = 0o040_000;
pub(crate) const S_IFREG: u16 = 0o100_000;
pub(crate) const S_IFLNK: u16 = 0o120_000;

/// The file type of a directory entry.
pub(crate) const fn dirent_type(mode: u16) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        S_IFLNK => 7,
        _ => 0,
    }
}

/// The numbers of the superblock that vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Super {
    pub root_nid: u16,
    pub inodes: u64,
    pub blocks: u32,
    /// The time of all compact inodes: seconds and nanoseconds since 1970.
    pub built: (u64, u32),
}

impl Super {
    /// Writes the superblock into the first block, which must be complete otherwise: it is part of the
    /// checksum.
    pub(crate) fn write(self, first_block: &mut [u8]) {
        let sb = &mut first_block[SUPER_OFFSET..SUPER_OFFSET + SUPER_LEN];
        sb.fill(0);
        put(sb, 0, &MAGIC.to_le_bytes());
        put(sb, 8, &COMPAT_CHECKSUM.to_le_bytes());
        sb[12] = BLOCK.trailing_zeros() as u8;
        put(sb, 14, &self.root_nid.to_le_bytes());
        put(sb, 16, &self.inodes.to_le_bytes());
        put(sb, 24, &self.built.0.to_le_bytes());
        put(sb, 32, &self.built.1.to_le_bytes());
        put(sb, 36, &self.blocks.to_le_bytes());
        let checksum = crc32c(&first_block[SUPER_OFFSET..BLOCK as usize]);
        put(first_block, SUPER_OFFSET + 4, &checksum.to_le_bytes());
    }

    /// Reads the superblock of a file system of the kind that this crate writes.
    pub(crate) fn read(first_block: &[u8]) -> Option<Self> {
        let sb = first_block.get(SUPER_OFFSET..SUPER_OFFSET + SUPER_LEN)?;
        let number = |at: usize| sb.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
        let (meta_block, incompatible) = (number(40)?, number(80)?);
        if number(0)? != MAGIC || sb[12] != 12 || meta_block != 0 || incompatible != 0 {
            return None;
        }
        Some(Self {
            root_nid: u16::from_le_bytes([sb[14], sb[15]]),
            inodes: sb.get(16..)?.first_chunk().map(|b| u64::from_le_bytes(*b))?,
            blocks: number(36)?,
            built: (sb.get(24..)?.first_chunk().map(|b| u64::from_le_bytes(*b))?, number(32)?),
        })
    }
}

/// What an inode says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inode {
    pub mode: u16,
    pub links: u32,
    pub len: u64,
    /// Its data stand in whole blocks from this one on (`FLAT_PLAIN`)...
    pub block: u32,
    /// ... unless they are less than a block and stand behind the inode (`FLAT_INLINE`).
    pub inline: bool,
    /// The inode number that 32-bit programs see: counted from 1.
    pub serial: u32,
    pub uid: u32,
    pub gid: u32,
    /// Last modification: seconds and nanoseconds since 1970; `None`: that of the whole file system, which the compact form has.
    pub modified: Option<(i64, u32)>,
}

impl Inode {
    fn is_compact(&self) -> bool {
        u32::try_from(self.len).is_ok()
            && [self.links, self.uid, self.gid].iter().all(|&n| u16::try_from(n).is_ok())
            && self.modified.is_none()
    }

    /// How many bytes it takes on disk: 32 in the compact form, where all numbers fit, or 64.
    pub(crate) fn disk_len(&self) -> u64 {
        if self.is_compact() { SLOT } else { 2 * SLOT }
    }

    /// Where its data begin, if its number is `nid`.
    pub(crate) fn data_at(&self, nid: u64) -> u64 {
        if self.inline { nid * SLOT + self.disk_len() } else { u64::from(self.block) * BLOCK }
    }

    pub(crate) fn write(&self, out: &mut [u8]) {
        let layout = if self.inline { FLAT_INLINE } else { FLAT_PLAIN };
        put(out, 0, &layout.to_le_bytes());
        put(out, 4, &self.mode.to_le_bytes());
        put(out, 16, &self.block.to_le_bytes());
        put(out, 20, &self.serial.to_le_bytes());
        if self.disk_len() == SLOT {
            put(out, 6, &(self.links as u16).to_le_bytes());
            put(out, 8, &(self.len as u32).to_le_bytes());
            put(out, 24, &(self.uid as u16).to_le_bytes());
            put(out, 26, &(self.gid as u16).to_le_bytes());
        } else {
            put(out, 0, &(layout | EXTENDED).to_le_bytes());
            put(out, 8, &self.len.to_le_bytes());
            put(out, 24, &self.uid.to_le_bytes());
            put(out, 28, &self.gid.to_le_bytes());
            let (seconds, nanoseconds) = self.modified.unwrap_or_default();
            put(out, 32, &seconds.to_le_bytes());
            put(out, 40, &nanoseconds.to_le_bytes());
            put(out, 44, &self.links.to_le_bytes());
        }
    }

    /// Reads an inode of either form from at least 64 bytes, if its data lie as [`Inode::write`] has them.
    pub(crate) fn read(bytes: &[u8; 64]) -> Option<Self> {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (mode, block, serial) = (short(4), long(16), long(20));
        let inline = match short(0) & !EXTENDED {
            FLAT_PLAIN => false,
            FLAT_INLINE => true,
            _ => return None,
        };
        let inode = if short(0) & EXTENDED == 0 {
            Self {
                mode,
                links: short(6).into(),
                len: long(8).into(),
                block,
                inline,
                serial,
                uid: short(24).into(),
                gid: short(26).into(),
                modified: None,
            }
        } else {
            Self {
                mode,
                links: long(44),
                len: u64::from(long(8)) | u64::from(long(12)) << 32,
                block,
                inline,
                serial,
                uid: long(24),
                gid: long(28),
                modified: Some(((u64::from(long(32)) | u64::from(long(36)) << 32).cast_signed(), long(40))),
            }
        };
        // A form that is larger than it had to be would have its data elsewhere.
        let expected = if short(0) & EXTENDED == 0 { SLOT } else { 2 * SLOT };
        (!inline || (inode.len < BLOCK && inode.disk_len() == expected)).then_some(inode)
    }
}

/// CRC-32C (RFC 3720, appendix B.4) without the final complement, as Linux computes it for EROFS.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1)))
    })
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn inodes_of_both_forms_are_read_back() {
        let small = Inode {
            mode: S_IFREG | 0o644,
            links: 1,
            len: 7,
            block: 3,
            inline: false,
            serial: 9,
            uid: 1,
            gid: 2,
            modified: None,
        };
        let inline = Inode { inline: true, ..small };
        let all = [
            small,
            Inode { modified: Some((-1, 999_999_999)), ..inline },
            Inode { modified: Some((1 << 33, 0)), ..small },
            Inode { modified: Some((0, 0)), ..small },
            Inode { len: 5 << 32, modified: Some((3, 0)), ..small },
            Inode { uid: 100_000, modified: Some((3, 0)), ..small },
            inline,
            Inode { uid: 100_000, modified: Some((3, 0)), ..inline },
        ];
        for inode in all {
            let mut bytes = [0; 64];
            inode.write(&mut bytes);
            assert_eq!(Inode::read(&bytes), Some(inode));
        }
    }
}
