//! The channel of [`kernlet_wire::control`] messages to the monitor.

pub use kernlet_wire::control::{Death, Message};

/// Sends a message; does nothing without a monitor.
pub fn send(message: Message) {
    at_door!(control::send(message))
}

/// The next message that the monitor sent, if one is there.
pub fn receive() -> Option<Message> {
    at_door!(control::receive())
}

/// Reports under `token` (see [`crate::event`]) when a message has come. `false` when there is no monitor.
pub fn watch(token: u32) -> bool {
    at_door!(control::watch(token))
}
