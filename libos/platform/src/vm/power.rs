//! The end of the VM, by whatever the monitor understands.

use super::port::{in8, out8, out16};
use super::{paging, virtio};

/// QEMU's `-device isa-debug-exit,iobase=0x501,iosize=1` (2 by default): QEMU ends with status * 2 + 1.
const DEBUG_EXIT: u16 = 0x501;
/// q35: the ACPI PM1a control register; sleep type 0 is S5 there, and bit 13 enters it.
const ACPI_CONTROL: u16 = 0x604;
const ACPI_OFF: u16 = 0x2000;
/// microvm: the sleep control register of the ACPI generic event device; sleep type 5, and bit 5 enters it.
const GED_SLEEP_CONTROL: usize = 0xfea0_0200;
const GED_OFF: u8 = 5 << 2 | 1 << 5;
/// The keyboard controller's reset line: Firecracker ends, QEMU resets (with `-no-reboot` it ends).
const KEYBOARD_CONTROL: u16 = 0x64;
const RESET: u8 = 0xfe;

/// Ends the VM with `status`, which only a debug-exit device and the control channel can carry.
pub fn off(status: u8) -> ! {
    super::event::finish();
    super::ports::drain();
    out8(DEBUG_EXIT, status);
    if virtio::has_pci() {
        out16(ACPI_CONTROL, ACPI_OFF);
    // SAFETY: where there is no PCI there is the device, or nothing at this address.
    } else if let Some(control) = unsafe { paging::window(GED_SLEEP_CONTROL, 1, paging::DEVICE) } {
        // SAFETY: just mapped.
        unsafe { (control as *mut u8).write_volatile(GED_OFF) };
    }
    if in8(KEYBOARD_CONTROL) != 0xff {
        out8(KEYBOARD_CONTROL, RESET);
    }
    // Nothing ended the VM: without an interrupt table the next exception is a triple fault, which resets.
    let none = [0u8; 10];
    // SAFETY: nothing runs after this.
    unsafe { core::arch::asm!("lidt [{}]", "ud2", in(reg) none.as_ptr(), options(noreturn)) }
}
