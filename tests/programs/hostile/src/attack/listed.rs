//! Calls that the sandbox lets pass, used for what they are not meant for.

use super::sockets::address;
use super::{OUTSIDE, Outcome, at, set_up, text};
use crate::call::{call, execute};

/// PROT_READ, PROT_WRITE; MAP_PRIVATE, MAP_ANONYMOUS.
const DATA: usize = 3;
const ANONYMOUS: usize = 0x22;
/// How many descriptor numbers are tried.
const GUESSES: usize = 64;
/// MSG_DONTWAIT, the only flag that passes.
const DONT_WAIT: usize = 0x40;

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    if let Some(port) = name.strip_prefix("send-to:") {
        let mut address = address(port.parse().ok()?);
        return Some(send_everywhere(2, &mut address));
    }
    if let Some(path) = name.strip_prefix("send-unix:") {
        // sockaddr_un.
        let mut address = [0u8; 110];
        address[0] = 1;
        address[2..].iter_mut().zip(path.bytes()).for_each(|(to, from)| *to = from);
        return Some(send_everywhere(1, &mut address));
    }
    Some(match name {
        "mprotect-exec" => executable(|page| call(10, [page, 4096, 5, 0, 0, 0])),
        "mmap-exec" => call(9, [0, 4096, 7, ANONYMOUS, usize::MAX, 0]),
        "mmap-exec-file" => {
            set_up(2, [text(c"/bin/true"), 0, 0, 0, 0, 0]).and_then(|file| call(9, [0, 4096, 5, 2, file, 0]))
        }
        // Beyond the 32 bits that a careless filter looks at.
        "mprotect-exec-wide" => executable(|page| call(10, [page, 4096, 5 | 1 << 40, 0, 0, 0]))
            .or_else(|error| if OUTSIDE { Ok(0) } else { Err(error) }),
        "write-to-text" => write_to_text(),
        "memory-bomb" => memory_bomb(),
        // MAP_SHARED, MAP_GROWSDOWN, MAP_HUGETLB: memory that no limit counts.
        "memory-bomb-shared" => bomb(0x21),
        "memory-bomb-stack" => bomb(0x122),
        "huge-pages" => call(9, [0, 2 << 20, DATA, 0x4_0022, usize::MAX, 0]).or_else(super::let_through),
        // Half a terabyte of addresses, to be read only: what they cost is the kernel's tables.
        "address-bomb" => call(9, [0, 1 << 39, 1, 0x4022, usize::MAX, 0]),
        "connect-by-fastopen" => fastopen(),
        // MADV_DONTFORK.
        "madvise" => set_up(9, [0, 4096, DATA, ANONYMOUS, usize::MAX, 0])
            .and_then(|p| call(28, [p, 4096, 10, 0, 0, 0])),
        // The processor time of the process.
        "clock" => call(228, [2, at(&mut [0u64; 2]), 0, 0, 0, 0]),
        // SIGSYS, SIGTERM, SIGCHLD are to be ignored.
        "handle-sigsys" => handle(31),
        "handle-sigterm" => handle(15),
        "handle-sigchld" => handle(17),
        // SO_REUSEADDR; TCP_FASTOPEN_CONNECT; IP_TOS.
        "setsockopt-reuse" => option(1, 2),
        "setsockopt-fastopen" => option(6, 30),
        "setsockopt-ip" => option(0, 1),
        _ => return None,
    })
}

fn handle(signal: usize) -> Outcome {
    let mut ignore = [1usize, 0, 0, 0];
    call(13, [signal, at(&mut ignore), 0, 8, 0, 0])
}

fn option(level: usize, option: usize) -> Outcome {
    set_up(41, [2, 1, 0, 0, 0, 0]).and_then(|s| call(54, [s, level, option, at(&mut 1u32), 4, 0]))
}

/// Writes code to memory, makes it executable by `protect`, and runs it.
fn executable(protect: impl Fn(usize) -> Outcome) -> Outcome {
    let page = call(9, [0, 4096, 3, 0x22, usize::MAX, 0])?;
    let code = [0xb8, 42, 0, 0, 0, 0xc3];
    for (i, byte) in code.into_iter().enumerate() {
        // SAFETY: the page was just mapped for reading and writing.
        unsafe { ((page + i) as *mut u8).write_volatile(byte) };
    }
    protect(page)?;
    if execute(page) == 42 { Ok(0) } else { Err(0) }
}

/// Overwrites this function's own first byte.
fn write_to_text() -> Outcome {
    let code = write_to_text as *const () as usize;
    let _ = call(10, [code & !4095, 4096, 7, 0, 0, 0]);
    // SAFETY: where the page is not writable this faults, which is what is tried.
    unsafe {
        let byte = (code as *const u8).read_volatile();
        (code as *mut u8).write_volatile(byte);
    }
    Ok(0)
}

/// Takes a hundred megabytes by mappings with these flags.
fn bomb(flags: usize) -> Outcome {
    let piece = call(9, [0, 100 << 20, DATA, flags, usize::MAX, 0])?;
    for page in 0..(100 << 20) / 4096 {
        // SAFETY: the piece was just mapped for reading and writing.
        unsafe { ((piece + page * 4096) as *mut u8).write_volatile(1) };
    }
    Ok(0)
}

/// Takes a gigabyte, past every accounting of the library OS.
fn memory_bomb() -> Outcome {
    for _ in 0..1024 {
        let piece = call(9, [0, 1 << 20, 3, 0x22, usize::MAX, 0])?;
        for page in 0..256 {
            // SAFETY: the piece was just mapped for reading and writing.
            unsafe { ((piece + page * 4096) as *mut u8).write_volatile(1) };
        }
    }
    Ok(0)
}

/// struct mmsghdr of one byte to an address.
fn with_message(address: &mut [u8], send: impl FnOnce(usize) -> Outcome) -> Outcome {
    let mut byte = *b"\0x";
    let mut vector = [at(&mut byte), 2];
    let mut header = [address.as_mut_ptr() as usize, address.len(), at(&mut vector), 1, 0, 0, 0, 0];
    send(at(&mut header))
}

/// Sends a datagram to an address: outside by a socket made for it, inside by whatever was granted.
fn send_everywhere(family: usize, address: &mut [u8]) -> Outcome {
    with_message(address, |message| {
        if OUTSIDE {
            let socket = call(41, [family, 2, 0, 0, 0, 0])?;
            return call(307, [socket, message, 1, DONT_WAIT, 0, 0]);
        }
        let sent = (0..GUESSES).filter(|&d| call(307, [d, message, 1, DONT_WAIT, 0, 0]).is_ok()).count();
        // Sockets that ignore addresses take it, and whoever listens can tell.
        if sent > 0 { Ok(sent) } else { Err(9) }
    })
}

/// Connects a socket by sending with MSG_FASTOPEN, which needs no connect(2): outside on a socket of its own, inside
/// on whatever was granted.
fn fastopen() -> Outcome {
    // Port 9 of 127.0.0.1, where nobody listens.
    with_message(&mut address(9), |message| {
        let own = if OUTSIDE { Some(call(41, [2, 1, 0, 0, 0, 0])?) } else { None };
        let mut last = Err(9);
        for descriptor in own.map_or(0..GUESSES, |own| own..own + 1) {
            match call(307, [descriptor, message, 1, 0x2000_0000 | DONT_WAIT, 0, 0]) {
                // Refused by the peer, or on its way: it went out.
                Ok(_) | Err(111 | 115) => return Ok(0),
                Err(error) => last = Err(error),
            }
        }
        last
    })
}
