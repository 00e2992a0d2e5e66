//! setsockopt(2).

use super::table::{self, Range};
use super::{IPV6, NO_DELAY, SIX_ONLY, SOCKET, TCP, TIME_STAMP, TIME_STAMP_FINE, effect};
use crate::call::{Call, Outcome};
use crate::sockets::address::{INET, INET6};
use crate::sockets::socket;
use crate::sockets::socket::{Common, Socket};
use crate::thread::Thread;
use crate::{Errno, user};
use kernlet_time::Duration;

/// Those with forms of their own: SO_SNDBUF, SO_RCVBUF, SO_LINGER, SO_BSDCOMPAT, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_BINDTODEVICE,
/// SO_SNDBUFFORCE, SO_RCVBUFFORCE.
pub(super) const SEND_BUFFER: i32 = 7;
pub(super) const RECEIVE_BUFFER: i32 = 8;
pub(super) const LINGER: i32 = 13;
const BSD_COMPATIBLE: i32 = 14;
const LOW_WATER: i32 = 18;
pub(super) const TIMEOUTS: [[i32; 2]; 2] = [[20, 66], [21, 67]];
pub(super) const DEVICE: i32 = 25;
const BUFFERS_FORCED: [i32; 2] = [32, 33];
/// TCP_DEFER_ACCEPT, TCP_CONGESTION.
const DEFER_ACCEPT: i32 = 9;
pub(super) const CONGESTION: i32 = 13;
/// net.core.rmem_max, wmem_max, and the least of each.
const BUFFER_MOST: i32 = 212_992;
const BUFFER_LEAST: [i32; 2] = [4608, 2304];
/// What connections are controlled by here, and what else programs ask for.
pub(super) const CONTROLS: [&[u8]; 2] = [b"reno", b"cubic"];

/// setsockopt(2).
pub fn set(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    let (level, option, at) = (call.int(1), call.int(2), call.size(3));
    let length = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let common = &socket.common;
    match (level, option) {
        (SOCKET, LINGER) => set_linger(&socket, at, length)?,
        (SOCKET, _) if TIMEOUTS.iter().flatten().any(|o| *o == option) => {
            set_timeout(common, option, at, length)?;
        }
        (SOCKET, DEVICE) => return bind_to_device(at, length),
        (TCP, CONGESTION) if table::find(common, TCP, NO_DELAY).is_some() => {
            let mut name = [0; 16];
            let length = length.min(15);
            kernlet_platform::program::read(at, &mut name[..length])?;
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            let known = CONTROLS.iter().position(|c| *c == name).ok_or(Errno::ENOENT)?;
            common.options.store(TCP, CONGESTION, known as i32);
        }
        _ => set_number(&socket, level, option, at, length)?,
    }
    Ok(0)
}

