//! Raw system calls, by every way in that x86-64 has.

use core::arch::asm;

fn result(value: isize) -> Result<usize, i32> {
    if (-4095..0).contains(&value) { Err(-value as i32) } else { Ok(value as usize) }
}

/// The `syscall` instruction.
pub fn call(number: usize, arguments: [usize; 6]) -> Result<usize, i32> {
    let [a, b, c, d, e, f] = arguments;
    let value: isize;
    // SAFETY: what the attacks do to this program's own memory is their business: each passes live buffers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => value,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result(value)
}

/// `int 0x80`: the 32-bit interface, with numbers of its own.
pub fn call32(number: usize, a: usize) -> Result<usize, i32> {
    let value: isize;
    // SAFETY: only getpid is called this way, which touches no memory. rbx is kept by hand, as the compiler uses it.
    unsafe {
        asm!(
            "xchg rbx, {a}", "int 0x80", "xchg rbx, {a}",
            a = inout(reg) a => _, inlateout("rax") number as isize => value,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    result(value as i32 as isize)
}

/// Runs the code in `bytes`, which must be a function without arguments.
pub fn execute(bytes: usize) -> usize {
    // SAFETY: the caller put `mov eax, 42; ret` there; where it is not executable this faults, as it should.
    unsafe {
        let function: extern "C" fn() -> usize = core::mem::transmute(bytes);
        function()
    }
}
