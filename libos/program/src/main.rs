//! The library OS for Linux programs: what is sealed with a program's files into an image. It holds all of the Linux ABI, since
//! what a program calls is known only when it runs.
#![cfg_attr(kernlet_image, no_std, no_main)]

#[cfg(kernlet_image)]
use kernlet_memory as _;

#[cfg(kernlet_image)]
#[expect(unsafe_code, reason = "the platform calls the program by this name")]
#[unsafe(no_mangle)]
fn kernlet_main() -> ! {
    kernlet_linux::run()
}

#[cfg(not(kernlet_image))]
fn main() {
    std::eprintln!("this is part of kernlet; it runs inside an image that `kernlet build PROGRAM` made");
    std::process::exit(126);
}
