//! Modern virtio over PCI (virtio 1.2, 4.1), with MSI-X. Configuration space by ports; bus 0 only.

use super::queue::Bell;
use crate::vm::apic;
use crate::vm::paging::{DEVICE, window};
use crate::vm::port::{in32, out32};
use core::sync::atomic::{AtomicUsize, Ordering};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
const VIRTIO: u32 = 0x1af4;
/// Device numbers of virtio 1.x devices begin here; transitional ones have numbers of their own.
const MODERN: u32 = 0x1040;
const TRANSITIONAL: [(u32, u16); 5] = [
    (0x1000, super::kind::NET),
    (0x1001, super::kind::BLOCK),
    (0x1003, super::kind::CONSOLE),
    (0x1005, super::kind::RNG),
    (0x1009, super::kind::P9),
];

const COMMAND: u32 = 0x04;
/// Memory space, bus master, no line interrupt.
const COMMAND_BITS: u32 = 1 << 1 | 1 << 2 | 1 << 10;
const HEADER_TYPE: u32 = 0x0c;
const BARS: u32 = 0x10;
const CAPABILITIES: u32 = 0x34;
const VENDOR_CAPABILITY: u32 = 0x09;
const MSI_X: u32 = 0x11;
/// Above RAM and below the interrupt controllers on every PC.
const FIRST_BAR: usize = 0xe000_0000;
const END_OF_BARS: usize = 0xfe00_0000;
static NEXT_BAR: AtomicUsize = AtomicUsize::new(FIRST_BAR);
/// A configuration space holds no more capabilities than this.
const MAX_CAPABILITIES: usize = 48;

fn read(at: u32, offset: u32) -> u32 {
    out32(ADDRESS, ENABLE | at | offset & 0xfc);
    in32(DATA)
}

fn write(at: u32, offset: u32, value: u32) {
    out32(ADDRESS, ENABLE | at | offset & 0xfc);
    out32(DATA, value);
}

/// Whether there is a host bridge.
pub fn has_pci() -> bool {
    out32(ADDRESS, ENABLE);
    in32(ADDRESS) == ENABLE && !matches!(in32(DATA), 0 | u32::MAX)
}

/// Reports type and place of each virtio device on bus 0.
pub fn scan(mut found: impl FnMut(u16, u32)) {
    for device in 0..32 {
        let mut functions = 1;
        let mut function = 0;
        while function < functions {
            let at = device << 11 | function << 8;
            let id = read(at, 0);
            if function == 0 && id != u32::MAX && read(at, HEADER_TYPE) >> 23 & 1 != 0 {
                functions = 8;
            }
            if let Some(kind) = kind(id) {
                found(kind, at);
            }
            function += 1;
        }
    }
}

fn kind(id: u32) -> Option<u16> {
    let (vendor, device) = (id & 0xffff, id >> 16);
    if vendor != VIRTIO {
        None
    } else if device >= MODERN {
        Some((device - MODERN) as u16)
    } else {
        TRANSITIONAL.iter().find(|(number, _)| *number == device).map(|(_, kind)| *kind)
    }
}

/// Calls `each` with the offset and first word of every capability.
fn capabilities(at: u32, mut each: impl FnMut(u32, u32)) {
    let mut offset = read(at, CAPABILITIES) & 0xfc;
    for _ in 0..MAX_CAPABILITIES {
        if offset == 0 {
            break;
        }
        let word = read(at, offset);
        each(offset, word);
        offset = word >> 8 & 0xfc;
    }
}

/// Gives a bar an address, where the firmware (qboot) has not.
fn place(at: u32, register: u32) -> Option<u32> {
    write(at, register, u32::MAX);
    let size = !(read(at, register) & !0xf) as usize + 1;
    let next = NEXT_BAR.load(Ordering::Relaxed).checked_next_multiple_of(size)?;
    if size > END_OF_BARS - FIRST_BAR || next + size > END_OF_BARS {
        return None;
    }
    NEXT_BAR.store(next + size, Ordering::Relaxed);
    write(at, register, next as u32);
    Some(next as u32)
}

/// Maps `length` bytes at `offset` of the memory bar `bar`.
fn map(at: u32, bar: u32, offset: u32, length: u32) -> Option<usize> {
    if bar > 5 {
        return None;
    }
    let register = BARS + bar * 4;
    let low = read(at, register);
    // Not a port range.
    if low & 1 != 0 {
        return None;
    }
    let wide = low & 6 == 4 && bar < 5;
    let high = if wide { read(at, register + 4) } else { 0 };
    let mut base = u64::from(low & !0xf) | u64::from(high) << 32;
    if base == 0 {
        base = place(at, register)?.into();
    }
    // SAFETY: registers of a device, which lie outside of RAM: the firmware laid them out.
    unsafe { window(base.checked_add(offset.into())? as usize, length as usize, DEVICE) }
}

