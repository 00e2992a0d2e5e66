//! What an instance wrote, kept in files of bounded size.
//!
//! A file is text: each line is `SECONDS.MICROSECONDS STREAM TEXT`. The stream is `o` for standard output, `e` for
//! standard error, `k` for a remark of kernlet's; in upper case when the program has not ended the line there.
//! The files are `log`, then `log.1` and so on, the oldest last.

mod read;
mod write;

pub use read::{Follower, Reader};
pub(crate) use write::Writer;

use std::time::{Duration, SystemTime};

/// A file that has grown to this size is put aside.
const FILE_LIMIT: u64 = 1 << 20;
/// How many files there are at most, the one being written included.
const FILES: u32 = 4;

/// Where a piece of text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The program's standard output.
    Output,
    /// The program's standard error.
    Error,
    /// A remark of kernlet's.
    Remark,
}

impl Stream {
    const fn letter(self) -> u8 {
        match self {
            Self::Output => b'o',
            Self::Error => b'e',
            Self::Remark => b'k',
        }
    }
}

/// A piece of a log: a line, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was written.
    pub time: SystemTime,
    /// Where it came from.
    pub stream: Stream,
    /// The program ended the line.
    pub complete: bool,
    /// The text, without the end of the line.
    pub text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a line of a log file; `None` when it is none.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let space = line.iter().position(|&b| b == b' ')?;
        let (time, rest) = line.split_at(space);
        let (seconds, micros) = std::str::from_utf8(time).ok()?.split_once('.')?;
        let since = Duration::from_secs(seconds.parse().ok()?)
            .checked_add(Duration::from_micros(micros.parse().ok()?))?;
        let (&letter, text) = rest.get(1..)?.split_first()?;
        let stream = match letter.to_ascii_lowercase() {
            b'o' => Stream::Output,
            b'e' => Stream::Error,
            b'k' => Stream::Remark,
            _ => return None,
        };
        let time = SystemTime::UNIX_EPOCH.checked_add(since)?;
        Some(Self { time, stream, complete: letter.is_ascii_lowercase(), text: text.strip_prefix(b" ")? })
    }
}

/// The name of the `index`th file.
fn file_name(index: u32) -> String {
    if index == 0 { "log".into() } else { format!("log.{index}") }
}

#[cfg(test)]
mod tests;
