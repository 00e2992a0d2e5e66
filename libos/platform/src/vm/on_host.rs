//! The parts of the VM door whose logic is tested on the host: nothing here runs in an image.
#![allow(dead_code, reason = "the rest of the door is not compiled on a host")]

mod frames;
mod port;
mod rtc;
mod single;

/// Stands in for device memory.
mod dma {
    use std::vec::Vec;

    pub struct Dma(Vec<u128>);

    impl Dma {
        pub fn new(length: usize) -> Option<Self> {
            Some(Self(std::vec![0; length.div_ceil(16)]))
        }

        pub fn physical(&self, offset: usize) -> u64 {
            self.0.as_ptr() as u64 + offset as u64
        }

        pub fn pointer(&self, offset: usize, length: usize) -> *mut u8 {
            assert!(offset + length <= self.0.len() * 16);
            (self.0.as_ptr() as usize + offset) as *mut u8
        }
    }
}

mod trunk {
    mod bytes;
    mod mux;
}

mod virtio {
    mod queue;
}
