//! Writing images in small pieces.
//!
//! The host's page cache keeps what is written at once as one folio, and maps all of a folio of which a page is touched:
//! with pieces of megabytes a program that waits has a megabyte more mapped than it uses.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The longest piece. Beside the 64 KiB that the host maps around a fault anyway, with 16 KiB 0.1 MB more is mapped of a
/// waiting redis or Python, with 64 KiB 0.5 to 1 MB.
const LONGEST: usize = 8 << 10;

/// Writes no more than a piece at once.
pub(crate) struct Pieces<W>(pub W);

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(LONGEST)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Seek> Seek for Pieces<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Copies what is left of a file, and its permissions. (The host's own call for that makes large folios.)
pub(crate) fn copy(from: &mut File, to: &mut File) -> io::Result<()> {
    let mut piece = vec![0; LONGEST];
    loop {
        match from.read(&mut piece)? {
            0 => return to.set_permissions(from.metadata()?.permissions()),
            length => to.write_all(&piece[..length])?,
        }
    }
}
