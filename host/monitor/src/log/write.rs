//! Writing: in batches, with rotation. A disk that is full costs the log, never the instance.

use super::{FILE_LIMIT, FILES, Stream, file_name};
use rustix::fs::{Mode, OFlags, openat, renameat};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

/// Appends to an instance's log. The file is made with the first line.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    dir: Option<OwnedFd>,
    file: Option<File>,
    size: u64,
    batch: Vec<u8>,
    /// Bytes that could not be written since the last that could.
    lost: u64,
}

impl Writer {
    /// From now on the log lies in `dir`. What was appended before waits for this.
    pub(crate) fn open(&mut self, dir: OwnedFd) {
        self.dir = Some(dir);
        self.flush();
    }

    /// Appends what the instance wrote at `now`.
    pub(crate) fn append(&mut self, stream: Stream, data: &[u8], now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let letter = stream.letter();
        for piece in data.split_inclusive(|&b| b == b'\n') {
            let (text, letter) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, letter),
                None => (piece, letter.to_ascii_uppercase()),
            };
            // Writing to a vector cannot fail.
            let _ = write!(self.batch, "{}.{:06} ", since.as_secs(), since.subsec_micros());
            self.batch.extend_from_slice(&[letter, b' ']);
            self.batch.extend_from_slice(text);
            self.batch.push(b'\n');
            if self.size + self.batch.len() as u64 >= FILE_LIMIT {
                self.flush();
                self.rotate();
            }
        }
        self.flush();
        if self.batch.capacity() > 1 << 16 {
            self.batch = Vec::new();
        }
    }

    /// Appends a remark of kernlet's.
    pub(crate) fn remark(&mut self, text: &str) {
        self.append(Stream::Remark, format!("{text}\n").as_bytes(), SystemTime::now());
    }

    fn flush(&mut self) {
        if self.batch.is_empty() || self.dir.is_none() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        match self.write(&batch) {
            Ok(()) => {}
            Err(_) => self.lost += batch.len() as u64,
        }
        batch.clear();
        self.batch = batch;
    }

    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(dir, file_name(0), flags, Mode::from_bits_retain(0o600))?;
                none.insert(File::from(file))
            }
        };
        if self.lost > 0 {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let remark = format!(
                "\n{}.{:06} k {} bytes of the log were lost: the disk was full\n",
                since.as_secs(),
                since.subsec_micros(),
                self.lost
            );
            file.write_all(remark.as_bytes())?;
            self.size += remark.len() as u64;
            self.lost = 0;
        }
        file.write_all(batch)?;
        self.size += batch.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) {
        self.file = None;
        self.size = 0;
        let Some(dir) = self.dir.as_ref().map(AsFd::as_fd) else { return };
        let mut renamed = Ok(());
        for index in (0..FILES - 1).rev() {
            renamed = renameat(dir, file_name(index), dir, file_name(index + 1));
        }
        if renamed.is_err() {
            // Better to lose the file than its bound.
            let _ = rustix::fs::unlinkat(dir, file_name(0), rustix::fs::AtFlags::empty());
        }
    }
}
