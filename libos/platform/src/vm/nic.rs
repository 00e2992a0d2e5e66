//! The Ethernet device: virtio-net (virtio 1.2, 5.1) with checksum offload, and segmentation offload where the device
//! merges receive buffers and memory is not scarce.
//!
//! A buffer belongs to the descriptor of its number, on both sides for good: a frame is read and written in place,
//! and its buffer goes round.

use super::dma::Dma;
use super::event;
use super::single::Single;
use super::virtio::{Device, Part, Queue, feature, kind};
use crate::Errno;
use crate::nic::{Facts, HEADER as LEGACY_HEADER, LARGEST_FRAME, Offload};

mod net_feature {
    pub const CSUM: u64 = 1 << 0;
    pub const GUEST_CSUM: u64 = 1 << 1;
    pub const MTU: u64 = 1 << 3;
    pub const MAC: u64 = 1 << 5;
    /// The driver takes TCP segments longer than the MTU, over IPv4 and IPv6, in several buffers each.
    pub const LARGE_IN: u64 = 1 << 7 | 1 << 8 | MERGED;
    /// So does the device.
    pub const LARGE_OUT: u64 = 1 << 11;
    pub const MERGED: u64 = 1 << 15;
}

/// struct virtio_net_hdr; a legacy device that does not merge buffers leaves the last two bytes out.
const HEADER: usize = 12;
/// Where the number of merged buffers stands in it.
const NUM_BUFFERS: usize = 10;
const ETHERNET: usize = 14;
const STANDARD_MTU: u16 = 1500;
/// Every link carries this much (RFC 8200, section 5); a device that says less is not believed.
const SMALLEST_MTU: u16 = 1280;
/// Jumbo frames up to here; more would waste memory on buffers.
const LARGEST_MTU: u16 = 9000;
const CONFIG_MTU: usize = 10;
/// Buffers each way; an instance with little memory has fewer.
const BUFFERS: u16 = 128;
const FEW_BUFFERS: u16 = 16;
const LITTLE_MEMORY: usize = 8 << 20;
/// Buffers for frames longer than the MTU.
const LARGE_BUFFERS: usize = 4;
const LARGE_STRIDE: usize = (HEADER + LARGEST_FRAME).next_multiple_of(64);
/// With this much memory free there are such buffers.
const MUCH_MEMORY: usize = 24 << 20;
/// The first slots of the transmit queue have them.
const LARGE_SLOTS: u128 = (1 << LARGE_BUFFERS) - 1;
/// Received buffers are given back in batches of this many.
const BATCH: u16 = 16;

struct Nic {
    device: Device,
    facts: Facts,
    header: usize,
    /// Room for one frame with its header.
    stride: usize,
    receive: Queue,
    /// How many receive buffers the device ever had; the others follow when the first frames were sent, so that these go out
    /// sooner.
    listening: u16,
    input: Dma,
    transmit: Queue,
    output: Dma,
    /// For a frame that is received in several buffers, and those that are sent by the first slots.
    large: Option<(Dma, Dma)>,
    /// Transmit buffers that are free.
    free: u128,
    /// An interrupt was asked for because there were none.
    full: bool,
}

static NIC: Single<Option<Nic>> = Single::new(None);

