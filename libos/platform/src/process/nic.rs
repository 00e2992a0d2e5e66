//! A granted tap as Ethernet device (Linux Documentation/networking/tuntap.rst), opened by the monitor with
//! IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, a virtio header of 10 bytes, and by TUNSETOFFLOAD checksum and segmentation
//! offload.
//!
//! Frames go by several host calls in a row each way. The host's path for the one and for the other direction are each
//! as large as a processor's cache for instructions: taking turns between them costs a tenth.

use super::call::{call, number, retried};
use super::event;
use crate::Errno;
use crate::boot;
use crate::cell::RefCell;
use crate::cpu::CpuLocal;
use crate::nic::{Facts, HEADER, LARGEST_FRAME, Offload};

const MTU: u16 = 1500;
/// Frames that go in a row at most.
const ROW: usize = 64;
/// The longest frame with its header, at a multiple of a cache line.
const LONGEST: usize = (HEADER + LARGEST_FRAME).next_multiple_of(LINE);
const LINE: usize = 64;
/// The memory of one direction. What is not touched takes none.
const ROOM: usize = 2 * LONGEST;

/// Frames that wait, one behind the other.
struct Row {
    memory: &'static mut [u8],
    /// Where each begins, and its length.
    frames: [(u32, u32); ROW],
    next: usize,
    count: usize,
    /// Where the next one goes.
    end: usize,
}

impl Row {
    fn new() -> Option<Self> {
        const PROT_READ_WRITE: usize = 3;
        /// MAP_PRIVATE and MAP_ANONYMOUS.
        const ANONYMOUS: usize = 0x22;
        // SAFETY: a new mapping at a place of the host's choice overlaps nothing, and is never given back.
        let memory = unsafe {
            let start = call(number::MMAP, [0, ROOM, PROT_READ_WRITE, ANONYMOUS, usize::MAX, 0]).ok()?;
            core::slice::from_raw_parts_mut(start as *mut u8, ROOM)
        };
        Some(Self { memory, frames: [(0, 0); ROW], next: 0, count: 0, end: 0 })
    }

    fn clear(&mut self) {
        (self.next, self.count, self.end) = (0, 0, 0);
    }

    /// Room for `length` bytes, unless there are enough frames.
    fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.count == ROW { None } else { self.memory.get_mut(self.end..)?.get_mut(..length) }
    }

    /// Keeps the `length` bytes that were written into the room.
    fn keep(&mut self, length: usize) {
        self.frames[self.count] = (self.end as u32, length as u32);
        self.count += 1;
        self.end = (self.end + length).next_multiple_of(LINE);
    }

    fn next(&mut self) -> Option<&[u8]> {
        let (start, length) = self.frames[..self.count].get(self.next)?;
        self.next += 1;
        self.memory.get(*start as usize..)?.get(..*length as usize)
    }
}

struct Tap {
    descriptor: i32,
    input: RefCell<Row>,
    output: RefCell<Row>,
}

static TAP: CpuLocal<Option<Tap>> = CpuLocal::new(|| {
    let descriptor = boot::blob().nic()?.descriptor;
    let rows = (Row::new()?, Row::new()?);
    (descriptor >= 0).then_some(Tap { descriptor, input: RefCell::new(rows.0), output: RefCell::new(rows.1) })
});

/// See [`crate::nic::open`].
pub fn open() -> Option<Facts> {
    let nic = boot::blob().nic().filter(|nic| nic.descriptor >= 0)?;
    Some(Facts { mac: nic.mac?, mtu: MTU, checksums: true, segments: true })
}

/// See [`crate::nic::watch`].
pub fn watch(token: u32) {
    if let Some(tap) = TAP.get() {
        // Without a watch nothing will come, as without a network.
        let _ = event::watch(tap.descriptor, token);
    }
}

/// See [`crate::nic::receive`].
pub fn receive(consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
    let Some(tap) = TAP.get() else { return false };
    let mut input = tap.input.borrow_mut();
    if input.next == input.count {
        input.clear();
        while let Some(room) = input.room(LONGEST) {
            let arguments = [tap.descriptor as usize, room.as_mut_ptr() as usize, room.len(), 0, 0, 0];
            // SAFETY: the host writes at most `len` bytes into the buffer.
            let Ok(length) = (unsafe { retried(number::READ, arguments) }) else { break };
            input.keep(length.min(LONGEST));
        }
    }
    let Some(bytes) = input.next() else { return false };
    if let Some((header, frame)) = bytes.split_at_checked(HEADER) {
        consume(frame, Offload::received(header[0]));
    }
    true
}

/// See [`crate::nic::can_transmit`]: a tap takes a frame or drops it.
pub fn can_transmit() -> bool {
    TAP.get().is_some()
}

/// See [`crate::nic::transmit`].
pub fn transmit(length: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> Result<(), Errno> {
    let tap = TAP.get().as_ref().ok_or(Errno::ENODEV)?;
    if length > LARGEST_FRAME {
        return Err(Errno::EMSGSIZE);
    }
    let mut output = tap.output.borrow_mut();
    if output.room(HEADER + length).is_none() {
        write(tap.descriptor, &mut output);
    }
    let room = output.room(HEADER + length).ok_or(Errno::EMSGSIZE)?;
    let (header, frame) = room.split_at_mut(HEADER);
    header.copy_from_slice(&fill(frame).header());
    output.keep(HEADER + length);
    Ok(())
}

fn write(descriptor: i32, output: &mut Row) {
    while let Some(frame) = output.next() {
        let arguments = [descriptor as usize, frame.as_ptr() as usize, frame.len(), 0, 0, 0];
        // SAFETY: the host only reads the buffer. What it does not take is lost, as on any full link.
        let _ = unsafe { retried(number::WRITE, arguments) };
    }
    output.clear();
}

/// See [`crate::nic::flush`].
pub fn flush() {
    if let Some(tap) = TAP.get() {
        write(tap.descriptor, &mut tap.output.borrow_mut());
    }
}
