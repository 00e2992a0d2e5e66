//! The Ethernet device: virtio-net (virtio 1.2, 5.1) with checksum offload, without segmentation offload.
//!
//! A buffer belongs to the descriptor of its number, on both sides for good: a frame is read and written in place,
//! and its buffer goes round.

use super::dma::Dma;
use super::event;
use super::single::Single;
use super::virtio::{Device, Part, Queue, feature, kind};
use crate::Errno;
use crate::nic::{Facts, Offload};

mod net_feature {
    pub const CSUM: u64 = 1 << 0;
    pub const GUEST_CSUM: u64 = 1 << 1;
    pub const MTU: u64 = 1 << 3;
    pub const MAC: u64 = 1 << 5;
}

/// struct virtio_net_hdr; a legacy device leaves the last two bytes out.
const HEADER: usize = 12;
const LEGACY_HEADER: usize = 10;
const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const ETHERNET: usize = 14;
const STANDARD_MTU: u16 = 1500;
/// Jumbo frames up to here; more would waste memory on buffers.
const LARGEST_MTU: u16 = 9000;
const CONFIG_MTU: usize = 10;
/// Buffers each way; an instance with little memory has fewer.
const BUFFERS: u16 = 128;
const FEW_BUFFERS: u16 = 16;
const LITTLE_MEMORY: usize = 8 << 20;
/// Received buffers are given back in batches of this many.
const BATCH: u16 = 16;

struct Nic {
    device: Device,
    facts: Facts,
    header: usize,
    /// Room for one frame with its header.
    stride: usize,
    receive: Queue,
    input: Dma,
    transmit: Queue,
    output: Dma,
    /// Transmit buffers that are free.
    free: u128,
    /// An interrupt was asked for because there were none.
    full: bool,
}

static NIC: Single<Option<Nic>> = Single::new(None);

impl Nic {
    fn open() -> Option<Self> {
        use net_feature::{CSUM, GUEST_CSUM, MAC, MTU};
        let wanted = CSUM | GUEST_CSUM | MAC | MTU | feature::EVENT_INDEX;
        let device = Device::open(kind::NET, 0, wanted, true)?;
        let mtu = if device.has(MTU) { device.config_u16(CONFIG_MTU).min(LARGEST_MTU) } else { STANDARD_MTU };
        let mut mac = [0; 6];
        if device.has(MAC) {
            mac = core::array::from_fn(|i| device.config(i));
        } else {
            // Locally administered; the counter differs from instance to instance.
            mac[1..].copy_from_slice(&super::port::rdtsc().to_le_bytes()[..5]);
            mac[0] = 2;
        }
        let header = if device.has(feature::VERSION_1) { HEADER } else { LEGACY_HEADER };
        let stride = (header + ETHERNET + usize::from(mtu)).next_multiple_of(64);
        let few = super::frames::RAM.lock().free() < LITTLE_MEMORY;
        let count = if few { FEW_BUFFERS } else { BUFFERS };
        let (receive, transmit) = (device.queue(0, count)?, device.queue(1, count)?);
        let input = Dma::new(stride * usize::from(receive.size()))?;
        let output = Dma::new(stride * usize::from(transmit.size()))?;
        let facts = Facts { mac, mtu, checksums: device.has(CSUM | GUEST_CSUM) };
        let free = u128::MAX >> (128 - transmit.size());
        let mut nic =
            Self { device, facts, header, stride, receive, input, transmit, output, free, full: false };
        for slot in 0..nic.receive.size() {
            nic.listen(slot);
        }
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

    fn reclaim(&mut self) {
        while let Some((slot, _)) = self.transmit.pop() {
            self.free |= 1 << slot;
        }
    }

    fn can_transmit(&mut self) -> bool {
        if self.free == 0 {
            self.reclaim();
        }
        if self.free == 0 {
            // Full: tell the device of it all, and ask to be told when there is room.
            self.transmit.kick();
            self.transmit.want_interrupt(true);
            self.full = true;
            self.reclaim();
        }
        if self.full && self.free != 0 {
            self.full = false;
            self.transmit.want_interrupt(false);
        }
        self.free != 0
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
    let pointer = nic.input.pointer(usize::from(slot) * nic.stride, length);
    let (header, checksums) = (nic.header, nic.facts.checksums);
    drop(guard);
    // SAFETY: device memory is never given back, and this buffer is ours until it is posted again below; a device
    // that writes to it nevertheless garbles a frame.
    let buffer = unsafe { core::slice::from_raw_parts(pointer, length) };
    if let Some(frame) = buffer.get(header..) {
        // Without GUEST_CSUM a device says neither.
        let valid = checksums && buffer[0] & (NEEDS_CSUM | DATA_VALID) != 0;
        consume(frame, if valid { Offload::Valid } else { Offload::None });
    }
    if let Some(nic) = NIC.lock().as_mut() {
        nic.listen(slot);
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
    if length > usize::from(nic.facts.mtu) + ETHERNET {
        return Err(Errno::EMSGSIZE);
    }
    if !nic.can_transmit() {
        return Err(Errno::EAGAIN);
    }
    let slot = nic.free.trailing_zeros() as u16;
    let offset = usize::from(slot) * nic.stride;
    let buffer = nic.output.bytes_mut(offset, nic.header + length);
    let (header, frame) = buffer.split_at_mut(nic.header);
    header.fill(0);
    if let Offload::Sum { start, offset } = fill(frame) {
        header[0] = NEEDS_CSUM;
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&offset.to_le_bytes());
    }
    nic.free &= !(1 << slot);
    let part =
        Part { address: nic.output.physical(offset), length: (nic.header + length) as u32, writable: false };
    nic.transmit.post(slot, &[part]);
    Ok(())
}

/// See [`crate::nic::flush`].
pub fn flush() {
    if let Some(nic) = NIC.lock().as_mut() {
        nic.transmit.kick();
    }
}
