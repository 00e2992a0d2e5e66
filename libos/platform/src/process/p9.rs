//! A VM's 9P transports; the process door reaches volumes through the broker. On a host build a test can stand in for
//! the server.

#[cfg(kernlet_image)]
mod none {
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

#[cfg(not(kernlet_image))]
mod served {
    use crate::Errno;
    use crate::cpu::CpuLocal;
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    /// Requests in flight on one device, as in a VM.
    const SLOTS: usize = 8;

    /// Answers a request.
    pub type Server = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

    struct Device {
        tag: String,
        server: Server,
        replies: [Option<Vec<u8>>; SLOTS],
        watched: bool,
    }

    static DEVICES: CpuLocal<RefCell<Vec<Device>>> = CpuLocal::new(RefCell::default);

    /// See [`crate::p9::serve`].
    pub fn serve(tag: &str, server: Server) {
        DEVICES.get().borrow_mut().push(Device {
            tag: tag.into(),
            server,
            replies: Default::default(),
            watched: false,
        });
    }

    pub fn open(tag: &str) -> Option<usize> {
        DEVICES.get().borrow().iter().position(|device| device.tag == tag)
    }

    /// Replies come at once, so there is nothing to report. A VM has room for one watcher of each device.
    pub fn watch(device: usize, _token: u32) {
        if let Some(device) = DEVICES.get().borrow_mut().get_mut(device) {
            assert!(!core::mem::replace(&mut device.watched, true), "a device is watched once");
        }
    }

    pub fn submit(device: usize, request: &[u8], reply: usize) -> Result<u16, Errno> {
        let mut devices = DEVICES.get().borrow_mut();
        let device = devices.get_mut(device).ok_or(Errno::ENODEV)?;
        let slot = device.replies.iter().position(Option::is_none).ok_or(Errno::EAGAIN)?;
        let mut bytes = (device.server)(request);
        bytes.truncate(reply);
        device.replies[slot] = Some(bytes);
        Ok(slot as u16)
    }

    pub fn take(device: usize, slot: u16, consume: &mut dyn FnMut(&[u8])) -> bool {
        let taken = DEVICES
            .get()
            .borrow_mut()
            .get_mut(device)
            .and_then(|d| d.replies.get_mut(usize::from(slot))?.take());
        taken.map(|bytes| consume(&bytes)).is_some()
    }
}

#[cfg(kernlet_image)]
pub use none::*;
#[cfg(not(kernlet_image))]
pub use served::*;
