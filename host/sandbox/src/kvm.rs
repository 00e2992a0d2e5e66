//! Whether KVM works here. A /dev/kvm that opens proves little: inside some virtual machines the instructions of a guest
//! fail one by one. So a small guest is run, as far as a program would need it.

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit};
use std::sync::mpsc;
use std::time::Duration;

/// How long the guest may take for its few instructions.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where the page lies in the guest.
const ADDRESS: u64 = 0x1000;
/// Unused by the guest; processors without unrestricted guests need three pages there.
const TASK_STATE: usize = 0xfffb_d000;
/// Real mode: xorps %xmm0,%xmm0; movaps %xmm0,0x1100; mov $0x4b,%al; hlt.
const CODE: [u8; 12] = [0x0f, 0x57, 0xc0, 0x0f, 0x29, 0x06, 0x00, 0x11, 0xb0, 0x4b, 0xf4, 0xf4];
/// Where the code stores its 16 zeros in the page, and what it leaves in %al.
const STORED: std::ops::Range<usize> = 0x100..0x110;
const LEFT: u64 = 0x4b;
/// CR4.OSFXSR: SSE instructions are allowed.
const SSE: u64 = 1 << 9;

/// The guest's memory.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// Whether a guest of KVM's runs here, SSE instructions included. Never takes longer than half a second.
pub fn kvm_works() -> bool {
    let (sender, receiver) = mpsc::channel();
    let probe = move || {
        let _ = sender.send(run().unwrap_or(false));
    };
    // A guest that never comes back keeps its thread, and nothing else.
    let started = std::thread::Builder::new().name("kvm-probe".into()).spawn(probe);
    started.is_ok() && receiver.recv_timeout(PATIENCE).unwrap_or(false)
}

fn run() -> Result<bool, kvm_ioctls::Error> {
    let kvm = Kvm::new()?;
    let mut page = Box::new(Page([0xff; 4096]));
    page.0[..CODE.len()].copy_from_slice(&CODE);
    let vm = kvm.create_vm()?;
    vm.set_tss_address(TASK_STATE)?;
    let memory = std::ptr::from_mut(page.as_mut());
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: ADDRESS,
        memory_size: size_of::<Page>() as u64,
        userspace_addr: memory as u64,
    };
    // SAFETY: the region is a whole page that lives on the heap until after the virtual machine, which is dropped first,
    // and that nothing else refers to until then.
    unsafe { vm.set_user_memory_region(region)? };
    let mut cpu = vm.create_vcpu(0)?;
    cpu.set_cpuid2(&kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?)?;
    let mut system = cpu.get_sregs()?;
    (system.cs.base, system.cs.selector) = (0, 0);
    system.cr4 |= SSE;
    cpu.set_sregs(&system)?;
    let mut registers = cpu.get_regs()?;
    (registers.rip, registers.rflags) = (ADDRESS, 2);
    cpu.set_regs(&registers)?;
    let halted = matches!(cpu.run()?, VcpuExit::Hlt);
    let left = cpu.get_regs()?.rax & 0xff;
    drop(cpu);
    drop(vm);
    Ok(halted && left == LEFT && page.0[STORED].iter().all(|&byte| byte == 0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_answer_comes_within_the_bound() {
        let start = std::time::Instant::now();
        let works = super::kvm_works();
        assert!(start.elapsed() < super::PATIENCE * 4, "KVM works: {works}");
    }
}