fn set_number(socket: &Socket, level: i32, option: i32, at: usize, length: usize) -> Result<(), Errno> {
    let common = &socket.common;
    // A number of IP may be a byte (ip(7)).
    let value = match length {
        4.. => user::read_u32(at)? as i32,
        1.. if level == super::IP => user::read::<1>(at)?[0].into(),
        _ => return Err(Errno::EINVAL),
    };
    if level == SOCKET && (matches!(option, SEND_BUFFER | RECEIVE_BUFFER) || BUFFERS_FORCED.contains(&option))
    {
        let receives = option == RECEIVE_BUFFER || option == BUFFERS_FORCED[1];
        let option = if receives { RECEIVE_BUFFER } else { SEND_BUFFER };
        // Twice as much is told (socket(7)): half of it is for keeping accounts.
        let asked = if value < 0 { BUFFER_MOST } else { value.min(BUFFER_MOST) };
        let doubled = asked * 2;
        common.options.store(SOCKET, option, doubled.max(BUFFER_LEAST[usize::from(receives)]));
        effect::set(socket, SOCKET, option);
        return Ok(());
    }
    if level == SOCKET && option == BSD_COMPATIBLE {
        return Ok(());
    }
    let number = table::find(common, level, option).ok_or_else(|| unknown(common, level))?;
    let value = match number.range {
        Range::Switch => i32::from(value != 0),
        // What lowers a priority or a hop limit to what the system has.
        Range::Between(..)
            if value == -1 && matches!((level, option), (IPV6, 16 | 18 | 67) | (super::IP, 2)) =>
        {
            number.first
        }
        Range::Between(least, most) if (least..=most).contains(&value) => value,
        Range::Between(..) => return Err(Errno::EINVAL),
    };
    if (level, option) == (IPV6, SIX_ONLY) && is_bound(socket) {
        return Err(Errno::EINVAL);
    }
    let value = if (level, option) == (TCP, DEFER_ACCEPT) { deferred(value) } else { value };
    common.options.store(level, option, value);
    if level == SOCKET && matches!(option, TIME_STAMP | TIME_STAMP_FINE) && value != 0 {
        common.options.store(SOCKET, TIME_STAMP + TIME_STAMP_FINE - option, 0);
    }
    if (level, option) == (SOCKET, LOW_WATER) {
        // None is one, and a negative number is a very large one (net/core/sock.c).
        let least = if value < 0 { i32::MAX } else { value.max(1) };
        common.options.store(level, option, least);
        common.options.least.set(least as u32);
    }
    effect::set(socket, level, option);
    Ok(())
}

/// How many seconds TCP_DEFER_ACCEPT waits: as long as so many answers to a client take that ask again after 1 s, 2 s, 4 s and
/// so on up to 120 (secs_to_retrans and retrans_to_secs in net/ipv4/tcp.c).
fn deferred(seconds: i32) -> i32 {
    let (mut total, mut step) = (1, 1);
    if seconds <= 0 {
        return 0;
    }
    for _ in 1..255 {
        if total >= seconds {
            break;
        }
        step = (step * 2).min(120);
        total += step;
    }
    total
}

fn is_bound(socket: &Socket) -> bool {
    use crate::sockets::address::Address;
    matches!(socket.local(), Address::Ip(address) if address.port() != 0)
}

/// An option that there is not.
pub(super) fn unknown(common: &Common, level: i32) -> Errno {
    // UNIX and netlink sockets have no levels but their own.
    let levels = matches!(common.family, INET | INET6) || level == SOCKET;
    if levels { Errno::ENOPROTOOPT } else { Errno::EOPNOTSUPP }
}

fn set_linger(socket: &Socket, at: usize, length: usize) -> Result<(), Errno> {
    if length < 8 {
        return Err(Errno::EINVAL);
    }
    let on = user::read_u32(at)? != 0;
    let seconds = user::read_u32(at.wrapping_add(4))?;
    socket.common.options.linger.set(on.then_some(seconds));
    effect::set(socket, SOCKET, LINGER);
    Ok(())
}

fn set_timeout(common: &Common, option: i32, at: usize, length: usize) -> Result<(), Errno> {
    if length < 16 {
        return Err(Errno::EINVAL);
    }
    let [seconds, microseconds] = user::read_words(at)?;
    if microseconds >= 1_000_000 {
        return Err(Errno::EDOM);
    }
    // A negative time is none at all: what waits gives up at once (sock_set_timeout).
    let timeout = match i64::try_from(seconds) {
        Ok(seconds) => Duration::from_secs(seconds as u64) + Duration::from_micros(microseconds),
        Err(_) => Duration::from_nanos(1),
    };
    let mut timeouts = common.options.timeouts.get();
    timeouts[usize::from(TIMEOUTS[1].contains(&option))] = timeout;
    common.options.timeouts.set(timeouts);
    Ok(())
}

/// SO_BINDTODEVICE: to none, or to one that there is.
fn bind_to_device(at: usize, length: usize) -> Outcome {
    let mut name = [0; 16];
    let length = length.min(15);
    kernlet_platform::program::read(at, &mut name[..length])?;
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    if name.is_empty() { Ok(0) } else { Err(Errno::ENODEV) }
}
