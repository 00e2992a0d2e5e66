//! Runs pieces of machine code as threads of a program, and checks what the platform tells of them. One check a run.
#![cfg_attr(kernlet_image, no_std, no_main)]

#[cfg(kernlet_image)]
mod clock;
#[cfg(kernlet_image)]
mod code;
#[cfg(kernlet_image)]
mod memory;
#[cfg(kernlet_image)]
mod thread;
#[cfg(kernlet_image)]
mod threads;

#[cfg(kernlet_image)]
#[kernlet::main]
async fn main() -> u8 {
    let name = kernlet::env::args().nth(1).unwrap_or_default();
    if let Err(why) = kernlet_platform::program::prepare() {
        kernlet::println!("{why}");
        return 1;
    }
    match &*name {
        "calls" => threads::calls(),
        "faults" => threads::faults(),
        "turns" => threads::turns().await,
        "shares" => threads::shares().await,
        "waits" => threads::waits().await,
        "registers" => threads::registers().await,
        "flags" => threads::flags(),
        "pages" => memory::pages(),
        "copies" => memory::copies(),
        "sealed" => memory::sealed(),
        "vdso" => clock::vdso(),
        "giving-back" => memory::giving_back(),
        "exhausted" => memory::exhausted(),
        _ => {
            kernlet::println!("no such check");
            return 2;
        }
    }
    kernlet::println!("right");
    0
}

#[cfg(not(kernlet_image))]
fn main() {}
