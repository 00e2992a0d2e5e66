//! A panic prints what and where with a backtrace, and ends the instance with a status of its own.

use crate::console::{Stream, write};
use crate::control::Death;
use crate::{backtrace, power};
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

/// Standard error as a formatter; a line is gathered so that it goes out whole.
pub struct Report {
    buffer: [u8; 256],
    used: usize,
}

impl Report {
    pub fn new() -> Self {
        Self { buffer: [0; 256], used: 0 }
    }

    fn flush(&mut self) {
        write(Stream::Err, self.buffer.get(..self.used).unwrap_or_default());
        self.used = 0;
    }
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            if let Some(place) = self.buffer.get_mut(self.used) {
                *place = byte;
            }
            self.used += 1;
            if byte == b'\n' || self.used == self.buffer.len() {
                self.flush();
            }
        }
        Ok(())
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Recognises the message of `alloc::alloc::handle_alloc_error`, which stable Rust turns into a panic.
struct StartsLikeOutOfMemory {
    matched: usize,
    differs: bool,
}

const OUT_OF_MEMORY: &[u8] = b"memory allocation of ";

impl Write for StartsLikeOutOfMemory {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            match OUT_OF_MEMORY.get(self.matched) {
                Some(&expected) if expected == byte => self.matched += 1,
                Some(_) => self.differs = true,
                None => {}
            }
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    let mut check = StartsLikeOutOfMemory { matched: 0, differs: false };
    let _ = write!(check, "{}", info.message());
    let out_of_memory = !check.differs && check.matched == OUT_OF_MEMORY.len();
    let death = if out_of_memory { Death::OutOfMemory } else { Death::Panic };
    // A panic while one is reported: say no more.
    if !PANICKING.swap(true, Ordering::Relaxed) {
        let mut report = Report::new();
        let what = if out_of_memory { "out of memory" } else { "panic" };
        let _ = match info.location() {
            // Where places are left out to save room the line is 0.
            Some(at) if at.line() > 0 => {
                writeln!(report, "kernlet: {what} at {}:{}: {}", at.file(), at.line(), info.message())
            }
            _ => writeln!(report, "kernlet: {what}: {}", info.message()),
        };
        let _ = write!(report, "{}", backtrace::capture());
    }
    power::die(death)
}
