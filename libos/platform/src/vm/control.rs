//! The control channel: a port of the virtio console.

use super::ports::{self, Role};
use super::single::Single;
use kernlet_wire::control::{MAX_MESSAGE, Message};

/// What has come of a message that is not complete.
struct Partial {
    bytes: [u8; MAX_MESSAGE],
    length: usize,
}

static PARTIAL: Single<Partial> = Single::new(Partial { bytes: [0; MAX_MESSAGE], length: 0 });

/// See [`crate::control::send`].
pub fn send(message: Message) {
    ports::write(Role::Control, message.encode(&mut [0; MAX_MESSAGE]));
}

/// See [`crate::control::receive`].
pub fn receive() -> Option<Message> {
    let partial = &mut *PARTIAL.lock();
    loop {
        match Message::decode(partial.bytes.get(..partial.length)?) {
            Ok(Some((message, used))) => {
                partial.bytes.copy_within(used..partial.length, 0);
                partial.length -= used;
                return Some(message);
            }
            // Without meaning from here on: forget it.
            Err(_) => partial.length = 0,
            Ok(None) => {
                let got = ports::read(Role::Control, partial.bytes.get_mut(partial.length..)?)?.ok()?;
                if got == 0 {
                    return None;
                }
                partial.length += got;
            }
        }
    }
}

/// See [`crate::control::watch`].
pub fn watch(token: u32) -> bool {
    ports::watch(Role::Control, token)
}
