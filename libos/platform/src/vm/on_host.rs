//! The parts of the VM door whose logic is tested on the host: nothing here runs in an image. Drivers meet a device
//! that does as a test says ([`virtio::model`]).
#![allow(dead_code, reason = "the rest of the door is not compiled on a host")]

pub mod entropy;
mod frames;
pub mod nic;
pub mod p9;
mod port;
pub mod ports;
mod random;
mod rtc;
mod single;

pub mod exercise;
#[cfg(test)]
mod tests;

/// Stands in for device memory.
mod dma {
    use super::virtio::model;

    pub struct Dma {
        address: usize,
        length: usize,
    }

    impl Dma {
        pub fn new(length: usize) -> Option<Self> {
            Some(Self { address: model::lend(length), length })
        }

        pub fn dirty(length: usize) -> Option<Self> {
            Self::new(length)
        }

        pub fn len(&self) -> usize {
            self.length
        }

        pub fn physical(&self, offset: usize) -> u64 {
            self.address as u64 + offset as u64
        }

        pub fn pointer(&self, offset: usize, length: usize) -> *mut u8 {
            assert!(offset <= self.length && length <= self.length - offset, "beyond a device's memory");
            (self.address + offset) as *mut u8
        }

        pub fn bytes(&self, offset: usize, length: usize) -> &[u8] {
            // SAFETY: in bounds and initialised; the model writes only while drivers look at a queue.
            unsafe { core::slice::from_raw_parts(self.pointer(offset, length), length) }
        }

        pub fn bytes_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
            // SAFETY: as above; `&mut self` keeps other references away.
            unsafe { core::slice::from_raw_parts_mut(self.pointer(offset, length), length) }
        }
    }
}

mod program {
    mod areas;
}

mod trunk {
    mod bytes;
    mod mux;
}

/// Stands in for interrupts: a halted vCPU gives devices their turn.
mod event {
    use super::virtio::model;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Line;

    pub fn watch(_: Line, _: u32) {}

    pub fn halt() {
        model::halted();
    }
}

pub mod virtio {
    pub mod model;
    mod number;
    mod queue;

    pub use model::Device;
    pub use number::{feature, kind};
    pub use queue::{Part, Queue};
}
