//! A granted tap as Ethernet device (Linux Documentation/networking/tuntap.rst), opened by the monitor with
//! IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, TUNSETOFFLOAD(TUN_F_CSUM) and a virtio header of 10 bytes.

use super::call::{number, retried};
use super::event;
use crate::Errno;
use crate::boot;
use crate::cpu::CpuLocal;
use crate::nic::{Facts, Offload};
use core::cell::RefCell;

const HEADER: usize = 10;
const MTU: usize = 1500;
const FRAME: usize = MTU + 14;
/// VIRTIO_NET_HDR_F_NEEDS_CSUM and VIRTIO_NET_HDR_F_DATA_VALID.
const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

type Buffer = CpuLocal<RefCell<[u8; HEADER + FRAME]>>;

/// One each way: smoltcp answers a frame while it reads it.
static INPUT: Buffer = CpuLocal::new(|| RefCell::new([0; HEADER + FRAME]));
static OUTPUT: Buffer = CpuLocal::new(|| RefCell::new([0; HEADER + FRAME]));

fn tap() -> Option<i32> {
    boot::blob().nic().map(|nic| nic.descriptor).filter(|&d| d >= 0)
}

static TAP: CpuLocal<i32> = CpuLocal::new(|| tap().unwrap_or(-1));

/// See [`crate::nic::open`].
pub fn open() -> Option<Facts> {
    let nic = boot::blob().nic().filter(|nic| nic.descriptor >= 0)?;
    Some(Facts { mac: nic.mac?, mtu: MTU as u16, checksums: true })
}

/// See [`crate::nic::watch`].
pub fn watch(token: u32) {
    // Without a tap there is nothing to watch, and nothing will come.
    let _ = event::watch(*TAP.get(), token);
}

/// See [`crate::nic::receive`].
pub fn receive(consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
    let mut buffer = INPUT.get().borrow_mut();
    let arguments = [*TAP.get() as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
    // SAFETY: the host writes at most `len` bytes into the buffer.
    let Ok(length) = (unsafe { retried(number::READ, arguments) }) else { return false };
    let Some(frame) = buffer.get(HEADER..length) else { return true };
    let valid = buffer[0] & (NEEDS_CSUM | DATA_VALID) != 0;
    consume(frame, if valid { Offload::Valid } else { Offload::None });
    true
}

/// See [`crate::nic::can_transmit`]: a tap takes a frame or drops it.
pub fn can_transmit() -> bool {
    *TAP.get() >= 0
}

/// See [`crate::nic::transmit`].
pub fn transmit(length: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> Result<(), Errno> {
    let mut buffer = OUTPUT.get().borrow_mut();
    let frame = buffer.get_mut(HEADER..HEADER + length).ok_or(Errno::EMSGSIZE)?;
    let offload = fill(frame);
    buffer[..HEADER].fill(0);
    if let Offload::Sum { start, offset } = offload {
        buffer[0] = NEEDS_CSUM;
        buffer[6..8].copy_from_slice(&start.to_le_bytes());
        buffer[8..10].copy_from_slice(&offset.to_le_bytes());
    }
    let arguments = [*TAP.get() as usize, buffer.as_ptr() as usize, HEADER + length, 0, 0, 0];
    // SAFETY: the host only reads the buffer.
    unsafe { retried(number::WRITE, arguments).map(drop) }
}

/// See [`crate::nic::flush`].
pub fn flush() {}
