//! The pieces of machine code. They are copied to where the program's memory lies, so they use no address of their own.

use core::arch::global_asm;

macro_rules! pieces {
    ($($name:ident: [$($line:literal),* $(,)?])*) => {$(
        global_asm!(
            concat!(".pushsection .text.machine_", stringify!($name), ", \"ax\""),
            concat!("machine_", stringify!($name), ":"),
            $($line,)*
            concat!("machine_", stringify!($name), "_end:"),
            ".popsection",
        );
        /// The bytes of this piece.
        pub fn $name() -> &'static [u8] {
            // SAFETY: defined above; only their addresses are used.
            unsafe extern "C" {
                #[link_name = concat!("machine_", stringify!($name))]
                static START: u8;
                #[link_name = concat!("machine_", stringify!($name), "_end")]
                static END: u8;
            }
            let (start, end) = (&raw const START, &raw const END);
            // SAFETY: the labels of this piece, in text that does not change.
            unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
        }
    )*};
}

pieces! {
    // As a rewritten call site: number in eax, back in rcx.
    rewritten: ["mov eax, 39", "lea rcx, [rip + 2f]", "jmp qword ptr gs:[0]", "2:", "mov rbx, rax", "lea rcx, [rip + 3f]",
        "jmp qword ptr gs:[0]", "3:"]
    syscalls: ["mov eax, 39", "syscall", "mov rbx, rax", "syscall"]
    // Counts in the red zone and in a register, and compares.
    counting: ["xor eax, eax", "mov [rsp - 8], rax", "2:", "inc rax", "inc qword ptr [rsp - 8]", "cmp [rsp - 8], rax", "je 2b",
        "ud2"]
    load: ["mov rax, [rdi]", "syscall"]
    store: ["mov [rdi], rax", "syscall"]
    jump: ["jmp rdi"]
    divide: ["xor ecx, ecx", "mov eax, 1", "cdq", "idiv ecx"]
    invalid: ["ud2"]
    breakpoint: ["int3"]
    stepped: ["pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop", "syscall"]
    stepped_call: ["pushfq", "or qword ptr [rsp], 0x100", "popfq", "syscall", "syscall"]
    // Without interrupts, it would run for ever after its first call.
    without_interrupts: ["pushfq", "and qword ptr [rsp], -0x201", "popfq", "syscall", "2:", "jmp 2b"]
    // Calls the function in rbx; r12 = 1 once it has returned, with what in r13.
    function: ["call rbx", "mov r13, rax", "mov r12d, 1", "syscall"]
    halt: ["hlt", "syscall"]
    backward: ["std", "mov eax, 39", "syscall", "pushfq", "pop rbx", "cld", "syscall"]
    // Fills the vector registers with rdi + n, then compares for ever; ends with ud2 when one is another.
    vectors: ["movq xmm0, rdi", "inc rdi", "movq xmm1, rdi", "inc rdi", "movq xmm15, rdi", "sub rdi, 2", "2:",
        "movq rax, xmm0", "cmp rax, rdi", "jne 3f", "movq rax, xmm1", "dec rax", "cmp rax, rdi", "jne 3f", "movq rax, xmm15",
        "sub rax, 2", "cmp rax, rdi", "jne 3f", "mov rax, fs:[0]", "cmp rax, rdi", "jne 3f", "jmp 2b", "3:", "ud2"]
    // The upper halves of ymm0 and ymm15, on a CPU that has them.
    wide: ["movq xmm1, rdi", "vinsertf128 ymm0, ymm1, xmm1, 1", "vinsertf128 ymm15, ymm1, xmm1, 1", "2:",
        "vextractf128 xmm2, ymm0, 1", "vmovq rax, xmm2", "cmp rax, rdi", "jne 3f", "vextractf128 xmm2, ymm15, 1",
        "vmovq rax, xmm2", "cmp rax, rdi", "jne 3f", "mov eax, 24", "syscall", "jmp 2b", "3:", "ud2"]
}
