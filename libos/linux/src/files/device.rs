//! Devices: /dev/null and its neighbours (null(4), random(4)).

use super::description::Kind as Opened;
use super::terminal::pseudo::{Master, Slave};
use super::tree::content::zeros;
use super::tree::node::{S_IFCHR, S_IFLNK};
use super::tree::{Kind, Node, directory};
use crate::thread::Thread;
use crate::user::Buffers;
use crate::{Errno, PAGE};
use alloc::rc::Rc;

/// What is moved at a time.
const CHUNK: usize = 256;
/// The most that reading random bytes gives at once, as in Linux.
const RANDOM_MOST: usize = 32 << 20;

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Empty, and takes everything.
    Null,
    /// Zeros without end.
    Zero,
    /// Zeros without end, and no room.
    Full,
    /// Random bytes.
    Random,
    /// The same.
    URandom,
    /// The terminal of whoever opens it.
    Terminal,
    /// The instance's console.
    Console,
    /// A new pseudo-terminal.
    Multiplexer,
    /// The pseudo-terminal of this number.
    Pseudo(u32),
}

impl Device {
    const ALL: [(Self, (u32, u32), &'static str, u32); 8] = [
        (Self::Null, (1, 3), "null", 0o666),
        (Self::Zero, (1, 5), "zero", 0o666),
        (Self::Full, (1, 7), "full", 0o666),
        (Self::Random, (1, 8), "random", 0o666),
        (Self::URandom, (1, 9), "urandom", 0o666),
        (Self::Terminal, (5, 0), "tty", 0o666),
        (Self::Console, (5, 1), "console", 0o620),
        (Self::Multiplexer, (5, 2), "ptmx", 0o666),
    ];

    /// Major and minor number.
    pub fn number(self) -> (u32, u32) {
        if let Self::Pseudo(number) = self {
            return (136, number);
        }
        Self::ALL.iter().find(|(device, ..)| *device == self).map_or((0, 0), |(_, number, ..)| *number)
    }

    /// The device of this number.
    pub fn numbered(number: (u32, u32)) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, ..)| *known == number).map(|(device, ..)| *device)
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read(self, to: &mut Buffers) -> Result<usize, Errno> {
        let mut done = 0;
        match self {
            Self::Zero | Self::Full => {
                while to.remaining() > 0 {
                    match to.fill(&zeros()[..PAGE.min(to.remaining())]) {
                        Ok(0) => break,
                        Ok(length) => done += length,
                        Err(_) if done > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            Self::Random | Self::URandom => {
                let mut chunk = [0; CHUNK];
                while to.remaining() > 0 && done < RANDOM_MOST {
                    let length = CHUNK.min(to.remaining());
                    kernlet_entropy::fill(&mut chunk[..length]);
                    match to.fill(&chunk[..length]) {
                        Ok(0) => break,
                        Ok(length) => done += length,
                        Err(_) if done > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            _ => {}
        }
        Ok(done)
    }

    /// Writes.
    ///
    /// # Errors
    /// ENOSPC for a full one.
    pub fn write(self, from: &mut Buffers) -> Result<usize, Errno> {
        let length = from.remaining();
        if self == Self::Full && length > 0 {
            return Err(Errno::ENOSPC);
        }
        // What is written to random devices is not needed: the seed is.
        while let Some((_, piece)) = from.piece() {
            from.advance(piece);
        }
        Ok(length)
    }
}

/// Opens a device.
///
/// # Errors
/// ENXIO for a terminal where there is none; EIO for a pseudo-terminal that is locked.
pub fn open(thread: &Thread, device: Device) -> Result<Opened, Errno> {
    match device {
        Device::Terminal | Device::Console => {
            let console = thread.process.files.console();
            match device {
                Device::Terminal if !console.is_terminal() => Err(Errno::ENXIO),
                _ => Ok(Opened::Console(console.clone())),
            }
        }
        Device::Multiplexer => Master::open(thread),
        Device::Pseudo(number) => Slave::open(thread, number),
        _ => Ok(Opened::Device(device)),
    }
}

/// Makes the devices and links that stand in /dev.
pub fn fill(devices: &Rc<Node>) {
    let put = |name: &str, mode: u32, kind| {
        // There is room at the start of an instance, and nothing is there.
        if let Ok(node) = Node::new(&devices.system, mode, (0, 0), kind) {
            let _ = directory::insert(devices, name.as_bytes(), &node);
        }
    };
    for (device, _, name, mode) in Device::ALL {
        put(name, S_IFCHR | mode, Kind::Device(device));
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, target) in links {
        put(name, S_IFLNK | 0o777, Kind::Link(target.as_bytes().into()));
    }
}
