//! A hostile guest: one attack a run, by raw system calls.
//!
//! Compiled as an ordinary program it makes the same calls on Linux, as the control: there each succeeds. It prints
//! `reached` when an attack worked, or `errno N`; an attack that the sandbox ends by a signal prints nothing.
#![cfg_attr(kernlet_image, no_std, no_main)]

mod attack;
mod call;
#[cfg(kernlet_image)]
mod inside;

#[cfg(kernlet_image)]
#[kernlet::main]
async fn main() -> u8 {
    let name = kernlet::env::args().nth(1).unwrap_or_default();
    match inside::run(&name).await {
        Some(outcome) => tell(outcome),
        None => tell_attack(&name),
    }
}

#[cfg(not(kernlet_image))]
fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let read = |path: &str| std::fs::read(path).map_err(|error| error.raw_os_error().unwrap_or(0));
    let status = match name.split_once(':') {
        Some(("path", path)) => tell(read(path).map(|_| 0)),
        // Until somebody wins.
        Some(("race", path)) => loop {
            if read(path).is_ok_and(|contents| contents == b"secret") {
                break tell(Ok(0));
            }
        },
        _ => tell_attack(&name),
    };
    std::process::exit(status.into());
}

fn tell_attack(name: &str) -> u8 {
    match attack::run(name) {
        Some(result) => tell(result),
        None => {
            print(b"no such attack\n");
            2
        }
    }
}

fn tell(result: Result<usize, i32>) -> u8 {
    match result {
        Ok(_) => {
            print(b"reached\n");
            0
        }
        Err(number) => {
            let text = [
                b'0' + (number / 100 % 10) as u8,
                b'0' + (number / 10 % 10) as u8,
                b'0' + (number % 10) as u8,
            ];
            print(b"errno ");
            print(&text);
            print(b"\n");
            1
        }
    }
}

#[cfg(kernlet_image)]
fn print(bytes: &[u8]) {
    kernlet::io::write(kernlet::io::Stream::Out, bytes);
}

#[cfg(not(kernlet_image))]
fn print(bytes: &[u8]) {
    use std::io::Write;
    std::io::stdout().write_all(bytes).expect("standard output is open");
}
