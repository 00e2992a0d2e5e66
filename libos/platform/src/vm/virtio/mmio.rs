//! Virtio over memory-mapped registers (virtio 1.2, 4.2), modern and legacy, as microvm and Firecracker have it.

use super::has_pci;
use super::queue::Bell;
use crate::vm::event::{self, Line};
use crate::vm::paging::{DEVICE, window};
use crate::vm::{apic, start};

mod register {
    pub const MAGIC: usize = 0x00;
    pub const VERSION: usize = 0x04;
    pub const DEVICE_ID: usize = 0x08;
    pub const DEVICE_FEATURES: usize = 0x10;
    pub const DEVICE_FEATURES_SELECT: usize = 0x14;
    pub const DRIVER_FEATURES: usize = 0x20;
    pub const DRIVER_FEATURES_SELECT: usize = 0x24;
    pub const LEGACY_PAGE_SIZE: usize = 0x28;
    pub const QUEUE_SELECT: usize = 0x30;
    pub const QUEUE_SIZE_MAX: usize = 0x34;
    pub const QUEUE_SIZE: usize = 0x38;
    pub const LEGACY_QUEUE_ALIGN: usize = 0x3c;
    pub const LEGACY_QUEUE_PAGE: usize = 0x40;
    pub const QUEUE_READY: usize = 0x44;
    pub const QUEUE_NOTIFY: usize = 0x50;
    pub const INTERRUPT_STATUS: usize = 0x60;
    pub const STATUS: usize = 0x70;
    pub const QUEUE_DESCRIPTORS: usize = 0x80;
    pub const QUEUE_AVAILABLE: usize = 0x90;
    pub const QUEUE_USED: usize = 0xa0;
    pub const CONFIG: usize = 0x100;
}

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const LEGACY: u32 = 1;
const MODERN: u32 = 2;
const PAGE: u32 = 4096;
/// Size of the registers with the configuration.
const LENGTH: usize = 0x200;

/// microvm: slots at fixed addresses. With its second I/O APIC there are 24, whose lines are that APIC's; else
/// 8 on the lines from 16 on. Without ACPI they are told on the command line.
const MICROVM: usize = 0xfeb0_0000;
const MICROVM_LINES: u32 = 16;
const MICROVM_SLOTS: u32 = 8;

/// A device's registers.
pub struct Mmio {
    base: usize,
    legacy: bool,
}

fn read(base: usize, register: usize) -> u32 {
    // SAFETY: `base` is a mapped block of registers.
    unsafe { ((base + register) as *const u32).read_volatile() }
}

/// The device type behind mapped registers.
fn kind(base: usize) -> Option<u16> {
    let kind = (read(base, register::MAGIC) == MAGIC).then(|| read(base, register::DEVICE_ID) as u16);
    kind.filter(|&kind| kind != 0)
}

/// Reports type, address and interrupt line of each device.
pub fn scan(mut found: impl FnMut(u16, usize, u32)) {
    let mut told = false;
    for word in start::command_line().split(|&b| b == b' ') {
        let Some((address, line)) = word.strip_prefix(b"virtio_mmio.device=").and_then(parse) else {
            continue;
        };
        told = true;
        // SAFETY: device registers, which this module alone uses.
        let base = unsafe { window(address, LENGTH, DEVICE) };
        if let Some(kind) = base.and_then(kind) {
            found(kind, address, line);
        }
    }
    if told || has_pci() {
        return;
    }
    let second = apic::has_second_io_apic();
    let (slots, lines) = if second { (apic::LINES, apic::LINES) } else { (MICROVM_SLOTS, MICROVM_LINES) };
    // SAFETY: as above.
    let Some(base) = (unsafe { window(MICROVM, slots as usize * LENGTH, DEVICE) }) else { return };
    for slot in 0..slots {
        let offset = slot as usize * LENGTH;
        if let Some(kind) = kind(base + offset) {
            found(kind, MICROVM + offset, lines + slot);
        }
    }
}