impl Nic {
    fn open() -> Option<Self> {
        use net_feature::{CSUM, GUEST_CSUM, LARGE_IN, LARGE_OUT, MAC, MERGED, MTU};
        let free = super::frames::RAM.lock().free();
        let choose = |offered: u64| {
            let all_of = |features| if offered & features == features { features } else { 0 };
            let large = all_of(CSUM | LARGE_OUT) | all_of(GUEST_CSUM | LARGE_IN);
            let large = if free >= MUCH_MEMORY { large } else { 0 };
            offered & (CSUM | GUEST_CSUM | MAC | MTU | feature::EVENT_INDEX) | large
        };
        let device = Device::open_choosing(kind::NET, 0, &choose, true)?;
        let told = if device.has(MTU) { device.config_u16(CONFIG_MTU) } else { STANDARD_MTU };
        let mtu = told.clamp(SMALLEST_MTU, LARGEST_MTU);
        let mut mac = [0; 6];
        if device.has(MAC) {
            mac = core::array::from_fn(|i| device.config(i));
        } else {
            // Locally administered; the counter differs from instance to instance.
            mac[1..].copy_from_slice(&super::port::rdtsc().to_le_bytes()[..5]);
            mac[0] = 2;
        }
        let header =
            if device.has(feature::VERSION_1) || device.has(MERGED) { HEADER } else { LEGACY_HEADER };
        let stride = (header + ETHERNET + usize::from(mtu)).next_multiple_of(64);
        let few = free < LITTLE_MEMORY;
        let count = if few { FEW_BUFFERS } else { BUFFERS };
        let (receive, transmit) = (device.queue(0, count)?, device.queue(1, count)?);
        let input = Dma::dirty(stride * usize::from(receive.size()))?;
        let output = Dma::dirty(stride * usize::from(transmit.size()))?;
        let checksums = device.has(CSUM | GUEST_CSUM);
        let segments = checksums && device.has(LARGE_OUT) && usize::from(transmit.size()) >= LARGE_BUFFERS;
        let large = if segments || device.has(MERGED) {
            Some((Dma::dirty(LARGE_STRIDE)?, Dma::dirty(LARGE_STRIDE * LARGE_BUFFERS)?))
        } else {
            None
        };
        let facts = Facts { mac, mtu, checksums, segments };
        let free = u128::MAX >> (128 - transmit.size());
        let mut nic = Self {
            device,
            facts,
            header,
            stride,
            receive,
            listening: 0,
            input,
            transmit,
            output,
            large,
            free,
            full: false,
        };
        nic.listen_up_to(FEW_BUFFERS);
        nic.receive.want_interrupt(true);
        nic.transmit.want_interrupt(false);
        nic.device.start();
        nic.receive.kick();
        Some(nic)
    }

    fn listen(&mut self, slot: u16) {
        let address = self.input.physical(usize::from(slot) * self.stride);
        self.receive.post(slot, &[Part { address, length: self.stride as u32, writable: true }]);
    }

    /// Gives the device its first `count` receive buffers, those that it has not had yet.
    fn listen_up_to(&mut self, count: u16) {
        let count = count.min(self.receive.size());
        for slot in self.listening..count {
            self.listen(slot);
        }
        self.listening = count;
    }

    /// The next received frame: its buffer and the length with the header.
    fn received(&mut self) -> Option<(u16, usize)> {
        let (slot, length) = match self.receive.pop() {
            Some(next) => next,
            None => {
                // Nothing is there: give all buffers back and ask to be told; what came meanwhile is taken now.
                self.receive.kick();
                self.receive.want_interrupt(true);
                self.receive.pop()?
            }
        };
        Some((slot, (length as usize).min(self.stride)))
    }

    /// In how many buffers the frame lies that begins in `slot`.
    fn buffers(&self, slot: u16, length: usize) -> u16 {
        let merged = self.device.has(net_feature::MERGED) && length >= HEADER;
        let field = || self.input.bytes(usize::from(slot) * self.stride + NUM_BUFFERS, 2);
        if merged { u16::from_le_bytes([field()[0], field()[1]]).max(1) } else { 1 }
    }

    /// Puts the pieces of a frame together, of which the device reports all at once; `None` when it did not, or when it is
    /// longer than any frame.
    fn gather(&mut self, slot: u16, length: usize, count: u16) -> Option<usize> {
        let (mut next, mut total) = (Some((slot, length)), 0);
        for _ in 0..count {
            let (slot, length) =
                next.take().or_else(|| self.receive.pop().map(|(slot, length)| (slot, length as usize)))?;
            let length = length.min(self.stride);
            let piece = self.input.bytes(usize::from(slot) * self.stride, length);
            if let Some((whole, _)) = &mut self.large
                && total + length <= LARGE_STRIDE
            {
                whole.bytes_mut(total, length).copy_from_slice(piece);
            }
            total += length;
            self.listen(slot);
        }
        (self.large.is_some() && total <= LARGE_STRIDE).then_some(total)
    }

    fn reclaim(&mut self) {
        while let Some((slot, _)) = self.transmit.pop() {
            self.free |= 1 << slot;
        }
    }

    /// Whether one of the `slots` is free.
    fn has_room(&mut self, slots: u128) -> bool {
        if self.free & slots == 0 {
            self.reclaim();
        }
        if self.free & slots == 0 {
            // Full: tell the device of it all, and ask to be told when there is room.
            self.transmit.kick();
            self.transmit.want_interrupt(true);
            self.full = true;
            self.reclaim();
        }
        if self.full && self.free & slots != 0 {
            self.full = false;
            self.transmit.want_interrupt(false);
        }
        self.free & slots != 0
    }

