//! Making descriptors, and using granted ones in other ways.

use super::{OUTSIDE, Outcome, at, file, own, set_up, text};
use crate::call::call;

const FCNTL: usize = 72;
const IOCTL: usize = 16;

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    Some(match name {
        "dup" => call(32, [0; 6]),
        "dup2" => call(33, [0, 1000, 0, 0, 0, 0]),
        "pipe2" => call(293, [at(&mut [0u32; 2]), 0, 0, 0, 0, 0]),
        "eventfd" => call(290, [0; 6]),
        "timerfd_create" => call(283, [1, 0, 0, 0, 0, 0]),
        "signalfd" => call(289, [usize::MAX, at(&mut 0u64), 8, 0, 0, 0]),
        "epoll_create" => call(291, [0; 6]),
        // F_DUPFD, F_SETOWN, F_SETSIG, F_SETFL O_ASYNC, F_SETLEASE, F_SETLK, F_SETPIPE_SZ.
        "fcntl-duplicate" => call(FCNTL, [0, 0, 0, 0, 0, 0]),
        "fcntl-owner" => socket().and_then(|d| call(FCNTL, [d, 8, own()?, 0, 0, 0])),
        "fcntl-signal" => socket().and_then(|d| call(FCNTL, [d, 10, 9, 0, 0, 0])),
        "fcntl-async" => socket().and_then(|d| call(FCNTL, [d, 4, 0o20000, 0, 0, 0])),
        "fcntl-lease" => file().and_then(|d| {
            // F_RDLCK needs a descriptor that is for reading only.
            let _ = d;
            let read = set_up(2, [text(c"victim"), 0, 0, 0, 0, 0])?;
            let _ = set_up(3, [d, 0, 0, 0, 0, 0]);
            call(FCNTL, [read, 1024, 0, 0, 0, 0])
        }),
        "fcntl-lock" => file().and_then(|d| call(FCNTL, [d, 6, at(&mut [1u64, 0, 0, 0]), 0, 0, 0])),
        "fcntl-pipe-size" => {
            let mut pair = [0u32; 2];
            set_up(293, [at(&mut pair), 0, 0, 0, 0, 0])
                .and_then(|_| call(FCNTL, [pair[0] as usize, 1031, 65536, 0, 0, 0]))
        }
        // TIOCSTI: types a character into a terminal.
        "tiocsti" => terminal().and_then(|t| call(IOCTL, [t, 0x5412, text(c"x"), 0, 0, 0])),
        // TIOCSCTTY: takes a terminal over. (FIONREAD shows outside that the call itself passes.)
        "ioctl" => socket().and_then(|d| call(IOCTL, [d, 0x541b, at(&mut 0u32), 0, 0, 0])),
        // SIOCGIFCONF: the interfaces of the host.
        "ioctl-interfaces" => socket().and_then(|d| call(IOCTL, [d, 0x8912, at(&mut [0u64; 2]), 0, 0, 0])),
        "flock" => file().and_then(|d| call(73, [d, 2, 0, 0, 0, 0])),
        "fchmod" => file().and_then(|d| call(91, [d, 0o4755, 0, 0, 0, 0])),
        "fchdir" => set_up(2, [text(c"/"), 0, 0, 0, 0, 0]).and_then(|d| call(81, [d, 0, 0, 0, 0, 0])),
        "fallocate" => file().and_then(|d| call(285, [d, 0, 0, 4096, 0, 0])),
        "fsync" => file().and_then(|d| call(74, [d, 0, 0, 0, 0, 0])),
        "sendfile" => file().and_then(|d| call(40, [d, d, 0, 0, 0, 0])),
        "guessed-descriptors" => guessed(),
        _ => return None,
    })
}

fn socket() -> Outcome {
    set_up(41, [2, 2, 0, 0, 0, 0])
}

/// The other side of a new pseudo-terminal, outside: TIOCSPTLCK, TIOCGPTPEER.
fn terminal() -> Outcome {
    let master = set_up(2, [text(c"/dev/ptmx"), 0o402, 0, 0, 0, 0])?;
    set_up(IOCTL, [master, 0x4004_5431, at(&mut 0u32), 0, 0, 0])?;
    set_up(IOCTL, [master, 0x5441, 0o402, 0, 0, 0])
}

/// Looks for open descriptors that were not granted. Outside there is one at once: this makes it.
fn guessed() -> Outcome {
    if OUTSIDE {
        call(33, [0, 1000, 0, 0, 0, 0])?;
    }
    let mut stat = [0u64; 18];
    let open = (0..70_000).filter(|&d| call(5, [d, at(&mut stat), 0, 0, 0, 0]).is_ok()).count();
    let beyond = (64..70_000).any(|d| call(5, [d, at(&mut stat), 0, 0, 0, 0]).is_ok());
    // Standard streams, control, epoll, and a broker.
    if open > 6 || beyond { Ok(open) } else { Err(9) }
}
