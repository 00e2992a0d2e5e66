# Functions that make getppid (110) in each way that code around a call can look. Each takes nothing and gives the
# result in rax; the caller looks at every register, the flags and the red zone.
    .text
    .macro function name
    .globl \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
    .endm
    .macro done name
    .cfi_endproc
    .size \name, . - \name
    .endm

function form_number
    mov $110, %eax
    syscall
    ret
done form_number

function form_long_number
    mov $110, %rax
    syscall
    ret
done form_long_number

# Five bytes before the call, two instructions, one of them relative to rip.
function form_preceding
    lea number(%rip), %rax
    mov (%rax), %eax
    syscall
    ret
done form_preceding

# Less before it: the call moves.
function form_preceding_with_call
    .byte 0xeb, 0x00            # a jump, which does not move
    push $110
    pop %rax
    syscall
    ret
done form_preceding_with_call

# Something jumps to the call: it moves with what follows.
function form_following
    mov $110, %eax
    jmp 1f
    nop
1:  syscall
    cmp $-4095, %rax
    jae 2f
    ret
2:  ud2
done form_following

# What follows is a conditional jump, and a return with padding behind it.
function form_following_jump
    xor %eax, %eax
    sub $-110, %eax
    jmp 1f
    ud2
1:  syscall
    test %rax, %rax
    js 2f
    jmp 3f
2:  ud2
3:  ret
done form_following_jump

function form_return
    push $110
    pop %rax
    jmp 1f
1:  syscall
    ret
    nop
    nop
    nop
done form_return

# Two bytes before it, and one behind it: the next is jumped to.
function form_both
    mov $110, %eax
    jmp 1f
1:  cld
    cld
    syscall
    cld
2:  test %rax, %rax
    js 2b
    ret
done form_both

# A move relative to rip behind it.
function form_following_relative
    mov $110, %eax
    jmp 1f
1:  syscall
    mov %eax, scratch(%rip)
    xor %eax, %eax
    mov scratch(%rip), %eax
    ret
done form_following_relative

# A call behind an instruction that stops the program, as in glibc's _exit.
function form_after_stop
    mov $110, %r10d
    jmp 1f
2:  hlt
1:  mov %r10d, %eax
    syscall
    cmp $-4095, %rax
    jae 2b
    mov $0x8888, %r10d
    ret
done form_after_stop

# A call that nothing but a jump over a return reaches, and nothing can move: it traps.
function form_stays
    mov $110, %eax
    jmp 1f
2:  ret
1:  syscall
    jmp 2b
done form_stays

# The bytes of `syscall` inside of other instructions.
function form_false
    mov $0x050f, %eax
    movabs $0x050f000000006eb8, %rax
    mov $110, %eax
    syscall
    ret
done form_false

# As in glibc: the unwind entry begins in the padding before the function, which is no function by its symbol. It is
# never called here.
    .byte 0x0f, 0x1f, 0x40
    .cfi_startproc
    .cfi_signal_frame
    .byte 0
    .globl signal_return
signal_return:
    mov $15, %rax
    syscall
    .cfi_endproc

# As in musl: nothing but the bytes tells an unwinder what it is.
    .globl bare_signal_return
    .type bare_signal_return, @function
    .p2align 4
bare_signal_return:
    mov $15, %rax
    syscall
    .size bare_signal_return, . - bare_signal_return

# The number comes over two ways, a register that a call keeps, and a jump over padding.
function many_numbers
    push %rbx
    mov $39, %ebx
    test %edi, %edi
    jz 1f
    mov $102, %ebx
    jmp 1f
    .p2align 4
1:  call form_number
    mov %ebx, %eax
    syscall
    pop %rbx
    ret
done many_numbers

# The number is an argument.
function any_number
    mov %edi, %eax
    syscall
    ret
done any_number

# Data between functions that looks like a call, in a piece that does not decode.
    .globl data_in_text
data_in_text:
    .byte 0x06, 0xb8, 0x6e, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x06, 0xff
    .globl data_in_text_end
data_in_text_end:

# probe(function, before, after): runs it with known registers, notes what they are afterwards, and whether the red
# zone was kept. after: rax to r15 (without rsp, rcx and r11), flags, the red zone's words.
    .globl probe
    .type probe, @function
    .p2align 4
probe:
    .cfi_startproc
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    mov %rdi, target(%rip)
    # Below the return address that the call pushes.
    lea -8(%rsp), %r8
    mov $16, %ecx
1:  mov %rcx, %rax
    imul $0x01010101, %rax
    neg %rcx
    mov %rax, (%r8,%rcx,8)
    neg %rcx
    dec %ecx
    jnz 1b
    mov $0x1111, %ebx
    mov $0x2222, %ebp
    mov $0x3333, %edx
    mov $0x4444, %esi
    mov $0x5555, %edi
    mov $0x6666, %r8d
    mov $0x7777, %r9d
    mov $0x8888, %r10d
    mov $0x9999, %r12d
    mov $0xaaaa, %r13d
    mov $0xbbbb, %r14d
    mov $0xcccc, %r15d
    # A carry out of the top with a signed overflow: flags that are not the usual ones.
    mov $0x80, %al
    add %al, %al
    call *target(%rip)
    # Not the flags, which some of the functions change themselves.
    mov %r15, scratch(%rip)
    mov (%rsp), %r15
    mov %rax, (%r15)
    mov %rbx, 8(%r15)
    mov %rbp, 16(%r15)
    mov %rdx, 24(%r15)
    mov %rsi, 32(%r15)
    mov %rdi, 40(%r15)
    mov %r8, 48(%r15)
    mov %r9, 56(%r15)
    mov %r10, 64(%r15)
    mov %r12, 72(%r15)
    mov %r13, 80(%r15)
    mov %r14, 88(%r15)
    mov scratch(%rip), %rax
    mov %rax, 96(%r15)
    pushf
    pop %rax
    mov %rax, 104(%r15)
    pop %rdx
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .cfi_endproc
    .size probe, . - probe

# Whether a call keeps the red zone: writes it, calls, reads it; 0 when it was kept.
function red_zone
    movabs $0x0123456789abcdef, %rdx
    mov %rdx, -8(%rsp)
    mov %rdx, -64(%rsp)
    mov %rdx, -128(%rsp)
    mov $110, %eax
    syscall
    xor %eax, %eax
    xor -8(%rsp), %rdx
    or %rdx, %rax
    movabs $0x0123456789abcdef, %rdx
    xor -64(%rsp), %rdx
    or %rdx, %rax
    movabs $0x0123456789abcdef, %rdx
    xor -128(%rsp), %rdx
    or %rdx, %rax
    ret
done red_zone

    .data
    .p2align 3
number:
    .quad 110
target:
    .quad 0
scratch:
    .quad 0
    .section .note.GNU-stack, "", @progbits
