//! The access log, in the Common Log Format.

use core::cell::RefCell;
use http::head::Head;
use http::{date, number};
use kernlet::alloc::vec::Vec;
use kernlet::io::Stream;
use kernlet::net::TcpStream;

/// The longest target that is written whole.
const TARGET: usize = 1024;

/// Lines gather until the connection that made them has nothing more to do.
#[derive(Default)]
pub struct Log(RefCell<Vec<u8>>);

impl Log {
    /// Notes an answer.
    pub fn note(&self, stream: &TcpStream, head: Option<&Head<'_, '_>>, now: u64, status: u16, length: u64) {
        let mut line = self.0.borrow_mut();
        match stream.peer_addr() {
            Ok(peer) => line.extend_from_slice(kernlet::alloc::format!("{}", peer.ip()).as_bytes()),
            Err(_) => line.push(b'-'),
        }
        line.extend_from_slice(b" - - [");
        // `Sun, 06 Nov 1994 08:49:37 GMT`
        let date = date::write(now);
        for (part, end) in [(5..7, b'/'), (8..11, b'/'), (12..16, b':'), (17..25, b' ')] {
            line.extend_from_slice(&date[part]);
            line.push(end);
        }
        line.extend_from_slice(b"+0000] \"");
        match head {
            Some(head) => {
                escaped(&mut line, head.method_text.as_bytes());
                line.push(b' ');
                escaped(&mut line, &head.target[..head.target.len().min(TARGET)]);
                line.extend_from_slice(if head.minor == 0 { b" HTTP/1.0" } else { b" HTTP/1.1" });
            }
            None => line.push(b'-'),
        }
        line.extend_from_slice(b"\" ");
        number::decimal(&mut line, status.into());
        line.push(b' ');
        number::decimal(&mut line, length);
        line.push(b'\n');
    }

    /// Writes what has gathered.
    pub fn flush(&self) {
        let mut lines = self.0.borrow_mut();
        if !lines.is_empty() {
            kernlet::io::write(Stream::Out, &lines);
            lines.clear();
        }
    }
}

/// Quotes and what is not ASCII cannot be mistaken for the line's own.
fn escaped(line: &mut Vec<u8>, text: &[u8]) {
    for &octet in text {
        match octet {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', octet]),
            b' '..=b'~' => line.push(octet),
            _ => {
                line.extend_from_slice(b"\\x");
                let digits = b"0123456789abcdef";
                line.extend([digits[usize::from(octet >> 4)], digits[usize::from(octet & 15)]]);
            }
        }
    }
}
