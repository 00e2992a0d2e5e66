//! 9P transports: virtio-9p devices (the mount tag is their configuration), a request and its reply in two
//! descriptors that follow each other.

use super::dma::Dma;
use super::event;
use super::single::{Later, Single};
use super::virtio::{Device, Part, Queue, kind};
use crate::Errno;

const MOUNT_TAG: u64 = 1 << 0;
/// Volumes of one instance.
const MAX_DEVICES: usize = 16;
/// Requests in flight on one device.
const SLOTS: usize = 8;
/// The largest message either way: 64 KiB of data with any header.
const MAX_MESSAGE: usize = (64 << 10) + 4096;

/// A request with its reply. The buffers grow to what was needed once, and stay.
struct Slot {
    request: Option<Dma>,
    reply: Option<Dma>,
    /// How much of `reply` the device was told of.
    room: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    InFlight,
    /// So many bytes of reply.
    Done(usize),
}

struct Transport {
    device: Device,
    queue: Queue,
    slots: [Slot; SLOTS],
}

static TRANSPORTS: Single<[Later<Transport>; MAX_DEVICES]> =
    Single::new([const { Later::new() }; MAX_DEVICES]);

impl Transport {
    fn open(nth: usize) -> Option<Self> {
        let device = Device::open(kind::P9, nth, MOUNT_TAG, true)?;
        let mut queue = device.queue(0, SLOTS as u16 * 2)?;
        if queue.size() < 2 {
            return None;
        }
        queue.want_interrupt(true);
        device.start();
        let slots = [const { Slot { request: None, reply: None, room: 0, state: State::Free } }; SLOTS];
        Some(Self { device, queue, slots })
    }

    fn has_tag(&self, tag: &str) -> bool {
        let length = usize::from(self.device.config_u16(0));
        length == tag.len() && tag.bytes().enumerate().all(|(i, byte)| self.device.config(2 + i) == byte)
    }

    fn collect(&mut self) {
        while let Some((head, length)) = self.queue.pop() {
            if let Some(slot) = self.slots.get_mut(usize::from(head / 2)) {
                slot.state = State::Done(length as usize);
            }
        }
    }
}

/// A buffer of at least `length` bytes in `place`.
fn room(place: &mut Option<Dma>, length: usize) -> Option<&mut Dma> {
    if place.as_ref().is_none_or(|dma| dma.len() < length) {
        *place = Some(Dma::new(length.next_power_of_two().min(MAX_MESSAGE))?);
    }
    place.as_mut()
}

/// See [`crate::p9::open`].
pub fn open(tag: &str) -> Option<usize> {
    let transports = &mut *TRANSPORTS.lock();
    for (nth, place) in transports.iter_mut().enumerate() {
        if place.get().is_none() {
            place.set(Transport::open(nth)?);
        }
        if place.get().is_some_and(|t| t.has_tag(tag)) {
            return Some(nth);
        }
    }
    None
}

/// See [`crate::p9::watch`].
pub fn watch(device: usize, token: u32) {
    let line = TRANSPORTS.lock().get(device).and_then(|t| t.get()?.device.line());
    if let Some(line) = line {
        event::watch(line, token);
    }
}

/// See [`crate::p9::submit`].
pub fn submit(device: usize, request: &[u8], reply: usize) -> Result<u16, Errno> {
    let mut guard = TRANSPORTS.lock();
    let transport = guard.get_mut(device).and_then(Later::get_mut).ok_or(Errno::ENODEV)?;
    if request.is_empty() || request.len() > MAX_MESSAGE || reply == 0 || reply > MAX_MESSAGE {
        return Err(Errno::EMSGSIZE);
    }
    let usable = usize::from(transport.queue.size() / 2).min(SLOTS);
    if transport.queue.is_broken() {
        return Err(Errno::EIO);
    }
    let free = transport.slots[..usable].iter().position(|slot| slot.state == State::Free);
    let number = free.ok_or(Errno::EAGAIN)?;
    let slot = &mut transport.slots[number];
    let out = room(&mut slot.request, request.len()).ok_or(Errno::ENOMEM)?;
    out.bytes_mut(0, request.len()).copy_from_slice(request);
    let out = Part { address: out.physical(0), length: request.len() as u32, writable: false };
    let back = room(&mut slot.reply, reply).ok_or(Errno::ENOMEM)?;
    let back = Part { address: back.physical(0), length: reply as u32, writable: true };
    slot.room = reply;
    slot.state = State::InFlight;
    transport.queue.post(number as u16 * 2, &[out, back]);
    transport.queue.kick();
    Ok(number as u16)
}

/// See [`crate::p9::take`].
pub fn take(device: usize, slot: u16, consume: &mut dyn FnMut(&[u8])) -> bool {
    let mut guard = TRANSPORTS.lock();
    let Some(transport) = guard.get_mut(device).and_then(Later::get_mut) else { return false };
    transport.collect();
    let Some(slot) = transport.slots.get_mut(usize::from(slot)) else { return false };
    match (slot.state, &slot.reply) {
        (State::Done(length), Some(reply)) => {
            consume(reply.bytes(0, length.min(slot.room)));
            slot.state = State::Free;
            true
        }
        // Nothing will come any more. The buffers stay the device's.
        (State::InFlight, _) if transport.queue.is_broken() => {
            consume(&[]);
            true
        }
        _ => false,
    }
}

/// Forgets all devices, so that the next ones are looked for.
#[cfg(not(kernlet_image))]
pub fn reset() {
    *TRANSPORTS.lock() = [const { Later::new() }; MAX_DEVICES];
}
