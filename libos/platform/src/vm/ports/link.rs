//! The console's control queues (virtio 1.2, 5.3.6.2): which ports there are, and whether the host has them open.

use crate::vm::dma::Dma;
use crate::vm::virtio::{Device, Part, Queue, kind};

const MULTIPORT: u64 = 1 << 1;
const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;
/// The device drops what finds no buffer: one for each of 31 ports, and one.
const MESSAGES: u16 = 32;
/// A message's 8 bytes and a name.
const MESSAGE: usize = 64;
const HEADER: usize = 8;
/// How often the queue is looked at before a port that says nothing is left alone.
const PATIENCE: u32 = if cfg!(kernlet_image) { 20_000_000 } else { 2_000 };

/// Control events.
mod event {
    pub const DEVICE_READY: u16 = 0;
    pub const PORT_ADD: u16 = 1;
    pub const PORT_READY: u16 = 3;
    pub const CONSOLE_PORT: u16 = 4;
    pub const OPEN: u16 = 6;
    pub const NAME: u16 = 7;
}

/// What [`Link::discover`] found, by port number.
pub struct Found {
    /// The ports with the names that were looked for.
    pub named: [Option<u32>; 5],
    /// The first console port.
    pub console: Option<u32>,
}

/// The device with its control queues, which a console of a single port has not.
pub struct Link {
    device: Device,
    queues: Option<(Queue, Queue)>,
    buffers: Dma,
    /// Bits of ports that the host has closed.
    closed: u32,
}

impl Link {
    pub fn open() -> Option<Self> {
        let device = Device::open(kind::CONSOLE, 0, MULTIPORT, true)?;
        let buffers = Dma::new((usize::from(MESSAGES) + 1) * MESSAGE)?;
        let mut queues = None;
        if device.has(MULTIPORT) {
            let (mut receive, transmit) =
                (device.queue(CONTROL_RECEIVE, MESSAGES)?, device.queue(CONTROL_TRANSMIT, MESSAGES)?);
            for slot in 0..receive.size() {
                post(&mut receive, &buffers, slot);
            }
            queues = Some((receive, transmit));
        }
        device.start();
        let mut link = Self { device, queues, buffers, closed: 0 };
        if let Some((receive, transmit)) = &mut link.queues {
            receive.want_interrupt(true);
            receive.kick();
            transmit.want_interrupt(false);
        }
        Some(link)
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Finds out which ports there are.
    pub fn discover(&mut self, names: &[&str; 5]) -> Found {
        let mut found = Found { named: [None; 5], console: None };
        if self.queues.is_none() {
            found.console = Some(0);
            return found;
        }
        self.send(u32::MAX, event::DEVICE_READY, 1);
        // The device announces all ports before it answers for the first one: done when each has been named.
        let (mut added, mut known) = (0u32, 0u32);
        for _ in 0..PATIENCE {
            if self.queues.is_none() {
                break;
            }
            let mut name = [0; MESSAGE];
            let Some((port, what, length)) = self.receive(&mut name) else {
                if added != 0 && known == added {
                    break;
                }
                core::hint::spin_loop();
                continue;
            };
            let bit = 1u32.checked_shl(port).unwrap_or(0);
            match what {
                event::PORT_ADD if bit != 0 => {
                    added |= bit;
                    self.send(port, event::PORT_READY, 1);
                }
                event::CONSOLE_PORT => {
                    known |= bit;
                    found.console = found.console.or(Some(port));
                }
                event::NAME => {
                    known |= bit;
                    let name = name.get(..length).unwrap_or_default();
                    let name = name.strip_suffix(b"\0").unwrap_or(name);
                    if let Some(role) = names.iter().position(|n| n.as_bytes() == name) {
                        found.named[role] = Some(port);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Tells the host that this side has opened the port.
    pub fn opened(&mut self, port: u32) {
        if self.queues.is_some() {
            self.send(port, event::OPEN, 1);
        }
    }

    /// Whether the host has closed the port.
    pub fn is_closed(&mut self, port: u32) -> bool {
        while self.receive(&mut [0; MESSAGE]).is_some() {}
        self.closed >> port.min(31) & 1 != 0
    }

    /// The next message: port, event, and the length of what follows, which goes to `rest`.
    fn receive(&mut self, rest: &mut [u8; MESSAGE]) -> Option<(u32, u16, usize)> {
        let (receive, _) = self.queues.as_mut()?;
        let (slot, length) = receive.pop()?;
        let length = (length as usize).clamp(HEADER, MESSAGE);
        let mut message = [0; MESSAGE];
        message.copy_from_slice(self.buffers.bytes(usize::from(slot) * MESSAGE, MESSAGE));
        post(receive, &self.buffers, slot);
        receive.kick();
        receive.want_interrupt(true);
        let [p0, p1, p2, p3, e0, e1, v0, v1] = *message.first_chunk()?;
        let (port, what) = (u32::from_le_bytes([p0, p1, p2, p3]), u16::from_le_bytes([e0, e1]));
        rest[..length - HEADER].copy_from_slice(&message[HEADER..length]);
        if what == event::OPEN && port < 32 {
            let bit = 1 << port;
            self.closed = if [v0, v1] == [0, 0] { self.closed | bit } else { self.closed & !bit };
        }
        Some((port, what, length - HEADER))
    }

    /// Sends a message and waits until the device has taken it, which it does at once. With one that does not, no more
    /// is spoken: its ports stay as they are.
    fn send(&mut self, port: u32, what: u16, value: u16) {
        let Some((_, transmit)) = &mut self.queues else { return };
        let offset = usize::from(MESSAGES) * MESSAGE;
        let buffer = self.buffers.bytes_mut(offset, HEADER);
        buffer[..4].copy_from_slice(&port.to_le_bytes());
        buffer[4..6].copy_from_slice(&what.to_le_bytes());
        buffer[6..].copy_from_slice(&value.to_le_bytes());
        let part = Part { address: self.buffers.physical(offset), length: HEADER as u32, writable: false };
        transmit.post(0, &[part]);
        transmit.kick();
        for _ in 0..PATIENCE {
            if transmit.pop().is_some() {
                return;
            }
            if transmit.is_broken() {
                break;
            }
            core::hint::spin_loop();
        }
        self.queues = None;
    }
}

fn post(receive: &mut Queue, buffers: &Dma, slot: u16) {
    let address = buffers.physical(usize::from(slot) * MESSAGE);
    receive.post(slot, &[Part { address, length: MESSAGE as u32, writable: true }]);
}
