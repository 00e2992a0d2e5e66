//! The content of requests: static files have no use for it, so it is read over, within limits.

use crate::head::Framing;
use crate::{Status, number};

/// The most that is read over, framing included; with more the connection is closed.
pub const MOST: u64 = 64 << 10;

/// Where in the content its reader stands. Chunks: RFC 9112, section 7.1, with CRLF and nothing else as the end of a
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many octets, then the end.
    Plain(u64),
    /// In the digits of a chunk's size; whether there was one.
    Size(u64, bool),
    /// In a chunk's extension; whether there was a CR.
    Extension(u64, bool),
    /// So many octets of a chunk.
    Data(u64),
    /// The CR and LF after them.
    DataEnd(u8),
    /// In a line of the trailer: how long it is, and whether there was a CR.
    Trailer(u64, bool),
    End,
}

/// Reads content over.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    state: State,
    read: u64,
}

impl Body {
    /// The content of a request; `None` when there is none.
    ///
    /// # Errors
    /// 413 when it says that it is larger than [`MOST`].
    pub fn new(framing: Framing) -> Result<Option<Self>, Status> {
        let state = match framing {
            Framing::Length(0) => return Ok(None),
            Framing::Length(length) if length > MOST => return Err(Status::CONTENT_TOO_LARGE),
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::Size(0, false),
        };
        Ok(Some(Self { state, read: 0 }))
    }

    /// Whether its end was seen.
    pub fn ended(&self) -> bool {
        self.state == State::End
    }

    /// Reads content from the start of `bytes`; tells how many octets belonged to it.
    ///
    /// # Errors
    /// 400 when it is malformed, 413 when it is larger than [`MOST`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, Status> {
        let mut at = 0;
        while let (Some(&octet), false) = (bytes.get(at), self.ended()) {
            let there = bytes.len() - at;
            let count = match self.state {
                State::Plain(left) | State::Data(left) => {
                    usize::try_from(left).map_or(there, |left| left.min(there))
                }
                _ => 1,
            };
            let taken = count as u64;
            self.state = match self.state {
                State::Plain(left) if left == taken => State::End,
                State::Plain(left) => State::Plain(left - taken),
                State::Data(left) if left == taken => State::DataEnd(b'\r'),
                State::Data(left) => State::Data(left - taken),
                framing => framing.next(octet).ok_or(Status::BAD_REQUEST)?,
            };
            at += count;
            self.read += taken;
            if self.read > MOST {
                return Err(Status::CONTENT_TOO_LARGE);
            }
        }
        Ok(at)
    }
}

impl State {
    /// After one octet of the framing.
    fn next(self, octet: u8) -> Option<Self> {
        if let (Self::Size(size, _), Some(digit)) = (self, number::hex_digit(octet)) {
            return Some(Self::Size(size.checked_mul(16)?.checked_add(digit.into())?, true));
        }
        Some(match (self, octet) {
            (Self::Size(size, true), b'\r') => Self::Extension(size, true),
            (Self::Size(size, true), b';' | b' ' | b'\t') => Self::Extension(size, false),
            (Self::Extension(size, false), b'\r') => Self::Extension(size, true),
            (Self::Extension(0, true), b'\n') => Self::Trailer(0, false),
            (Self::Extension(size, true), b'\n') => Self::Data(size),
            (Self::Extension(size, false), b'\t' | b' '..=b'~' | 0x80..) => Self::Extension(size, false),
            (Self::DataEnd(b'\r'), b'\r') => Self::DataEnd(b'\n'),
            (Self::DataEnd(b'\n'), b'\n') => Self::Size(0, false),
            (Self::Trailer(length, false), b'\r') => Self::Trailer(length, true),
            (Self::Trailer(0, true), b'\n') => Self::End,
            (Self::Trailer(_, true), b'\n') => Self::Trailer(0, false),
            (Self::Trailer(length, false), b'\t' | b' '..=b'~' | 0x80..) => Self::Trailer(length + 1, false),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a chunked body in pieces; gives how much of the text it was.
    fn read(text: &[u8], piece: usize) -> Result<(usize, bool), Status> {
        let mut body = Body::new(Framing::Chunked)?.unwrap();
        let mut total = 0;
        for part in text.chunks(piece) {
            let count = body.read(part)?;
            total += count;
            if count < part.len() {
                break;
            }
        }
        Ok((total, body.ended()))
    }

    #[test]
    fn chunks_end_where_the_standard_says_however_they_come() {
        let body = b"4\r\nWiki\r\n0A ; a=\"b\"\r\n0123\r\n6789\r\n0\r\nTrailer: x\r\nY: z\r\n\r\n";
        let text = [&body[..], b"GET / HTTP/1.1"].concat();
        for piece in 1..=text.len() {
            assert_eq!(read(&text, piece), Ok((body.len(), true)), "in pieces of {piece}");
        }
        for length in 0..body.len() {
            assert_eq!(read(&body[..length], 100), Ok((length, false)), "{length}");
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\n",
            "1\r\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "0\r\n\n",
            "0\r\na\n\r\n",
            "1;a\n\r\n",
            "11111111111111111\r\n",
            ";a\r\n",
            "0\r\na\0b\r\n\r\n",
        ] {
            assert_eq!(read(text.as_bytes(), 100), Err(Status::BAD_REQUEST), "{text:?}");
        }
    }

    #[test]
    fn what_is_read_over_is_bounded() {
        assert!(Body::new(Framing::Length(0)).unwrap().is_none());
        assert!(Body::new(Framing::Length(MOST)).unwrap().is_some());
        assert_eq!(Body::new(Framing::Length(MOST + 1)).unwrap_err(), Status::CONTENT_TOO_LARGE);
        assert_eq!(read(&b"1\r\na\r\n".repeat(20_000), 1000), Err(Status::CONTENT_TOO_LARGE));
        assert_eq!(
            read(&[b"1;"[..].to_vec(), vec![b'a'; 70_000]].concat(), 1000),
            Err(Status::CONTENT_TOO_LARGE)
        );
        assert_eq!(
            read(&[&b"fffffffffffffff\r\n"[..], &[b'a'; 70_000]].concat(), 1000),
            Err(Status::CONTENT_TOO_LARGE)
        );
    }

    #[test]
    fn plain_content_ends_after_its_length() {
        let mut body = Body::new(Framing::Length(5)).unwrap().unwrap();
        assert_eq!((body.read(b"abc"), body.ended()), (Ok(3), false));
        assert_eq!((body.read(b"defg"), body.ended()), (Ok(2), true));
        assert_eq!(body.read(b"g"), Ok(0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in "[0-9a-f;\r\n]{0,60}", piece in 1usize..9) {
            prop_assert_eq!(read(text.as_bytes(), piece), read(text.as_bytes(), 1));
        }
    }
}
