//! What a channel holds and is ready for, for those who ask instead of trying.

use super::{Channel, Mux, OUTPUT};
use crate::Errno;

/// The bits of poll(2).
const IN: u32 = 0x1;
const OUT: u32 = 0x4;
const ERROR: u32 = 0x8;
const HANG_UP: u32 = 0x10;
const READ_HANG_UP: u32 = 0x2000;

impl Mux {
    /// What a channel is ready for, as the bits of poll(2).
    pub fn ask_state(&mut self, id: u32) -> Result<u32, Errno> {
        let room = self.output.len() < OUTPUT;
        let channel = self.channel(id)?;
        if !room {
            channel.blocked = true;
        }
        let Channel { credit, ended, shut, deaf, .. } = *channel;
        let error = channel.error.is_some();
        let bit = |bit, yes| if yes { bit } else { 0 };
        Ok(bit(IN, !channel.queue.is_empty() || ended || deaf || error)
            | bit(OUT, (room && credit > 0) || shut || error)
            | bit(ERROR, error)
            | bit(HANG_UP, error || (ended && shut))
            | bit(READ_HANG_UP, ended || error))
    }

    /// Copies from what has come of a stream, behind `skipped` bytes of it, without taking it off.
    pub fn peek(&mut self, id: u32, skipped: usize, into: &mut [u8]) -> Result<usize, Errno> {
        let channel = self.channel(id)?;
        Ok(if channel.deaf { 0 } else { channel.queue.peek(skipped, into) })
    }

    /// Takes so much of a stream off.
    pub fn skip(&mut self, id: u32, length: usize) -> Result<(), Errno> {
        self.channel(id)?.queue.skip(length);
        self.consumed(id, length as u32);
        Ok(())
    }

    /// How many bytes of a stream have come.
    pub fn available(&mut self, id: u32) -> Result<usize, Errno> {
        self.channel(id).map(|channel| channel.queue.len())
    }

    /// The error that is there to be told, once.
    pub fn take_error(&mut self, id: u32) -> Result<Option<Errno>, Errno> {
        let channel = self.channel(id)?;
        let error = channel.error.take();
        if error.is_some() {
            (channel.ended, channel.shut) = (true, true);
        }
        Ok(error)
    }
}
