//! The frame of a handler on the program's stack (struct rt_sigframe of arch/x86/include/asm/sigframe.h): making one, and
//! going on from one.

use super::action::{Action, flag};
use super::information::{self, Information};
use super::kinds::Set;
use super::stack::{self, AUTODISARM, Alternate};
use crate::thread::Thread;
use crate::{Errno, user};
use kernlet_platform::program::{self, Context, Registers};

/// The System V ABI's red zone, bytes.
const RED_ZONE: u64 = 128;
/// Offsets in the frame: the return address, struct ucontext, siginfo_t.
const CONTEXT: usize = 8;
const INFORMATION: usize = CONTEXT + 304;
/// Bytes of the frame.
pub const LENGTH: usize = INFORMATION + information::LENGTH;
/// Offsets in struct ucontext.
const STACK: usize = 16;
const MACHINE: usize = 40;
const MASK: usize = 296;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS.
const CONTEXT_FLAGS: u64 = 7;
/// The selectors of a 64-bit program: CS, GS, FS, SS.
const SELECTORS: u64 = 0x33 | 0x2b << 48;
/// FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2.
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Where struct _fpx_sw_bytes lies in the FXSAVE area, and the header behind that.
const SOFTWARE: usize = 464;
const HEADER: usize = 512;
/// Bytes of an XSAVE area with nothing but x87 and SSE, and the bits of these.
const LEAST: usize = 576;
const X87_SSE: u64 = 3;
/// DF, RF and TF are clear in a handler.
const CLEARED: u64 = 1 << 10 | 1 << 16 | 1 << 8;
/// The flags that sigreturn sets: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF.
const RESTORED: u64 = 0x5_0dd5 | 1 << 16;

/// What a thread's last fault was, as the frame tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The exception's vector.
    pub trap: u64,
    /// Its error code.
    pub error: u64,
    /// The address of a page fault.
    pub address: u64,
}

/// The registers in the order of struct sigcontext.
fn words(r: &Registers) -> [u64; 18] {
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax,
        r.rcx, r.rsp, r.rip, r.rflags,
    ]
}

fn set_words(r: &mut Registers, words: &[u64; 18]) {
    [
        r.r8,
        r.r9,
        r.r10,
        r.r11,
        r.r12,
        r.r13,
        r.r14,
        r.r15,
        r.rdi,
        r.rsi,
        r.rbp,
        r.rbx,
        r.rdx,
        r.rax,
        r.rcx,
        r.rsp,
        r.rip,
        _,
    ] = *words;
    r.rflags = words[17] & RESTORED | r.rflags & !RESTORED;
}

/// What goes into a frame.
pub struct Parts<'a> {
    /// Where the handler returns to.
    pub restorer: u64,
    /// The interrupted registers.
    pub registers: &'a Registers,
    /// The last fault.
    pub machine: Machine,
    /// The alternate stack.
    pub alternate: Alternate,
    /// The mask that comes back.
    pub mask: Set,
    /// Where the extended state is.
    pub state: u64,
    /// What the signal tells.
    pub information: &'a Information,
}

impl Parts<'_> {
    /// The frame's bytes.
    pub fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut put = |at: usize, words: &[u64]| {
            for (i, word) in words.iter().enumerate() {
                bytes[at + 8 * i..][..8].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(0, &[self.restorer]);
        put(CONTEXT, &[CONTEXT_FLAGS, 0]);
        put(CONTEXT + STACK, &self.alternate.words());
        put(CONTEXT + MACHINE, &words(self.registers));
        let Machine { trap, error, address } = self.machine;
        put(CONTEXT + MACHINE + 144, &[SELECTORS, error, trap, self.mask, address, self.state]);
        put(CONTEXT + MASK, &[self.mask]);
        bytes[INFORMATION..].copy_from_slice(&self.information.bytes());
        bytes
    }
}

/// Where the frame and the extended state of `length` bytes go for a stack pointer (get_sigframe of the kernel); `None` when
/// they do not fit on the alternate stack.
fn place(pointer: u64, alternate: &Alternate, on_stack: bool, length: usize) -> Option<(u64, u64)> {
    let below = pointer.wrapping_sub(RED_ZONE);
    let top = if on_stack { alternate.top(below) } else { None };
    let nested = alternate.in_use(pointer);
    let state = top.unwrap_or(below).wrapping_sub(length as u64 + 4) & !63;
    let frame = (state.wrapping_sub(LENGTH as u64) & !15).wrapping_sub(8);
    let fits = top.is_none() && !nested || alternate.holds(frame);
    fits.then_some((frame, state))
}

