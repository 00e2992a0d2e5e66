//! The attacks.

use crate::call::{call, call32, execute};

type Outcome = Result<usize, i32>;

fn text(path: &'static core::ffi::CStr) -> usize {
    path.as_ptr() as usize
}

/// Runs the attack of that name.
pub fn run(name: &str) -> Option<Outcome> {
    let at_cwd = -100isize as usize;
    Some(match name {
        "open" => call(2, [text(c"/etc/passwd"), 0, 0, 0, 0, 0]),
        "openat" => call(257, [at_cwd, text(c"/etc/passwd"), 0, 0, 0, 0]),
        "openat2" => {
            let how = [0u64; 3];
            call(437, [at_cwd, text(c"/etc/passwd"), how.as_ptr() as usize, 24, 0, 0])
        }
        "socket" => call(41, [2, 1, 0, 0, 0, 0]),
        "socketpair" => {
            let mut pair = [0i32; 2];
            call(53, [1, 1, 0, pair.as_mut_ptr() as usize, 0, 0])
        }
        "execve" => {
            let arguments = [text(c"/bin/true"), 0];
            call(59, [text(c"/bin/true"), arguments.as_ptr() as usize, 0, 0, 0, 0])
        }
        "fork" => fork(57, [0; 6]),
        "vfork-by-clone" => fork(56, [17, 0, 0, 0, 0, 0]),
        "clone3" => {
            let mut arguments = [0u64; 8];
            arguments[4] = 17;
            fork(435, [arguments.as_ptr() as usize, 64, 0, 0, 0, 0])
        }
        // PTRACE_TRACEME.
        "ptrace" => call(101, [0; 6]),
        "process_vm_readv" => {
            let mut byte = 0u8;
            let own = [&raw mut byte as usize, 1];
            let pid = call(110, [0; 6]).unwrap_or(1);
            let pid = if pid == 0 { 1 } else { pid };
            let other = [own[0], 1];
            match call(310, [pid, own.as_ptr() as usize, 1, other.as_ptr() as usize, 1, 0]) {
                // The address means nothing in the other process: the call itself was let through.
                Err(14) => Ok(0),
                other => other,
            }
        }
        "kill" => call(62, [call(110, [0; 6]).unwrap_or(1), 0, 0, 0, 0, 0]),
        "mount" => call(165, [text(c"none"), text(c"/mnt"), text(c"tmpfs"), 0, 0, 0]),
        "umount" => call(166, [text(c"/nowhere"), 0, 0, 0, 0, 0]).or_else(permitted),
        "io_uring_setup" => {
            let mut parameters = [0u64; 15];
            call(425, [4, parameters.as_mut_ptr() as usize, 0, 0, 0, 0])
        }
        "memfd_create" => call(319, [text(c"x"), 0, 0, 0, 0, 0]),
        "unshare" => call(272, [0x1000_0000, 0, 0, 0, 0, 0]),
        "getpid-x32" => call(0x4000_0027, [0; 6]).or_else(absent),
        "getpid-int80" => call32(20, 0),
        "mprotect-exec" => executable(|page| call(10, [page, 4096, 5, 0, 0, 0])),
        "mmap-exec" => call(9, [0, 4096, 7, 0x22, usize::MAX, 0]),
        "write-to-text" => write_to_text(),
        "memory-bomb" => memory_bomb(),
        "connect-by-fastopen" => fastopen(),
        "guessed-descriptors" => guessed_descriptors(),
        _ => return None,
    })
}

/// A call that failed for another reason than a missing permission was let through.
fn permitted(error: i32) -> Outcome {
    if matches!(error, 1 | 13) { Err(error) } else { Ok(0) }
}

/// A kernel without the x32 interface answers ENOSYS: it ran the call, and has none.
fn absent(error: i32) -> Outcome {
    if error == 38 { Ok(0) } else { Err(error) }
}

/// Makes a process and lets it end at once.
fn fork(number: usize, arguments: [usize; 6]) -> Outcome {
    let child = call(number, arguments)?;
    if child == 0 {
        let _ = call(231, [0; 6]);
    }
    Ok(child)
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

/// Connects a socket by sending with MSG_FASTOPEN, which needs no connect(2): outside on a socket of its own, inside
/// on whatever was granted.
fn fastopen() -> Outcome {
    let mut address = [0u8; 16];
    address[0] = 2;
    // Port 9 of 127.0.0.1, where nobody listens.
    address[2..8].copy_from_slice(&[0, 9, 127, 0, 0, 1]);
    let data = [0u8; 1];
    let vector = [data.as_ptr() as usize, 1];
    let mut header = [address.as_ptr() as usize, 16, vector.as_ptr() as usize, 1, 0, 0, 0, 0];
    let own = if cfg!(kernlet_image) { None } else { call(41, [2, 1, 0, 0, 0, 0]).ok() };
    let mut last = Err(9);
    for descriptor in own.map_or(0..64, |own| own..own + 1) {
        let _ = cfg!(kernlet_image) && call(48, [descriptor, 2, 0, 0, 0, 0]).is_ok();
        let sent = call(307, [descriptor, header.as_mut_ptr() as usize, 1, 0x2000_0040, 0, 0]);
        match sent {
            // Refused by the peer, or on its way: it went out.
            Ok(_) | Err(111 | 115) => return Ok(0),
            Err(error) => last = Err(error),
        }
    }
    last
}

/// Reads from every descriptor that was not granted: all of them must be closed.
fn guessed_descriptors() -> Outcome {
    let mut stat = [0u64; 18];
    let open = (0..1024).filter(|&d| call(5, [d, stat.as_mut_ptr() as usize, 0, 0, 0, 0]).is_ok()).count();
    // Standard streams, control, epoll, and a broker.
    if open > 6 { Ok(open) } else { Err(9) }
}
