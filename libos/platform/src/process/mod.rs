//! The process door: a sandboxed Linux process. Everything goes through the few host calls of [`call`], on
//! descriptors that the loader left open; the table of what the filter lets pass is in the host's `sandbox`.

pub mod broker;
pub mod call;
pub mod clock;
pub mod console;
pub mod control;
pub mod descriptor;
pub mod entropy;
pub mod event;
#[cfg(kernlet_image)]
pub mod fault;
pub mod file;
pub mod heap;
pub mod nic;
pub mod power;
pub mod socket;
#[cfg(kernlet_image)]
pub mod start;

/// A VM's 9P transports; the process door reaches volumes through the broker.
pub mod p9 {
    use crate::Errno;

    pub fn open(_tag: &str) -> Option<usize> {
        None
    }
    pub fn watch(_device: usize, _token: u32) {}
    pub fn submit(_device: usize, _request: &[u8], _reply: usize) -> Result<u16, Errno> {
        Err(Errno::ENODEV)
    }
    pub fn take(_device: usize, _slot: u16, _consume: &mut dyn FnMut(&[u8])) -> bool {
        false
    }
}
