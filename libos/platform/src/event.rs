//! The one way to wait.
//!
//! Whatever can become ready (a host socket, a virtio queue, the control channel) is watched under a token that
//! its user chose; [`wait`] reports tokens. Reports are edges: one comes when something changed, and the user
//! tries until EAGAIN before waiting again. A report may be spurious.

/// Something may have become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token under which it is watched.
    pub token: u32,
    /// Reading may succeed (or will tell of an end or an error).
    pub readable: bool,
    /// Writing may succeed (or will tell of an error).
    pub writable: bool,
    /// The other end has ended its side, or the connection: reading will come to an end of which no further report
    /// is made.
    pub ended: bool,
}

/// Halts until something is ready or [`crate::clock::monotonic`] reaches `deadline` (`None`: no limit), then
/// reports all that is ready. With a deadline that has passed it only looks.
pub fn wait(deadline: Option<u64>, report: &mut dyn FnMut(Ready)) {
    at_door!(event::wait(deadline, report))
}
