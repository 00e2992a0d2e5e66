//! The first serial port, for a VM without virtio console and for what goes wrong before there is one.

use super::port::{in8, out8};

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
/// Line status: the transmitter takes a byte. All ones: there is no port.
const READY: u8 = 0x20;
const ABSENT: u8 = 0xff;
/// How often readiness is asked for before the byte goes out anyway: a host that reads slowly must not hang us.
const PATIENCE: u32 = 1_000_000;

/// Writes all of `bytes`, if there is a port.
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        for _ in 0..PATIENCE {
            match in8(LINE_STATUS) {
                ABSENT => return,
                status if status & READY != 0 => break,
                _ => core::hint::spin_loop(),
            }
        }
        out8(DATA, byte);
    }
}