/// Makes a frame for a handler and sets the context to its first instruction.
///
/// # Errors
/// EFAULT when there is no room for it, or the action has no restorer.
pub fn push(
    thread: &Thread,
    context: &mut Context,
    action: &Action,
    information: &Information,
    mask: Set,
) -> Result<(), Errno> {
    if action.flags & flag::RESTORER == 0 {
        return Err(Errno::EFAULT);
    }
    let signals = &thread.signals;
    let alternate = signals.alternate.get();
    let length = program::extended_length();
    let pointer = context.registers.rsp;
    let (frame, state) =
        place(pointer, &alternate, action.flags & flag::ONSTACK != 0, length).ok_or(Errno::EFAULT)?;
    write_state(context, state as usize, length)?;
    let parts = Parts {
        restorer: action.restorer,
        registers: &context.registers,
        machine: signals.machine.get(),
        alternate,
        mask,
        state,
        information,
    };
    user::write(frame as usize, &parts.bytes())?;
    if alternate.flags & AUTODISARM != 0 {
        signals.alternate.set(Alternate::NONE);
    }
    let r = &mut context.registers;
    r.rdi = information.number.into();
    r.rsi = frame + INFORMATION as u64;
    r.rdx = frame + CONTEXT as u64;
    r.rax = 0;
    r.rsp = frame;
    r.rip = action.handler;
    r.rflags &= !CLEARED;
    context.reset_extended();
    Ok(())
}

/// Writes the extended state, with what tells its length to the program and to us.
fn write_state(context: &mut Context, at: usize, length: usize) -> Result<(), Errno> {
    let features = program::extended_features();
    let mut software = [0; 48];
    software[0..4].copy_from_slice(&MAGIC1.to_le_bytes());
    software[4..8].copy_from_slice(&(length as u32 + 4).to_le_bytes());
    software[8..16].copy_from_slice(&features.to_le_bytes());
    software[16..20].copy_from_slice(&(length as u32).to_le_bytes());
    let bytes = context.extended();
    let header = bytes.get(HEADER..HEADER + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    user::write(at, bytes)?;
    user::write(at + SOFTWARE, &software)?;
    user::write(at + HEADER, &(header | X87_SSE).to_le_bytes())?;
    user::write(at + length, &MAGIC2.to_le_bytes())
}

/// Goes on from the frame of which a handler returned to its restorer, which calls rt_sigreturn.
///
/// # Errors
/// EFAULT when it cannot be read.
pub fn pop(thread: &Thread, context: &mut Context) -> Result<(), Errno> {
    let frame = context.registers.rsp.wrapping_sub(8) as usize;
    let at = frame.wrapping_add(CONTEXT);
    let [mask] = user::read_words(at.wrapping_add(MASK))?;
    let machine = at.wrapping_add(MACHINE);
    let words = user::read_words::<18>(machine)?;
    let [state] = user::read_words(machine.wrapping_add(184))?;
    let alternate = user::read_words(at.wrapping_add(STACK))?;
    match state {
        0 => context.reset_extended(),
        at => {
            let mut bytes = [0; program::EXTENDED_MOST];
            let length = read_state(at as usize, &mut bytes)?;
            context.set_extended(&bytes[..length]);
        }
    }
    super::mask::set(thread, mask);
    set_words(&mut context.registers, &words);
    // One that cannot be set is left as it is.
    let _ = stack::set(&thread.signals, context.registers.rsp, alternate);
    Ok(())
}

/// Reads the extended state: all of it when it says how long it is (check_xstate_in_sigframe), else x87 and SSE.
fn read_state(at: usize, bytes: &mut [u8; program::EXTENDED_MOST]) -> Result<usize, Errno> {
    program::read(at, &mut bytes[..HEADER])?;
    let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]) as usize;
    let (magic, extended, length) = (word(SOFTWARE), word(SOFTWARE + 4), word(SOFTWARE + 16));
    let whole = magic == MAGIC1 as usize
        && (LEAST..=program::extended_length()).contains(&length)
        && length <= extended
        && user::read_u32(at.wrapping_add(length))? == MAGIC2;
    if !whole {
        return Ok(HEADER);
    }
    if !at.is_multiple_of(64) {
        return Err(Errno::EFAULT);
    }
    program::read(at, &mut bytes[..length])?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_lies_below_the_red_zone_aligned_as_a_function_finds_its_stack() {
        for pointer in 0x10_0000..0x10_0040 {
            let (frame, state) = place(pointer, &Alternate::NONE, true, 832).unwrap();
            assert!(state.is_multiple_of(64) && (frame + 8).is_multiple_of(16));
            assert!(state + 836 <= pointer - 128 && frame + LENGTH as u64 <= state);
            assert!(pointer - frame < 128 + 836 + 64 + LENGTH as u64 + 24);
        }
    }

    #[test]
    fn a_frame_goes_to_the_alternate_stack_once_and_not_beyond_its_end() {
        let alternate = Alternate { start: 0x1000, length: 0x2000, flags: 0 };
        let (frame, _) = place(0x10_0000, &alternate, true, 832).unwrap();
        assert!((0x1000..0x3000).contains(&frame) && frame > 0x2a00);
        let (nested, _) = place(frame, &alternate, true, 832).unwrap();
        assert!(nested < frame && nested > frame - 0x700);
        assert_eq!(place(0x1400, &alternate, true, 832), None);
        assert_eq!(place(0x1400, &alternate, false, 832), None);
        let small = Alternate { length: 0x500, ..alternate };
        assert_eq!(place(0x10_0000, &small, true, 832), None);
        assert!(place(0x10_0000, &small, false, 832).is_some_and(|(frame, _)| frame > 0xf_0000));
    }
}
