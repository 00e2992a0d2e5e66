//! getsockopt(2).

use super::set::{CONGESTION, CONTROLS, DEVICE, LINGER, RECEIVE_BUFFER, SEND_BUFFER, TIMEOUTS, unknown};
use super::{NO_DELAY, SOCKET, TCP, table};
use crate::call::{Call, Outcome};
use crate::sockets::message::Identity;
use crate::sockets::socket;
use crate::sockets::socket::{Socket, Speech};
use crate::thread::Thread;
use crate::{Errno, user};

/// Those that are only told: SO_TYPE, SO_ERROR, SO_PEERCRED, SO_SNDLOWAT, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN.
const TYPE: i32 = 3;
const ERROR: i32 = 4;
const PEER_IDENTITY: i32 = 17;
const SEND_LOW: i32 = 19;
const LISTENS: i32 = 30;
const PROTOCOL: i32 = 38;
const FAMILY: i32 = 39;
/// TCP_INFO.
const INFO: i32 = 11;
/// The most bytes that an option has: those of a `struct tcp_info`.
const MOST: usize = 256;
/// What buffers hold at first (net.core.rmem_default; net.ipv4.tcp_rmem, tcp_wmem).
const BUFFER: i32 = 212_992;
const TCP_BUFFERS: [i32; 2] = [131_072, 16_384];

/// getsockopt(2).
pub fn get(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    let (level, option, at, length_at) = (call.int(1), call.int(2), call.size(3), call.size(4));
    let room = usize::try_from(user::read_u32(length_at)? as i32).map_err(|_| Errno::EINVAL)?;
    let mut bytes = [0; MOST];
    let length = value(&socket, level, option, &mut bytes)?.min(room);
    user::write(at, &bytes[..length])?;
    user::write(length_at, &(length as u32).to_le_bytes())?;
    Ok(0)
}

/// Puts the option's value into `bytes`; tells its length.
fn value(socket: &Socket, level: i32, option: i32, bytes: &mut [u8; MOST]) -> Result<usize, Errno> {
    let common = &socket.common;
    let options = &common.options;
    let mut put = |parts: &[&[u8]]| {
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(at)
    };
    let number = match (level, option) {
        (SOCKET, TYPE) => common.kind as i32,
        (SOCKET, ERROR) => socket.take_error().map_or(0, |error| error.0),
        (SOCKET, SEND_LOW) => 1,
        (SOCKET, LISTENS) => socket.listens().into(),
        (SOCKET, PROTOCOL) => common.protocol as i32,
        (SOCKET, FAMILY) => common.family.into(),
        (SOCKET, SEND_BUFFER | RECEIVE_BUFFER) => {
            let tcp = matches!(socket.speech, Speech::Tcp(_));
            let first = if tcp { TCP_BUFFERS[usize::from(option == SEND_BUFFER)] } else { BUFFER };
            options.number(level, option).unwrap_or(first)
        }
        (SOCKET, LINGER) => {
            let linger = options.linger.get();
            return put(&[&u32::from(linger.is_some()).to_le_bytes(), &linger.unwrap_or(0).to_le_bytes()]);
        }
        (SOCKET, _) if TIMEOUTS.iter().flatten().any(|o| *o == option) => {
            let timeout = options.timeouts.get()[usize::from(TIMEOUTS[1].contains(&option))];
            let microseconds = u64::from(timeout.subsec_micros());
            return put(&[&timeout.as_secs().to_le_bytes(), &microseconds.to_le_bytes()]);
        }
        (SOCKET, DEVICE) => return Ok(0),
        (SOCKET, PEER_IDENTITY) => {
            let nobody = Identity { process: 0, user: u32::MAX, group: u32::MAX };
            let identity = match &socket.speech {
                Speech::Unix(unix) => unix.peer_identity(),
                _ => None,
            };
            return put(&[&identity.unwrap_or(nobody).bytes()]);
        }
        (TCP, INFO) => {
            let Speech::Tcp(tcp) = &socket.speech else { return Err(Errno::ENOPROTOOPT) };
            return Ok(tcp.information(common, bytes));
        }
        (TCP, CONGESTION) if table::find(common, TCP, NO_DELAY).is_some() => {
            let chosen = options.number(TCP, CONGESTION).unwrap_or(1) as usize;
            // The name fills 16 bytes (TCP_CA_NAME_MAX).
            put(&[CONTROLS.get(chosen).copied().unwrap_or_default()])?;
            return Ok(16);
        }
        _ => {
            let number = table::find(common, level, option).ok_or_else(|| unknown(common, level))?;
            options.number(level, option).unwrap_or(number.first)
        }
    };
    put(&[&number.to_le_bytes()])
}
