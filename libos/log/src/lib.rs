//! Log lines with a level, on standard error, where the monitor keeps them with the time at which they came.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt::{Arguments, Write};
use core::sync::atomic::{AtomicU8, Ordering};
use kernlet_platform::console::{Stream, write};

/// How much a line matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something does not work.
    Error = 1,
    /// Something is not as it should be.
    Warning,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Lets lines up to `level` through; [`Level::Info`] unless said.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether lines of `level` go through.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

struct Line {
    buffer: [u8; 1024],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // A longer line is cut off; room for the newline stays.
        let room = self.buffer.len() - 1 - self.used;
        let bytes = &text.as_bytes()[..text.len().min(room)];
        self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }
}

/// Writes a line when `level` goes through; see the macros.
pub fn log(level: Level, text: Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let name = match level {
        Level::Error => "error: ",
        Level::Warning => "warning: ",
        Level::Info => "info: ",
        Level::Debug => "debug: ",
    };
    let mut line = Line { buffer: [0; 1024], used: 0 };
    let _ = line.write_str(name).and_then(|()| line.write_fmt(text));
    line.buffer[line.used] = b'\n';
    write(Stream::Err, &line.buffer[..=line.used]);
}

/// Logs that something does not work.
#[macro_export]
macro_rules! error {
    ($($text:tt)*) => { $crate::log($crate::Level::Error, ::core::format_args!($($text)*)) };
}

/// Logs that something is not as it should be.
#[macro_export]
macro_rules! warning {
    ($($text:tt)*) => { $crate::log($crate::Level::Warning, ::core::format_args!($($text)*)) };
}

/// Logs what an operator wants to know.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::log($crate::Level::Info, ::core::format_args!($($text)*)) };
}

/// Logs what a developer wants to know.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log($crate::Level::Debug, ::core::format_args!($($text)*)) };
}
