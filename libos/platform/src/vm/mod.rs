//! The VM door: ring 0 of a virtual machine, started through PVH, with virtio devices.
//!
//! [`boot`] takes the CPU from 32-bit mode to [`start`], which maps the image at a random address ([`paging`],
//! [`frames`]) and runs the program. Nothing here runs in parallel: interrupts are let in only while the vCPU
//! halts in [`event`], where their handlers ([`trap`]) only set bits, and while a Linux program runs ([`program`]), which
//! they end. Devices are found and opened when they are
//! first used, so a program that uses none neither links nor waits for them.

mod apic;
mod boot;
pub mod clock;
pub mod console;
pub mod control;
mod dma;
pub mod entropy;
pub mod event;
mod frames;
pub mod heap;
mod kvmclock;
pub mod nic;
pub mod p9;
mod paging;
mod port;
mod ports;
pub mod power;
pub mod program;
mod pvh;
mod random;
pub mod root;
mod rtc;
mod serial;
mod single;
pub mod start;
mod trap;
pub mod trunk;
mod virtio;
