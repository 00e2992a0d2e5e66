//! Reading what was kept, and following what is being written.

use super::{FILES, Record, file_name};
use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::SystemTime;

/// What to show of a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    /// Nothing older.
    pub since: Option<SystemTime>,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
}

impl Reader {
    /// Gives the kept pieces to `show`, the oldest first, and returns the place where they ended.
    ///
    /// # Errors
    /// A file cannot be read, or `show` failed.
    pub fn read(
        &self,
        dir: BorrowedFd<'_>,
        show: &mut dyn FnMut(Record<'_>) -> io::Result<()>,
    ) -> io::Result<Follower> {
        let mut follower = Follower { file: None, rest: Vec::new() };
        let mut kept = Vec::new();
        follower.gather(dir, &mut kept)?;
        let records = || {
            let lines = kept.split(|&b| b == b'\n').filter_map(Record::parse);
            lines.filter(|record| self.since.is_none_or(|since| record.time >= since))
        };
        let skip = self.tail.map_or(0, |tail| {
            let ends: Vec<usize> = records()
                .enumerate()
                .filter(|(_, record)| record.complete)
                .map(|(index, _)| index + 1)
                .collect();
            // A last line that is not finished is a line too.
            let open = records().next_back().is_some_and(|record| !record.complete);
            match (ends.len() + usize::from(open)).checked_sub(tail) {
                None | Some(0) => 0,
                Some(first) => ends.get(first - 1).copied().unwrap_or(usize::MAX),
            }
        });
        records().skip(skip).try_for_each(show)?;
        Ok(follower)
    }
}

/// A place in a log that is being written.
#[derive(Debug)]
pub struct Follower {
    file: Option<File>,
    /// The beginning of a line that the monitor has not written wholly.
    rest: Vec<u8>,
}

impl Follower {
    /// Gives what was written meanwhile to `show`.
    ///
    /// # Errors
    /// A file cannot be read, or `show` failed.
    pub fn more(
        &mut self,
        dir: BorrowedFd<'_>,
        show: &mut dyn FnMut(Record<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut fresh = std::mem::take(&mut self.rest);
        self.gather(dir, &mut fresh)?;
        fresh.split(|&b| b == b'\n').filter_map(Record::parse).try_for_each(show)
    }

    /// Reads from here to the end, through all files that were begun meanwhile. Keeps an unfinished line.
    fn gather(&mut self, dir: BorrowedFd<'_>, into: &mut Vec<u8>) -> io::Result<()> {
        let current = self.file.as_ref().map(identity).transpose()?;
        let mut newer: Vec<(OwnedFd, (u64, u64))> = Vec::new();
        for index in 0..FILES {
            let file = match openat(dir, file_name(index), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                Err(Errno::NOENT) => break,
                file => file?,
            };
            let id = identity(&file)?;
            if Some(id) == current {
                break;
            }
            // Files move on while they are being opened.
            if newer.iter().all(|(_, other)| *other != id) {
                newer.push((file, id));
            }
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(into)?;
        }
        for (file, _) in newer.into_iter().rev() {
            let mut file = File::from(file);
            file.rewind()?;
            file.read_to_end(into)?;
            self.file = Some(file);
        }
        let end = into.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        self.rest = into.split_off(end);
        Ok(())
    }
}

fn identity(file: &impl std::os::fd::AsFd) -> io::Result<(u64, u64)> {
    let about = fstat(file)?;
    Ok((about.st_dev, about.st_ino))
}
