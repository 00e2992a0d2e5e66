//! A thread's registers.

use alloc::boxed::Box;
#[cfg(any(kernlet_image, test))]
use core::ops::Range;

/// The registers that every way in saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "they are the CPU's names")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

/// Why a thread stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It makes a system call: number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; rip is behind the instruction.
    Call,
    /// The CPU found a fault at rip.
    Trap(Trap),
    /// Its turn is over.
    Preempted,
}

/// A fault of the program's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The exception's vector (Intel SDM volume 3, table 6-1): 14 is a page fault.
    pub vector: u8,
    /// Its error code. For a page fault: bit 0 the page was there, 1 a write, 4 an instruction fetch.
    pub error: u32,
    /// For a page fault, the address.
    pub address: usize,
    /// The page exists by what was mapped, but its file has nothing there (SIGBUS).
    pub beyond: bool,
}

/// The most bytes that the extended state takes: the XSAVE area with AVX-512.
pub const EXTENDED_MOST: usize = 2688;

/// An XSAVE area (Intel SDM volume 1, 13.4).
#[repr(C, align(64))]
pub(crate) struct Area(pub(crate) [u8; EXTENDED_MOST]);

/// Where the upper halves of ymm0 to 15 are.
#[cfg(any(kernlet_image, test))]
const AVX: Range<usize> = 576..832;
/// How long the components of AVX-512 are, from the last one, which ends the area, to the first, with their bits of the
/// header: zmm16 to 31, the upper halves of zmm0 to 15, the mask registers.
#[cfg(any(kernlet_image, test))]
const AVX_512: [(u8, usize); 3] = [(7, 1024), (6, 512), (5, 64)];

#[cfg(any(kernlet_image, test))]
impl Area {
    /// Marks vector registers that are all 0 as never used, in an area of `length` bytes.
    ///
    /// Once the CPU has loaded upper halves they count as used, even if they are 0, and its SSE instructions, which keep them,
    /// are slower until the program clears them: 6 % of an interpreter's loop.
    pub(crate) fn settle(&mut self, length: usize) {
        let mut end = length;
        let wide = AVX_512.map(|(bit, bytes)| {
            let start = end.saturating_sub(bytes).max(AVX.end);
            (bit, start..core::mem::replace(&mut end, start))
        });
        for (bit, component) in [(2u8, AVX)].into_iter().chain(wide) {
            // This is on the way from one thread to another: what is unused is not looked at, the rest by long words.
            let zeros = |bytes: &[u8]| bytes.chunks_exact(16).all(|word| *word == [0; 16]);
            if self.0[512] >> bit & 1 != 0 && self.0.get(component).is_some_and(zeros) {
                self.0[512] &= !(1 << bit);
            }
        }
    }
}

/// Where the vector and floating-point registers of a thread are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Held {
    /// As a new thread has them.
    Initial,
    /// In the CPU, but for xmm0 to xmm15, which the way in saved in the context.
    #[cfg_attr(not(kernlet_image), expect(dead_code, reason = "a host build runs no program"))]
    Cpu,
    /// In the area.
    Area,
}

