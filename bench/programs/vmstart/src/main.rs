//! Prints the steps of the time stamp counter from the VM's first instruction to main. Under QEMU's
//! `-icount shift=0` a step is an instruction.
#![cfg_attr(kernlet_image, no_std, no_main)]

#[kernlet::main]
async fn main() -> u8 {
    // SAFETY: reading the counter has no effect, and every CPU that runs an image has it.
    let now = unsafe { core::arch::x86_64::_rdtsc() };
    let Some(entry) = kernlet_platform::boot::entry_tsc() else {
        kernlet::eprintln!("this program tells something in a VM only");
        return 1;
    };
    kernlet::println!("instructions: {}", now - entry);
    0
}