/// Sends the device's interrupts for queues (all through entry 0 of its table) to `vector`.
pub fn interrupt(at: u32, vector: u32) -> Option<()> {
    let mut table = None;
    capabilities(at, |offset, word| {
        if word & 0xff == MSI_X {
            table = Some((offset, word));
        }
    });
    let (offset, word) = table?;
    let place = read(at, offset + 4);
    let entry = map(at, place & 7, place & !7, 16)? as *mut u32;
    let (address, data) = apic::message(vector);
    let words = [address as u32, (address >> 32) as u32, data, 0];
    for (i, value) in words.into_iter().enumerate() {
        // SAFETY: the first entry of the device's table, mapped above, has four words.
        unsafe { entry.add(i).write_volatile(value) };
    }
    // Switch MSI-X on, without its function mask.
    write(at, offset, (word | 1 << 31) & !(1 << 30));
    Some(())
}

/// Offsets in the common configuration.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const CONFIG_VECTOR: usize = 0x10;
    pub const STATUS: usize = 0x14;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_ADDRESSES: usize = 0x20;
    pub const LENGTH: u32 = 0x38;
}

const NO_VECTOR: u16 = 0xffff;

/// A device's registers.
pub struct Pci {
    common: usize,
    notify: usize,
    notify_length: usize,
    notify_multiplier: usize,
    config: usize,
    config_length: usize,
}

impl Pci {
    pub fn open(at: u32) -> Option<Self> {
        write(at, COMMAND, read(at, COMMAND) & 0xffff | COMMAND_BITS);
        // Types 1 (common), 2 (notify) and 4 (device configuration): bar, offset, length, and where it stands.
        let mut parts = [None; 5];
        capabilities(at, |offset, word| {
            let kind = (word >> 24) as usize;
            if word & 0xff == VENDOR_CAPABILITY && (1..5).contains(&kind) && parts[kind].is_none() {
                parts[kind] =
                    Some((offset, read(at, offset + 4) & 0xff, read(at, offset + 8), read(at, offset + 12)));
            }
        });
        let [_, common, notify, _, config] = parts;
        let (_, bar, offset, length) = common.filter(|part| part.3 >= common::LENGTH)?;
        let common = map(at, bar, offset, length)?;
        let (capability, bar, offset, notify_length) = notify?;
        let notify = map(at, bar, offset, notify_length)?;
        let (config, config_length) = match config {
            Some((_, bar, offset, length)) => (map(at, bar, offset, length)?, length as usize),
            None => (0, 0),
        };
        let device = Self {
            common,
            notify,
            notify_length: notify_length as usize,
            notify_multiplier: read(at, capability + 16) as usize,
            config,
            config_length,
        };
        Some(device)
    }

    fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: an aligned register of the common configuration, mapped by `open`; `T` is an integer.
        unsafe { ((self.common + offset) as *const T).read_volatile() }
    }

    fn write<T>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`; what a device may touch is told to it in queues only.
        unsafe { ((self.common + offset) as *mut T).write_volatile(value) }
    }

    pub fn status(&self) -> u8 {
        self.read(common::STATUS)
    }

    pub fn set_status(&self, status: u8) {
        self.write(common::STATUS, status);
    }

    pub fn features(&self) -> u64 {
        let half = |select: u32| {
            self.write(common::DEVICE_FEATURE_SELECT, select);
            u64::from(self.read::<u32>(common::DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    pub fn accept(&self, features: u64) {
        for (select, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.write(common::DRIVER_FEATURE_SELECT, select);
            self.write(common::DRIVER_FEATURE, half);
        }
    }

    pub fn queue_size(&self, index: u16) -> u16 {
        self.write(common::QUEUE_SELECT, index);
        self.read(common::QUEUE_SIZE)
    }

    pub fn bell(&self, index: u16) -> Option<Bell> {
        self.write(common::QUEUE_SELECT, index);
        let offset =
            usize::from(self.read::<u16>(common::QUEUE_NOTIFY_OFFSET)).checked_mul(self.notify_multiplier)?;
        let fits = offset.is_multiple_of(2) && offset.checked_add(2)? <= self.notify_length;
        fits.then_some(Bell { register: self.notify + offset, value: index, wide: false })
    }

    pub fn set_queue(&self, index: u16, size: u16, addresses: [u64; 3], interrupt: bool) {
        self.write(common::QUEUE_SELECT, index);
        self.write(common::QUEUE_SIZE, size);
        self.write(common::CONFIG_VECTOR, NO_VECTOR);
        self.write(common::QUEUE_VECTOR, if interrupt { 0 } else { NO_VECTOR });
        for (i, address) in addresses.into_iter().enumerate() {
            self.write(common::QUEUE_ADDRESSES + i * 8, address as u32);
            self.write(common::QUEUE_ADDRESSES + i * 8 + 4, (address >> 32) as u32);
        }
        self.write(common::QUEUE_ENABLE, 1u16);
    }

    pub fn config(&self, offset: usize) -> u8 {
        if offset >= self.config_length {
            return 0;
        }
        // SAFETY: within the mapped configuration.
        unsafe { ((self.config + offset) as *const u8).read_volatile() }
    }
}
