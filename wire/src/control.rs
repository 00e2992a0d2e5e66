//! The small messages between a monitor and its instance while it runs.
//!
//! On the process door each travels as one SOCK_SEQPACKET message, in a VM over the virtio-console port named
//! [`PORT_NAME`], where the leading length byte delimits them. The monitor trusts no message: whatever comes, it
//! survives, and the worst an instance can say is that it ended.

/// The name of the virtio-console port that carries these messages.
pub const PORT_NAME: &str = "kernlet.control";

/// The largest encoded message, in bytes.
pub const MAX_MESSAGE: usize = 16;

/// Why an instance ended, when its program did not simply exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// A Rust panic: exit status 134.
    Panic,
    /// A CPU fault (null, stray or executed pointer, stack overflow): exit status 139.
    Fault,
    /// The instance's memory was used up: exit status 137.
    OutOfMemory,
}

impl Death {
    /// The exit status by which the end is known outside.
    pub const fn status(self) -> u8 {
        match self {
            Self::Panic => 134,
            Self::Fault => 139,
            Self::OutOfMemory => 137,
        }
    }
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// From the instance: the program's main is about to run.
    Entered,
    /// From the instance: the program ended with this status; nothing follows.
    Exit(u8),
    /// From the instance: it died; nothing follows.
    Died(Death),
    /// To the instance: a signal, by its Linux x86-64 number.
    Signal(u8),
    /// To the instance, with `-t`: the terminal's size in rows and columns.
    Resize(u16, u16),
}

impl Message {
    /// Encodes into `buffer` and returns the bytes used: the length of the rest, the kind, the operands.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_MESSAGE]) -> &'b [u8] {
        let (length, bytes) = match *self {
            Self::Entered => (1, [1, 0, 0, 0, 0]),
            Self::Exit(status) => (2, [2, status, 0, 0, 0]),
            Self::Died(death) => (2, [3, death.status(), 0, 0, 0]),
            Self::Signal(number) => (2, [4, number, 0, 0, 0]),
            Self::Resize(rows, columns) => {
                let ([a, b], [c, d]) = (rows.to_le_bytes(), columns.to_le_bytes());
                (5, [5, a, b, c, d])
            }
        };
        buffer[0] = length as u8;
        buffer[1..6].copy_from_slice(&bytes);
        &buffer[..1 + length]
    }

    /// Decodes the first message in `bytes` and how many bytes it took; `Ok(None)` when more bytes are needed.
    ///
    /// # Errors
    /// [`BadMessage`] when the bytes are no message; the stream is then without meaning.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadMessage> {
        let Some((&length, rest)) = bytes.split_first() else { return Ok(None) };
        let length = usize::from(length);
        if length == 0 || length >= MAX_MESSAGE {
            return Err(BadMessage);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = match *body {
            [1] => Self::Entered,
            [2, status] => Self::Exit(status),
            [3, 134] => Self::Died(Death::Panic),
            [3, 139] => Self::Died(Death::Fault),
            [3, 137] => Self::Died(Death::OutOfMemory),
            [4, number] => Self::Signal(number),
            [5, a, b, c, d] => Self::Resize(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
            _ => return Err(BadMessage),
        };
        Ok(Some((message, length + 1)))
    }
}

/// Bytes that are no control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_message_survives_the_round_trip() {
        let all = [
            Message::Entered,
            Message::Exit(3),
            Message::Died(Death::Fault),
            Message::Signal(15),
            Message::Resize(24, 80),
        ];
        for message in all {
            let mut buffer = [0; MAX_MESSAGE];
            let bytes = message.encode(&mut buffer);
            assert_eq!(Message::decode(bytes), Ok(Some((message, bytes.len()))));
            assert_eq!(Message::decode(&bytes[..bytes.len() - 1]), Ok(None));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Message::decode(&bytes);
        }
    }
}
