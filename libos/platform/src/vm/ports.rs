//! The virtio console and its named ports (virtio 1.2, 5.3): standard streams and the control channel.
//!
//! A console without named ports (`-device virtconsole`) serves as standard input, output and error.

mod link;
mod port;

use super::single::{Later, Single};
use super::virtio::Queue;
use crate::Errno;
use kernlet_wire::{control, trunk};
use link::Link;
use port::Port;

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Input,
    Output,
    Error,
    Control,
}

/// The names of the ports, in the order of [`Role`], and the trunk's.
const NAMES: [&str; 5] =
    ["kernlet.stdin", "kernlet.stdout", "kernlet.stderr", control::PORT_NAME, trunk::PORT_NAME];

struct Console {
    link: Link,
    /// The ports in use, and for each role which of them it has.
    ports: [Option<Port>; 4],
    roles: [Option<usize>; 4],
    /// The trunk's port, which is not opened here.
    trunk: Option<u32>,
}

struct State {
    looked: bool,
    console: Later<Console>,
}

static CONSOLE: Single<State> = Single::new(State { looked: false, console: Later::new() });

impl Console {
    fn open() -> Option<Self> {
        let mut link = Link::open()?;
        let found = link.discover(&NAMES);
        let trunk = found.named[4];
        let mut console = Self { link, ports: [const { None }; 4], roles: [None; 4], trunk };
        for (role, named) in found.named.into_iter().take(4).enumerate() {
            if let Some(number) = named.or(found.console.filter(|_| role != Role::Control as usize)) {
                console.roles[role] = console.port(number);
            }
        }
        Some(console)
    }

    /// The index of the port with that number, which is opened if it was not.
    fn port(&mut self, number: u32) -> Option<usize> {
        let open = |p: &Option<Port>| p.as_ref().is_some_and(|p| p.number() == number);
        if let Some(at) = self.ports.iter().position(open) {
            return Some(at);
        }
        let at = self.ports.iter().position(Option::is_none)?;
        self.ports[at] = Some(Port::open(self.link.device(), number)?);
        self.link.opened(number);
        Some(at)
    }

    fn with_role(&mut self, role: Role) -> Option<&mut Port> {
        self.ports.get_mut(self.roles[role as usize]?)?.as_mut()
    }
}

/// Calls `f` with the console, which is opened when first used. `None` when there is none, or when it is in use:
/// then a fault or panic happened in this very code.
fn with<R>(f: impl FnOnce(&mut Console) -> Option<R>) -> Option<R> {
    let mut state = CONSOLE.try_lock()?;
    if !state.looked {
        state.looked = true;
        if let Some(console) = Console::open() {
            state.console.set(console);
        }
    }
    f(state.console.get_mut()?)
}

/// Writes all of `bytes` to the port of `role`; `false` when there is no such port.
pub fn write(role: Role, bytes: &[u8]) -> bool {
    with(|console| console.with_role(role).map(|port| port.write(bytes))).is_some()
}

/// Writes what there is room for to the port of `role`; `None` when there is no such port.
pub fn offer(role: Role, bytes: &[u8]) -> Option<Result<usize, Errno>> {
    with_open(role, |port| port.offer(bytes))
}

/// Whether the port of `role` has room, as EAGAIN and EPIPE say; `None` when there is no such port.
pub fn room(role: Role) -> Option<Result<(), Errno>> {
    with_open(role, |port| if port.has_room() { Ok(()) } else { Err(Errno::EAGAIN) })
}

/// Calls `f` with the port of `role`; EPIPE when the host has closed it.
fn with_open<R>(role: Role, f: impl FnOnce(&mut Port) -> Result<R, Errno>) -> Option<Result<R, Errno>> {
    with(|console| {
        let number = console.with_role(role)?.number();
        if console.link.is_closed(number) {
            return Some(Err(Errno::EPIPE));
        }
        console.with_role(role).map(f)
    })
}

/// Whether reading from the port of `role` gives something, or its end; `None` when there is no such port.
pub fn has_input(role: Role) -> Option<bool> {
    with(|console| {
        let port = console.with_role(role)?;
        let number = port.number();
        Some(port.has_input() || console.link.is_closed(number))
    })
}

/// Reads what has come from the port of `role`: 0 bytes when the host closed it, `None` without such a port.
pub fn read(role: Role, buffer: &mut [u8]) -> Option<Result<usize, Errno>> {
    with(|console| {
        let port = console.with_role(role)?;
        let got = port.read(buffer);
        if got != 0 {
            return Some(Ok(got));
        }
        let number = port.number();
        // What the host wrote before it closed the port came first: look again.
        let closed = console.link.is_closed(number);
        let got = console.with_role(role)?.read(buffer);
        Some(if got != 0 || closed { Ok(got) } else { Err(Errno::EAGAIN) })
    })
}

/// Reports `token` when the console has something to say; `false` without a port of `role`.
pub fn watch(role: Role, token: u32) -> bool {
    let line = with(|console| {
        console.with_role(role)?;
        console.link.device().line()
    });
    line.is_some_and(|line| {
        super::event::watch(line, token);
        true
    })
}

/// The queues of the trunk's port, with so many buffers each; `None` when there is no such port, or they were taken.
pub fn trunk([receive, transmit]: [u16; 2]) -> Option<(Queue, Queue)> {
    with(|console| {
        let number = console.trunk.take()?;
        let [first, second] = port::queues(number)?;
        let device = console.link.device();
        let queues = (device.queue(first, receive)?, device.queue(second, transmit)?);
        console.link.opened(number);
        Some(queues)
    })
}

/// Waits until the host has taken everything that was written.
pub fn drain() {
    if let Some(mut state) = CONSOLE.try_lock()
        && let Some(console) = state.console.get_mut()
    {
        console.ports.iter_mut().flatten().for_each(Port::drain);
    }
}

/// Forgets the console, so that the next one is looked for.
#[cfg(not(kernlet_image))]
pub fn reset() {
    *CONSOLE.lock() = State { looked: false, console: Later::new() };
}
