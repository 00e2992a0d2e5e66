/* A library with system calls by hand, for mapped.c. NAME_at is where what gives way to a jump stands. */
    .text
.macro function name
    .p2align 4
    .globl \name
    .type \name, @function
\name:
.endm
.macro at name
    .globl \name\()_at
\name\()_at:
.endm

/* Something to begin with: a library's first functions have code before them, too. */
function first
    .rept 24
    mov %rsi, %rdx
    mov 8(%rsp), %rcx
    .endr
    ret

function parent
    at parent
    mov $110, %eax
    syscall
    ret

function parent_long
    at parent_long
    mov $110, %rax
    syscall
    ret

/* long write_to(long fd, const void *, size_t), as compilers order it */
function write_to
    push %rbx
    mov %rdx, %rbx
    at write_to
    mov $1, %eax
    mov %rbx, %rdx
    mov %edi, %edi
    syscall
    pop %rbx
    ret

/* long read_some(long fd, void *): 16 bytes; the number is nothing */
function read_some
    at read_some
    mov $16, %edx
    xor %eax, %eax
    syscall
    ret

/* long any(number, a, b, c): no number that is known */
function any
    at any
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    syscall
    ret

/* Jumps to the call itself, round after round: the sum of three. */
function again
    push %rbx
    push %r12
    xor %r12d, %r12d
    mov $3, %ebx
    at again
    mov $110, %eax
1:  syscall
    add %rax, %r12
    mov $110, %al
    movzbl %al, %eax
    dec %ebx
    jnz 1b
    mov %r12, %rax
    pop %r12
    pop %rbx
    ret

/* long middle(long skip): comes between number and call by a jump of its own. */
function middle
    mov $110, %ecx
    test %edi, %edi
    jnz 1f
    mov $39, %ecx
    at middle
    mov $39, %eax
1:  mov %ecx, %eax
    syscall
    ret

/* Nothing but a number. */
function number
    at number
    movabs $0x050f0000006eb8, %rax
    ret

/* The address of what it passes is relative to where it stands: long name(void *): uname fails without it */
function relative
    at relative
    mov $21, %eax
    lea nowhere(%rip), %rdi
    xor %esi, %esi
    syscall
    ret
    .section .rodata
nowhere:
    .asciz "/nowhere/at/all"
    .text

/* Red zone, flags, vector registers: 0 when all is kept. */
function kept
    movq $0x1234567, -8(%rsp)
    movq $0x89abcde, -128(%rsp)
    mov $0x5555, %r8d
    movq %r8, %xmm9
    mov $0x7777, %r9d
    stc
    at kept
    mov $110, %eax
    syscall
    setnc %al
    movzbl %al, %eax
    movq %xmm9, %r10
    sub %r8, %r10
    or %r10, %rax
    mov -8(%rsp), %r10
    sub $0x1234567, %r10
    or %r10, %rax
    mov -128(%rsp), %r10
    sub $0x89abcde, %r10
    or %r10, %rax
    sub $0x7777, %r9
    or %r9, %rax
    ret

/* A call across the border of two pages: its window before it, itself behind. */
    .p2align 12
    .skip 4096 - 5 - 3, 0x90
    .globl border
    .type border, @function
border:
    at border
    mov $110, %eax
    mov %rdi, %rdi
    syscall
    ret
    .p2align 4
    .globl last
last:
    ret
    .section .note.GNU-stack, "", @progbits