/// `SIZE@ADDRESS:LINE[:ID]`, the address in hexadecimal (Linux Documentation, virtio_mmio.device).
fn parse(word: &[u8]) -> Option<(usize, u32)> {
    let at = word.iter().position(|&b| b == b'@')? + 1;
    let mut parts = word.get(at..)?.split(|&b| b == b':');
    let address = parts.next()?;
    let address = number(address.strip_prefix(b"0x").unwrap_or(address), 16)?;
    let line = u32::try_from(number(parts.next()?, 10)?).ok()?;
    (line < 2 * apic::LINES).then_some((address, line))
}

fn number(digits: &[u8], radix: u32) -> Option<usize> {
    digits.iter().try_fold(0usize, |all, &digit| {
        all.checked_mul(radix as usize)?.checked_add(char::from(digit).to_digit(radix)? as usize)
    })
}

impl Mmio {
    pub fn open(address: usize) -> Option<Self> {
        // SAFETY: device registers, which this module alone uses.
        let base = unsafe { window(address, LENGTH, DEVICE)? };
        match read(base, register::VERSION) {
            LEGACY => Some(Self { base, legacy: true }),
            MODERN => Some(Self { base, legacy: false }),
            _ => None,
        }
    }

    fn read(&self, register: usize) -> u32 {
        read(self.base, register)
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: `base` is a mapped block of registers; what a device may touch is told to it in queues only.
        unsafe { ((self.base + register) as *mut u32).write_volatile(value) }
    }

    /// Routes the interrupt line and has it acknowledged.
    pub fn interrupt(&self, io_line: u32) -> Option<Line> {
        let line = event::line(self.base + register::INTERRUPT_STATUS)?;
        apic::route(io_line, line.vector());
        Some(line)
    }

    pub fn is_legacy(&self) -> bool {
        self.legacy
    }

    pub fn status(&self) -> u8 {
        self.read(register::STATUS) as u8
    }

    pub fn set_status(&self, status: u8) {
        self.write(register::STATUS, status.into());
    }

    pub fn features(&self) -> u64 {
        let half = |select| {
            self.write(register::DEVICE_FEATURES_SELECT, select);
            u64::from(self.read(register::DEVICE_FEATURES))
        };
        half(0) | half(1) << 32
    }

    pub fn accept(&self, features: u64) {
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(register::DRIVER_FEATURES_SELECT, select);
            self.write(register::DRIVER_FEATURES, half);
        }
        if self.legacy {
            self.write(register::LEGACY_PAGE_SIZE, PAGE);
        }
    }

    pub fn queue_size(&self, index: u16) -> u16 {
        self.write(register::QUEUE_SELECT, index.into());
        u16::try_from(self.read(register::QUEUE_SIZE_MAX)).unwrap_or(u16::MAX / 2)
    }

    pub fn bell(&self, index: u16) -> Option<Bell> {
        Some(Bell { register: self.base + register::QUEUE_NOTIFY, value: index, wide: true })
    }

    pub fn set_queue(&self, index: u16, size: u16, addresses: [u64; 3], _interrupt: bool) {
        self.write(register::QUEUE_SELECT, index.into());
        self.write(register::QUEUE_SIZE, size.into());
        if self.legacy {
            self.write(register::LEGACY_QUEUE_ALIGN, PAGE);
            self.write(register::LEGACY_QUEUE_PAGE, (addresses[0] / u64::from(PAGE)) as u32);
            return;
        }
        let registers = [register::QUEUE_DESCRIPTORS, register::QUEUE_AVAILABLE, register::QUEUE_USED];
        for (register, address) in registers.into_iter().zip(addresses) {
            self.write(register, address as u32);
            self.write(register + 4, (address >> 32) as u32);
        }
        self.write(register::QUEUE_READY, 1);
    }

    pub fn config(&self, offset: usize) -> u8 {
        if offset >= LENGTH - register::CONFIG {
            return 0;
        }
        // SAFETY: within the mapped block.
        unsafe { ((self.base + register::CONFIG + offset) as *const u8).read_volatile() }
    }
}
