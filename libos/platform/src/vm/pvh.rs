//! What a PVH loader hands over (Xen's include/public/arch-x86/hvm/start_info.h, version 1).

/// "xEn3" with the high bit of the E set.
pub const MAGIC: u32 = 0x336e_c578;

/// struct hvm_start_info. Addresses are physical.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StartInfo {
    pub magic: u32,
    pub version: u32,
    pub flags: u32,
    pub modules: u32,
    pub module_list: u64,
    pub command_line: u64,
    pub rsdp: u64,
    pub memory_map: u64,
    pub memory_map_entries: u32,
    pub reserved: u32,
}

/// struct hvm_modlist_entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Module {
    pub address: u64,
    pub size: u64,
    pub command_line: u64,
    pub reserved: u64,
}

/// struct hvm_memmap_table_entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Memory {
    pub address: u64,
    pub size: u64,
    pub kind: u32,
    pub reserved: u32,
}

/// The kind of memory that is ours to use.
pub const RAM: u32 = 1;
