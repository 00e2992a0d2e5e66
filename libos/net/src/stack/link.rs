//! The Ethernet device below the stack, as a trait so that tests join stacks without a machine.

use core::cell::Cell;
use kernlet_platform::Errno;
use kernlet_platform::nic::{self, Facts, Offload};

/// Writes a frame into the buffer it is given and says what the device has still to do.
pub type Fill<'f> = &'f mut dyn FnMut(&mut [u8]) -> Offload;

/// An Ethernet device. Its methods may be called from within one another, but for `receive` from within `receive`.
pub trait Link {
    /// Its facts.
    fn facts(&self) -> Facts;
    /// Hands the next received frame to `consume`, which may send; `false` when there is none.
    fn receive(&self, consume: &mut dyn FnMut(&[u8], Offload)) -> bool;
    /// Whether a frame can be sent now.
    fn can_transmit(&self) -> bool;
    /// Sends a frame.
    ///
    /// # Errors
    /// EAGAIN when there is no room, EMSGSIZE when the frame is too long.
    fn transmit(&self, length: usize, fill: Fill<'_>) -> Result<(), Errno>;
    /// Tells the device of what was queued.
    fn flush(&self);
    /// Whether a frame can be sent, if need be after the device was told of those before it.
    fn has_room(&self) -> bool {
        if !self.can_transmit() {
            self.flush();
        }
        self.can_transmit()
    }
}

/// The platform's device.
pub struct Nic {
    facts: Facts,
    unflushed: Cell<bool>,
}

impl Nic {
    /// Starts the device, if there is one. The monitor's word about the MAC address is the last.
    pub fn open(mac: Option<[u8; 6]>) -> Option<Self> {
        let mut facts = nic::open()?;
        facts.mac = mac.unwrap_or(facts.mac);
        // An address with the group bit set cannot be an interface's.
        facts.mac[0] &= !1;
        Some(Self { facts, unflushed: Cell::new(false) })
    }
}

impl Link for Nic {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn receive(&self, consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
        nic::receive(consume)
    }

    fn can_transmit(&self) -> bool {
        nic::can_transmit()
    }

    fn transmit(&self, length: usize, fill: Fill<'_>) -> Result<(), Errno> {
        self.unflushed.set(true);
        nic::transmit(length, fill)
    }

    fn flush(&self) {
        if self.unflushed.take() {
            nic::flush();
        }
    }
}