    /// Whether any frame can be sent.
    fn can_transmit(&mut self) -> bool {
        self.has_room(if self.facts.segments { LARGE_SLOTS } else { u128::MAX })
    }
}

/// See [`crate::nic::open`].
pub fn open() -> Option<Facts> {
    let mut nic = NIC.lock();
    if nic.is_none() {
        *nic = Nic::open();
    }
    nic.as_ref().map(|nic| nic.facts)
}

/// See [`crate::nic::watch`].
pub fn watch(token: u32) {
    let line = NIC.lock().as_ref().and_then(|nic| nic.device.line());
    if let Some(line) = line {
        event::watch(line, token);
    }
}

/// See [`crate::nic::receive`]. `consume` may call [`transmit`]: smoltcp answers from within.
pub fn receive(consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
    let mut guard = NIC.lock();
    let Some(nic) = guard.as_mut() else { return false };
    let Some((slot, length)) = nic.received() else { return false };
    let count = nic.buffers(slot, length);
    let (header, checksums) = (nic.header, nic.facts.checksums);
    let (pointer, length) = if count == 1 {
        (nic.input.pointer(usize::from(slot) * nic.stride, length), length)
    } else {
        let length = nic.gather(slot, length, count).unwrap_or(0);
        let Some((whole, _)) = &nic.large else { return true };
        (whole.pointer(0, length), length)
    };
    drop(guard);
    // SAFETY: device memory is never given back, and this buffer is ours until it is posted again below, or the next
    // frame is put together; a device that writes to it nevertheless garbles a frame.
    let buffer = unsafe { core::slice::from_raw_parts(pointer, length) };
    if let Some(frame) = buffer.get(header..) {
        // Without GUEST_CSUM a device says neither.
        consume(frame, if checksums { Offload::received(buffer[0]) } else { Offload::None });
    }
    if let Some(nic) = NIC.lock().as_mut() {
        if count == 1 {
            nic.listen(slot);
        }
        if nic.receive.untold() >= BATCH {
            nic.receive.kick();
        }
    }
    true
}

/// See [`crate::nic::can_transmit`].
pub fn can_transmit() -> bool {
    NIC.lock().as_mut().is_some_and(Nic::can_transmit)
}

/// See [`crate::nic::transmit`].
pub fn transmit(length: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> Result<(), Errno> {
    let mut guard = NIC.lock();
    let nic = guard.as_mut().ok_or(Errno::ENODEV)?;
    let large = length > usize::from(nic.facts.mtu) + ETHERNET;
    if length > if nic.facts.segments { LARGEST_FRAME } else { usize::from(nic.facts.mtu) + ETHERNET } {
        return Err(Errno::EMSGSIZE);
    }
    let slots = if large { LARGE_SLOTS } else { u128::MAX };
    if !nic.has_room(slots) {
        return Err(Errno::EAGAIN);
    }
    // The last that is free: the first ones may have to take a large frame.
    let slot = 127 - (nic.free & slots).leading_zeros() as usize;
    let (memory, offset) = match &mut nic.large {
        Some((_, memory)) if large => (memory, slot * LARGE_STRIDE),
        _ => (&mut nic.output, slot * nic.stride),
    };
    let buffer = memory.bytes_mut(offset, nic.header + length);
    let (header, frame) = buffer.split_at_mut(nic.header);
    header.fill(0);
    let offload = fill(frame).header();
    header[..offload.len()].copy_from_slice(&offload);
    nic.free &= !(1 << slot);
    let part =
        Part { address: memory.physical(offset), length: (nic.header + length) as u32, writable: false };
    nic.transmit.post(slot as u16, &[part]);
    Ok(())
}

/// See [`crate::nic::flush`].
pub fn flush() {
    if let Some(nic) = NIC.lock().as_mut() {
        nic.transmit.kick();
        if nic.listening < nic.receive.size() {
            nic.listen_up_to(u16::MAX);
            nic.receive.kick();
        }
    }
}

/// Forgets the device, so that the next one is looked for.
#[cfg(not(kernlet_image))]
pub fn reset() {
    *NIC.lock() = None;
}
