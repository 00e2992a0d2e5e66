//! From the PVH entry (32-bit protected mode, no paging) to 64-bit code, and on to the image's final place.

use super::paging::POOL;
use core::arch::global_asm;

/// The boot stack is later the stack of the fault handler (trap.rs).
pub const FAULT_STACK: usize = 16 << 10;

// In: ebx = physical address of struct hvm_start_info. The image lies at its link address, so 32-bit code uses
// absolute addresses: PH_x is x as an absolute symbol (image.ld). The tables are zero, as bss is.
// First three tables: top, then those of an identity mapping that covers the image in 2 MiB pages.
global_asm!(
    ".pushsection .boot, \"ax\"",
    ".code32",
    ".globl kernlet_pvh",
    "kernlet_pvh:",
    "  cld",
    "  rdtsc",
    "  mov esi, eax",
    "  mov ebp, edx",
    "  mov edi, ebx",
    "  mov dword ptr [PH_tables], offset PH_tables + 0x1003",
    "  mov dword ptr [PH_tables + 0xff8], offset PH_tables + 0x0003",
    "  mov dword ptr [PH_tables + 0x1000], offset PH_tables + 0x2003",
    "  xor ecx, ecx",
    "  mov eax, 0x83",
    "2:",
    "  mov dword ptr [PH_tables + 0x2000 + ecx * 8], eax",
    "  add eax, 0x200000",
    "  inc ecx",
    "  cmp ecx, offset PH_identity_entries",
    "  jb 2b",
    "  mov eax, offset PH_tables",
    "  mov cr3, eax",
    "  mov eax, 0x620", // PAE, OSFXSR, OSXMMEXCPT
    "  mov cr4, eax",
    "  mov ecx, 0xc0000080", // EFER: LME, NXE
    "  rdmsr",
    "  or eax, 0x900",
    "  wrmsr",
    // PG, NE, ET, MP, PE; WP follows after relocation, which writes to pages that are mapped read-only.
    "  mov eax, 0x80000033",
    "  mov cr0, eax",
    "  lgdt [PH_gdt_pointer]",
    "  .byte 0xea", // ljmp 8:PH_long
    "  .long PH_long",
    "  .word 8",
    ".code64",
    ".globl kernlet_long",
    "kernlet_long:",
    "  mov eax, 16",
    "  mov ds, eax",
    "  mov es, eax",
    "  mov ss, eax",
    "  xor eax, eax",
    "  mov fs, eax",
    "  mov gs, eax",
    "  shl rbp, 32",
    "  or rsi, rbp",
    "  mov [rip + kernlet_entry_tsc], rsi",
    "  lea rsp, [rip + kernlet_fault_stack + {fault_stack}]",
    "  xor ebp, ebp",
    "  mov edi, edi",
    // Where it was linked all addresses are right; it is relocated to its final place.
    "  call kernlet_vm_map", // rax = slide, rdx = top of the program's stack
    "  mov rsp, rdx",
    "  lea rcx, [rip + 3f]",
    "  add rcx, rax",
    "  jmp rcx",
    "3:",
    "  lea rsi, [rip + 4f]",
    "  jmp kernlet_relocate",
    "4:",
    "  mov rax, cr0",
    "  or rax, 0x10000", // WP
    "  mov cr0, rax",
    "  xor ebp, ebp",
    "  call kernlet_vm_start",
    "  ud2",
    ".p2align 3",
    ".globl kernlet_boot_gdt",
    "kernlet_boot_gdt:",
    "  .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff",
    ".globl kernlet_boot_gdt_pointer",
    "kernlet_boot_gdt_pointer:",
    "  .word 23",
    "  .long PH_gdt",
    ".popsection",
    ".pushsection .bss.kernlet_fault_stack, \"aw\", @nobits",
    ".p2align 4",
    ".globl kernlet_fault_stack",
    "kernlet_fault_stack: .skip {fault_stack}",
    ".globl kernlet_entry_tsc",
    "kernlet_entry_tsc: .skip 8",
    ".popsection",
    ".pushsection .tables, \"aw\", @nobits",
    ".p2align 12",
    ".globl kernlet_tables",
    "kernlet_tables: .skip {tables}",
    ".popsection",
    fault_stack = const FAULT_STACK,
    tables = const POOL * 4096,
);