/// A thread of the program while it does not run. Does not move in memory: the CPU's block points to it.
#[repr(C)]
pub struct Context {
    /// Its general registers.
    pub registers: Registers,
    pub(crate) sse: [u128; 16],
    /// The thread pointer. What counts while the thread's state is in the CPU is the register.
    pub(crate) fs_base: u64,
    pub(crate) held: Held,
    pub(crate) area: Option<Box<Area>>,
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl Context {
    /// A thread with all registers 0.
    pub fn new() -> Self {
        Self {
            registers: Registers { rflags: 0x202, ..Registers::default() },
            sse: [0; 16],
            fs_base: 0,
            held: Held::Initial,
            area: None,
        }
    }

    /// A new thread that goes on as this one: clone(2).
    pub fn fork(&mut self) -> Self {
        self.save();
        let area = self.area.as_ref().map(|area| Box::new(Area(area.0)));
        Self { registers: self.registers, sse: self.sse, fs_base: self.fs_base, held: self.held, area }
    }

    /// The thread pointer (FS base).
    pub fn thread_pointer(&mut self) -> u64 {
        self.save();
        self.fs_base
    }

    /// Sets the thread pointer. It must be canonical and in the lower half; else `false`.
    pub fn set_thread_pointer(&mut self, to: u64) -> bool {
        if to >> 47 != 0 {
            return false;
        }
        self.save();
        self.fs_base = to;
        true
    }

    /// The extended state as XSAVE's standard format has it, with the legacy area and the header; what a signal frame holds.
    pub fn extended(&mut self) -> &[u8] {
        self.save();
        let length = at_door!(program::extended_length());
        let area = self.area.get_or_insert_with(|| Box::new(initial()));
        self.held = Held::Area;
        &area.0[..length]
    }

    /// Sets the extended state from what a signal frame holds (an XSAVE area of as many bytes as there are, or the legacy
    /// 512 alone): bits of MXCSR and of the header that the CPU would refuse are taken out.
    pub fn set_extended(&mut self, bytes: &[u8]) {
        self.save();
        let features = at_door!(program::extended_features());
        let length = at_door!(program::extended_length());
        let mut area = Box::new(initial());
        let bytes = &bytes[..bytes.len().min(length)];
        area.0[..bytes.len()].copy_from_slice(bytes);
        let header = if bytes.len() < 576 { 3 } else { word(&area.0, 512) & features };
        let mxcsr = u32::from_le_bytes([area.0[24], area.0[25], area.0[26], area.0[27]]) & 0xffff;
        area.0[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        area.0[512..576].fill(0);
        area.0[512..520].copy_from_slice(&header.to_le_bytes());
        self.area = Some(area);
        self.held = Held::Area;
    }

    /// As a new program's thread has them: execve(2).
    pub fn reset_extended(&mut self) {
        self.save();
        self.held = Held::Initial;
    }

    /// Gets the extended state out of the CPU, if it is there.
    pub(crate) fn save(&mut self) {
        at_door!(program::save(self));
    }

    /// Runs the thread until it needs the library OS.
    #[cfg(kernlet_image)]
    pub fn enter(&mut self) -> Exit {
        at_door!(program::enter(self))
    }

    /// A host build runs no program.
    #[cfg(not(kernlet_image))]
    pub fn enter(&mut self) -> Exit {
        unreachable!("a host build runs no program")
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        at_door!(program::forget(self));
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The state of a new thread: control words as the psABI has them, all else 0.
pub(crate) fn initial() -> Area {
    let mut area = Area([0; EXTENDED_MOST]);
    area.0[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
    area.0[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    area.0[28..32].copy_from_slice(&0xffffu32.to_le_bytes());
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Intel's layout and AMD's: where AVX-512 begins, and how long all of it is.
    const WIDE: [(usize, usize); 2] = [(1088, 2688), (832, 2432)];

    fn used() -> Area {
        let mut area = initial();
        area.0[512] = 0xe7;
        area
    }

    #[test]
    fn vector_registers_of_zeros_count_as_unused() {
        for (_, length) in WIDE {
            let mut area = used();
            area.settle(length);
            assert_eq!(area.0[512], 3);
        }
        let mut area = used();
        area.0[512] = 7;
        area.settle(832);
        assert_eq!(area.0[512], 3);
    }

    #[test]
    fn each_component_that_holds_something_stays() {
        for (start, length) in WIDE {
            let places = [
                (2, 576..832),
                (5, start..start + 64),
                (6, start + 64..start + 576),
                (7, start + 576..length),
            ];
            for (bit, place) in places {
                for at in [place.start, place.end - 1] {
                    let mut area = used();
                    area.0[at] = 1;
                    area.settle(length);
                    assert_eq!(area.0[512], 3 | 1 << bit, "{at} of {length}");
                }
            }
        }
    }

    #[test]
    fn x87_and_sse_stay_as_they_are() {
        let mut area = initial();
        area.0[512] = 3;
        area.settle(576);
        assert_eq!(area.0[512], 3);
    }
}
