//! Virtio devices (virtio 1.2): finding them, agreeing on features, and their queues.
//!
//! This crate's own, because virtio-drivers 0.13 cannot use MSI-X, reads a device register for every PCI
//! notification, and forgets notifications with VIRTIO_F_EVENT_IDX once its index wraps.

mod mmio;
mod number;
mod pci;
mod queue;

use super::event::{self, Line};
use super::single::Single;
use mmio::Mmio;
pub use number::{feature, kind};
use pci::Pci;
pub use pci::has_pci;
pub use queue::{Part, Queue};

/// Device status bits.
mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
}

/// More devices than microvm has slots.
const MAX_DEVICES: usize = 40;

/// Where a device is.
#[derive(Clone, Copy)]
enum Place {
    /// Registers at a physical address, and the interrupt line.
    Mmio(usize, u32),
    /// Bus, device and function, as in the configuration address.
    Pci(u32),
}

struct Found {
    devices: [(u16, Place); MAX_DEVICES],
    count: usize,
    searched: bool,
}

impl Found {
    fn add(&mut self, kind: u16, place: Place) {
        if let Some(slot) = self.devices.get_mut(self.count) {
            *slot = (kind, place);
            self.count += 1;
        }
    }
}

static FOUND: Single<Found> =
    Single::new(Found { devices: [(0, Place::Mmio(0, 0)); MAX_DEVICES], count: 0, searched: false });

fn place(kind: u16, nth: usize) -> Option<Place> {
    let found = &mut *FOUND.lock();
    if !found.searched {
        found.searched = true;
        if has_pci() {
            pci::scan(|kind, at| found.add(kind, Place::Pci(at)));
        }
        mmio::scan(|kind, address, line| found.add(kind, Place::Mmio(address, line)));
    }
    found.devices.iter().take(found.count).filter(|(k, _)| *k == kind).nth(nth).map(|(_, place)| *place)
}

enum Transport {
    Mmio(Mmio),
    Pci(Pci),
}

/// An opened device.
pub struct Device {
    transport: Transport,
    line: Option<Line>,
    features: u64,
}

/// Calls the transport's function of the same name.
macro_rules! transport {
    ($device:ident . $function:ident ( $($argument:expr),* )) => {
        match &$device.transport {
            Transport::Mmio(t) => t.$function($($argument),*),
            Transport::Pci(t) => t.$function($($argument),*),
        }
    };
}

impl Device {
    /// Resets the `nth` device of type `kind` and agrees on those of the features in `wanted` that it has. With
    /// `interrupts` it gets a line.
    pub fn open(kind: u16, nth: usize, wanted: u64, interrupts: bool) -> Option<Self> {
        Self::open_choosing(kind, nth, &|offered| offered & wanted, interrupts)
    }

    /// The same with those features that `choose` takes of the ones offered: some make sense only together.
    pub fn open_choosing(
        kind: u16,
        nth: usize,
        choose: &dyn Fn(u64) -> u64,
        interrupts: bool,
    ) -> Option<Self> {
        let mut device = match place(kind, nth)? {
            Place::Mmio(address, line) => {
                let transport = Mmio::open(address)?;
                let line = if interrupts { transport.interrupt(line) } else { None };
                Self { transport: Transport::Mmio(transport), line, features: 0 }
            }
            Place::Pci(at) => {
                let transport = Pci::open(at)?;
                let line = if interrupts { Some(event::line(0)?) } else { None };
                if let Some(line) = line {
                    pci::interrupt(at, line.vector())?;
                }
                Self { transport: Transport::Pci(transport), line, features: 0 }
            }
        };
        device.negotiate(choose).then_some(device)
    }

    fn set_status(&self, status: u8) {
        transport!(self.set_status(status));
    }

    fn negotiate(&mut self, choose: &dyn Fn(u64) -> u64) -> bool {
        self.set_status(0);
        let mut status = status::ACKNOWLEDGE | status::DRIVER;
        self.set_status(status);
        let mut offered = transport!(self.features());
        if self.is_legacy() {
            offered &= u64::from(u32::MAX);
        } else if offered & feature::VERSION_1 == 0 {
            return false;
        }
        self.features = offered & (choose(offered) | feature::VERSION_1);
        transport!(self.accept(self.features));
        if self.is_legacy() {
            return true;
        }
        status |= status::FEATURES_OK;
        self.set_status(status);
        transport!(self.status()) & status::FEATURES_OK != 0
    }

    fn is_legacy(&self) -> bool {
        matches!(&self.transport, Transport::Mmio(t) if t.is_legacy())
    }

    /// Whether all of `features` were agreed on.
    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }

    /// Its interrupt.
    pub fn line(&self) -> Option<Line> {
        self.line
    }

    /// Sets up the queue `index` with at most `size` descriptors (a power of 2 up to 128).
    pub fn queue(&self, index: u16, size: u16) -> Option<Queue> {
        let size = Queue::fitting(transport!(self.queue_size(index)), size)?;
        let bell = transport!(self.bell(index))?;
        let queue = Queue::new(size, self.is_legacy(), self.has(feature::EVENT_INDEX), bell)?;
        transport!(self.set_queue(index, size, queue.addresses(), self.line.is_some()));
        Some(queue)
    }

    /// Lets the device work.
    pub fn start(&self) {
        let mut status = status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK;
        if !self.is_legacy() {
            status |= status::FEATURES_OK;
        }
        self.set_status(status);
    }

    /// A byte of the device's configuration; 0 behind its end.
    pub fn config(&self, offset: usize) -> u8 {
        transport!(self.config(offset))
    }

    /// A 16-bit number of the device's configuration.
    pub fn config_u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.config(offset), self.config(offset + 1)])
    }
}
