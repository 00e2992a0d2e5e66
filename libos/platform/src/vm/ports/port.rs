//! One port of a console: a queue and a buffer each way.

use crate::Errno;
use crate::vm::dma::Dma;
use crate::vm::event;
use crate::vm::virtio::{Device, Part, Queue};

/// Bytes in flight each way.
const BUFFER: usize = 4096;
/// One request at a time is enough; queues have at least this many descriptors.
const QUEUE: u16 = 4;
/// How often a queue is looked at before the vCPU halts until it strikes.
const SPINS: u32 = 2000;

pub struct Port {
    number: u32,
    receive: Queue,
    transmit: Queue,
    input: Dma,
    output: Dma,
    /// The part of `input` that was received and not read yet.
    start: usize,
    end: usize,
    sending: bool,
}

/// The queues of the port with that number.
pub fn queues(number: u32) -> Option<[u16; 2]> {
    // Port 0 has queues 0 and 1; 2 and 3 are the control queues.
    let first = u16::try_from(if number == 0 { 0 } else { number.checked_mul(2)?.checked_add(2)? }).ok()?;
    Some([first, first.checked_add(1)?])
}

impl Port {
    pub fn open(device: &Device, number: u32) -> Option<Self> {
        let [first, second] = queues(number)?;
        let mut port = Self {
            number,
            receive: device.queue(first, QUEUE)?,
            transmit: device.queue(second, QUEUE)?,
            input: Dma::new(BUFFER)?,
            output: Dma::new(BUFFER)?,
            start: 0,
            end: 0,
            sending: false,
        };
        port.receive.want_interrupt(true);
        port.transmit.want_interrupt(false);
        port.listen();
        Some(port)
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    fn listen(&mut self) {
        let part = Part { address: self.input.physical(0), length: BUFFER as u32, writable: true };
        self.receive.post(0, &[part]);
        self.receive.kick();
    }

    /// Whether something has come.
    pub fn has_input(&mut self) -> bool {
        if self.start == self.end
            && let Some((_, length)) = self.receive.pop()
        {
            (self.start, self.end) = (0, (length as usize).min(BUFFER));
        }
        self.start != self.end
    }

    /// Reads what has come; 0 when nothing has.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if !self.has_input() {
            return 0;
        }
        let length = buffer.len().min(self.end - self.start);
        buffer[..length].copy_from_slice(self.input.bytes(self.start, length));
        self.start += length;
        if self.start == self.end {
            self.listen();
            self.receive.want_interrupt(true);
        }
        length
    }

    /// Writes all of `bytes`. The last piece may still be on its way when this returns.
    pub fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BUFFER) {
            self.drain();
            if self.sending {
                return;
            }
            self.send(piece);
        }
    }

    /// Sends a piece that the buffer has room for; nothing is on its way.
    fn send(&mut self, piece: &[u8]) {
        self.output.bytes_mut(0, piece.len()).copy_from_slice(piece);
        let part = Part { address: self.output.physical(0), length: piece.len() as u32, writable: false };
        self.transmit.post(0, &[part]);
        self.transmit.kick();
        self.sending = true;
    }

    /// Whether what was written has been taken. When it has not, the queue strikes when it is.
    pub fn has_room(&mut self) -> bool {
        for _ in 0..SPINS {
            if !self.sending || self.transmit.is_broken() {
                return true;
            }
            self.sending = self.transmit.pop().is_none();
            core::hint::spin_loop();
        }
        self.transmit.want_interrupt(true);
        self.sending = self.transmit.pop().is_none();
        !self.sending
    }

    /// Writes as much of `bytes` as there is room for.
    ///
    /// # Errors
    /// EAGAIN.
    pub fn offer(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let piece = &bytes[..bytes.len().min(BUFFER)];
        if !self.has_room() {
            return Err(Errno::EAGAIN);
        }
        if !self.transmit.is_broken() && !piece.is_empty() {
            self.transmit.want_interrupt(false);
            self.send(piece);
        }
        Ok(piece.len())
    }

    /// Waits until the device has taken what was written; forever, if the host does not read.
    pub fn drain(&mut self) {
        let mut spins = 0;
        while self.sending && !self.transmit.is_broken() {
            if self.transmit.pop().is_some() {
                self.sending = false;
            } else if spins < SPINS {
                spins += 1;
                core::hint::spin_loop();
            } else {
                self.transmit.want_interrupt(true);
                if self.transmit.pop().is_some() {
                    self.sending = false;
                } else {
                    event::halt();
                }
                self.transmit.want_interrupt(false);
            }
        }
    }
}
