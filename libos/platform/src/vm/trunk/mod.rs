//! The trunk: the host's sockets and the broker, on a port of the virtio console (see [`kernlet_wire::trunk`]).
//!
//! Whatever has come is taken in whenever the console strikes, so that the line never stands still for one channel;
//! what is sent waits in the [`Mux`] while all buffers of the port are on their way.

mod bytes;
mod mux;
mod program;
mod socket;

pub use socket::{Datagram, Listener, Stream};

use super::dma::Dma;
use super::event;
use super::ports;
use super::single::{Later, Single};
use super::virtio::{Part, Queue};
use crate::Errno;
use crate::boot::blob;
use crate::event::Ready;
use core::cell::RefMut;
use mux::Mux;

/// QEMU hands over no more than this at a time.
const INPUT: usize = 4096;
const OUTPUT: usize = 16 << 10;
/// Buffers each way; an instance with little memory has fewer.
const BUFFERS: [u16; 2] = [16, 4];
const FEW_BUFFERS: [u16; 2] = [4, 1];
const LITTLE_MEMORY: usize = 8 << 20;

struct Trunk {
    mux: Mux,
    receive: Queue,
    transmit: Queue,
    input: Dma,
    output: Dma,
    /// Transmit buffers that are free.
    free: u32,
}

struct State {
    looked: bool,
    trunk: Later<Trunk>,
}

static TRUNK: Single<State> = Single::new(State { looked: false, trunk: Later::new() });

impl Trunk {
    fn open() -> Option<Self> {
        let few = super::frames::RAM.lock().free() < LITTLE_MEMORY;
        let (receive, transmit) = ports::trunk(if few { FEW_BUFFERS } else { BUFFERS })?;
        let input = Dma::dirty(INPUT * usize::from(receive.size()))?;
        let output = Dma::dirty(OUTPUT * usize::from(transmit.size()))?;
        let free = (1 << transmit.size()) - 1;
        let mut trunk = Self { mux: Mux::default(), receive, transmit, input, output, free };
        for port in blob().published() {
            if let Ok(channel) = u32::try_from(port.descriptor) {
                trunk.mux.add(channel);
            }
        }
        for slot in 0..trunk.receive.size() {
            trunk.listen(slot);
        }
        trunk.receive.want_interrupt(true);
        trunk.transmit.want_interrupt(false);
        trunk.receive.kick();
        Some(trunk)
    }

    fn listen(&mut self, slot: u16) {
        let address = self.input.physical(usize::from(slot) * INPUT);
        self.receive.post(slot, &[Part { address, length: INPUT as u32, writable: true }]);
    }

    /// Takes in all that has come.
    fn take_in(&mut self) {
        while let Some((slot, length)) = self.receive.pop() {
            let length = (length as usize).min(INPUT);
            self.mux.take_in(self.input.bytes(usize::from(slot) * INPUT, length));
            self.listen(slot);
        }
        self.receive.kick();
    }

    /// Sends what there are buffers for; asks to be told of free ones when something is left.
    #[inline(never)]
    fn flush(&mut self) {
        while self.mux.has_output() {
            self.reclaim();
            while self.free != 0 && self.mux.has_output() {
                let slot = self.free.trailing_zeros() as u16;
                let offset = usize::from(slot) * OUTPUT;
                let length = self.mux.take_output(self.output.bytes_mut(offset, OUTPUT)) as u32;
                self.free &= !(1 << slot);
                let part = Part { address: self.output.physical(offset), length, writable: false };
                self.transmit.post(slot, &[part]);
            }
            self.transmit.kick();
            if !self.mux.has_output() {
                return;
            }
            self.transmit.want_interrupt(true);
            // What was free before the device knew that would not be reported.
            if !self.reclaim() {
                return;
            }
        }
    }

    fn reclaim(&mut self) -> bool {
        let before = self.free;
        while let Some((slot, _)) = self.transmit.pop() {
            self.free |= 1 << slot;
        }
        self.free != before
    }
}

/// The trunk, which is opened when first used; ENODEV when there is none.
#[inline(never)]
fn trunk() -> Result<RefMut<'static, Trunk>, Errno> {
    let mut state = TRUNK.lock();
    if !state.looked {
        state.looked = true;
        if let Some(trunk) = Trunk::open() {
            state.trunk.set(trunk);
            event::hook(pump);
        }
    }
    RefMut::filter_map(state, |state| state.trunk.get_mut()).map_err(|_| Errno::ENODEV)
}

/// Calls `f` with the channels, and sends what it left to be sent.
fn with<R>(f: impl FnOnce(&mut Mux) -> Result<R, Errno>) -> Result<R, Errno> {
    let mut trunk = trunk()?;
    let result = f(&mut trunk.mux);
    trunk.flush();
    result
}

/// Called when a device has struck, and with `None` at the end: then all is sent before this returns.
fn pump(report: Option<&mut dyn FnMut(Ready)>) {
    let Some(mut state) = TRUNK.try_lock() else { return };
    let Some(trunk) = state.trunk.get_mut() else { return };
    trunk.take_in();
    trunk.flush();
    let Some(report) = report else {
        while trunk.mux.has_output() && !trunk.transmit.is_broken() {
            event::halt();
            trunk.take_in();
            trunk.flush();
        }
        return;
    };
    if !trunk.mux.has_output() {
        trunk.transmit.want_interrupt(false);
    }
    trunk.mux.made_room();
    let ready = trunk.mux.take_ready();
    drop(state);
    ready.into_iter().for_each(report);
}

/// See [`crate::broker::send`].
pub fn ask(request: &[u8]) -> Result<(), Errno> {
    with(|mux| mux.ask(request))
}

/// See [`crate::broker::receive`]; with the channel that was granted, or 0.
pub fn reply(buffer: &mut [u8]) -> Result<(usize, u32), Errno> {
    with(|mux| mux.reply(buffer))
}

/// See [`crate::broker::watch`].
pub fn watch_broker(token: u32) -> bool {
    with(|mux| {
        mux.watch_broker(token);
        Ok(())
    })
    .is_ok()
}
