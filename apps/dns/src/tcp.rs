//! DNS over TCP: each message has its length in front (RFC 1035 section 4.2.2, RFC 7766).

use alloc::vec::Vec;
use core::fmt;

/// The octets of the length.
const PREFIX: usize = 2;
/// A message that cannot even be a header (RFC 1035 section 4.1.1) is no query.
const SHORTEST: usize = 12;
/// How much is read at once while no message is under way.
const CHUNK: usize = 512;

/// A peer sent a length that no query has; the connection should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The length that it announced.
    pub length: usize,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a query of {} octets over TCP", self.length)
    }
}

impl core::error::Error for FrameError {}

/// Cuts a stream of octets into messages.
///
/// Read into [`space`](Frames::space), say how much came with [`filled`](Frames::filled), then take messages
/// with [`next`](Frames::next) until there are no more. The buffer is never larger than the largest message,
/// and small between messages.
pub struct Frames {
    buffer: Vec<u8>,
    /// Octets from `start` to `end` wait to be taken.
    start: usize,
    end: usize,
    largest: usize,
}

impl Frames {
    /// For messages of at most `largest` octets; 65535 is what the length can say.
    pub fn new(largest: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, largest: largest.clamp(SHORTEST, usize::from(u16::MAX)) }
    }

    /// Where the next octets go; never empty. What was read earlier and taken is forgotten.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // Room for the message that is under way, and at least for a small one.
        let wanted = match self.announced() {
            Some(length) => PREFIX + length.min(self.largest),
            None => CHUNK,
        };
        let size = wanted.max(self.end + 1).max(CHUNK);
        self.buffer.resize(size, 0);
        if size <= CHUNK {
            self.buffer.shrink_to(CHUNK);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `count` octets were put into [`space`](Frames::space).
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// The next whole message, if it has come.
    #[expect(clippy::should_implement_trait, reason = "it lends from the buffer, as no iterator can")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some(length) = self.announced() else { return Ok(None) };
        if length > self.largest || length < SHORTEST {
            return Err(FrameError { length });
        }
        let start = self.start + PREFIX;
        if self.end - start < length {
            return Ok(None);
        }
        self.start = start + length;
        Ok(Some(&self.buffer[start..start + length]))
    }

    /// Whether a message has begun but is not whole: a peer that stays silent now is slow, not idle.
    pub fn partial(&self) -> bool {
        self.end > self.start
    }

    fn announced(&self) -> Option<usize> {
        let waiting = &self.buffer[self.start..self.end];
        waiting.first_chunk::<PREFIX>().map(|length| usize::from(u16::from_be_bytes(*length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn feed(frames: &mut Frames, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut found = vec![];
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = frames.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            frames.filled(count);
            rest = &rest[count..];
            while let Some(message) = frames.next()? {
                found.push(message.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn messages_come_out_whole_however_they_come_in() {
        let mut stream = vec![];
        let messages: Vec<Vec<u8>> = (0..50usize).map(|n| vec![n as u8; 12 + n * 37]).collect();
        for message in &messages {
            stream.extend_from_slice(&(message.len() as u16).to_be_bytes());
            stream.extend_from_slice(message);
        }
        for size in [1, 2, 3, 11, 100, 513, 5000, stream.len()] {
            let mut frames = Frames::new(65535);
            let mut found = vec![];
            for part in stream.chunks(size) {
                found.extend(feed(&mut frames, part).unwrap());
            }
            assert_eq!(found, messages, "in parts of {size}");
            assert!(!frames.partial());
        }
    }

    #[test]
    fn lengths_that_no_query_has_are_errors() {
        assert_eq!(feed(&mut Frames::new(600), &[2, 89]), Err(FrameError { length: 601 }));
        assert_eq!(feed(&mut Frames::new(600), &[0, 11]), Err(FrameError { length: 11 }));
    }

    #[test]
    fn the_buffer_stays_bounded() {
        let mut frames = Frames::new(4096);
        assert!(feed(&mut frames, &[16, 0]).unwrap().is_empty());
        assert!(frames.partial());
        for _ in 0..100 {
            feed(&mut frames, &[0; 1000]).ok();
            assert!(frames.buffer.len() <= 4096 + PREFIX);
        }
    }
}
