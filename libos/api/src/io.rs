//! Standard input and output.

use core::cell::OnceCell;
use core::fmt::{Arguments, Write};
use kernlet_exec::Source;
use kernlet_platform::console;
use kernlet_platform::cpu::CpuLocal;

pub use kernlet_platform::console::Stream;

/// Writes all of `bytes` to standard output or error.
pub fn write(stream: Stream, bytes: &[u8]) {
    console::write(stream, bytes);
}

/// Gathers formatted text, so that a line goes out whole.
struct Gather {
    stream: Stream,
    buffer: [u8; 512],
    used: usize,
}

impl Gather {
    fn flush(&mut self) {
        if self.used > 0 {
            console::write(self.stream, &self.buffer[..self.used]);
            self.used = 0;
        }
    }
}

impl Write for Gather {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let bytes = text.as_bytes();
        if bytes.len() > self.buffer.len() - self.used {
            self.flush();
        }
        if bytes.len() > self.buffer.len() {
            console::write(self.stream, bytes);
        } else {
            self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
            self.used += bytes.len();
        }
        Ok(())
    }
}

#[doc(hidden)]
pub fn __print(stream: Stream, text: Arguments<'_>, newline: bool) {
    let mut gather = Gather { stream, buffer: [0; 512], used: 0 };
    let _ = gather.write_fmt(text);
    if newline {
        let _ = gather.write_str("\n");
    }
    gather.flush();
}

/// Whether standard input can be waited for; a file is always ready.
struct Input {
    source: Source,
    watched: OnceCell<bool>,
}

static INPUT: CpuLocal<Input> = CpuLocal::new(|| Input { source: Source::new(), watched: OnceCell::new() });

/// Reads from standard input; 0 bytes at its end.
///
/// # Errors
/// EBADF when there is no standard input; the host's others.
pub async fn read(buffer: &mut [u8]) -> Result<usize, crate::Error> {
    let input = INPUT.get();
    input.watched.get_or_init(|| console::watch(input.source.token()).is_ok());
    loop {
        match console::read(buffer) {
            Err(crate::Error::EAGAIN) => {
                input.source.clear_readable();
                input.source.readable().await;
            }
            other => return other,
        }
    }
}
