//! What sealing a Linux program reads: ELF files, first lines of scripts, the linker's cache, dpkg's list of packages.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_fuzz::Scratch;
use kernlet_image::linux::elf::Elf;
use libfuzzer_sys::fuzz_target;

thread_local!(static SCRATCH: Scratch = Scratch::default());

fuzz_target!(|bytes: &[u8]| {
    let in_memory = Elf::read(&bytes);
    if let Ok(elf) = &in_memory {
        assert!(
            elf.needed.iter().all(|name| !name.is_empty() && !name.contains(&0) && name.len() < bytes.len())
        );
        assert!(elf.interpreter.as_ref().is_none_or(|path| !path.is_empty() && !path.contains(&0)));
    }
    // Both readers are of one mind.
    SCRATCH.with(|scratch| assert_eq!(Elf::read(scratch.hold(bytes)), in_memory));
    kernlet_image::linux::exercise(bytes);
});
