//! Making, binding and connecting sockets (socket(2), bind(2), listen(2), accept(2), connect(2)).

use super::address::{self, Address, INET, INET6, NETLINK, UNIX};
use super::message::Identity;
use super::netlink::Netlink;
use super::socket;
use super::socket::{Common, DATAGRAM, PACKETS, RAW, STREAM, Socket, Speech};
use super::tcp::Tcp;
use super::transfer::interrupted;
use super::udp::Udp;
use super::unix::{self, Unix};
use crate::call::{Call, Outcome};
use crate::files::Kind;
use crate::thread::Thread;
use crate::wait::{Deadline, registered};
use crate::{Errno, user};
use alloc::rc::Rc;
use core::task::Poll;
use kernlet_net::{Shutdown, SocketAddr};

/// SOCK_NONBLOCK, SOCK_CLOEXEC.
const NON_BLOCKING: u32 = 0o4000;
const CLOSE_ON_EXEC: u32 = 0o2000000;
/// What of a type is the type.
const TYPE: u32 = 0xf;
/// IPPROTO_TCP, IPPROTO_UDP, NETLINK_ROUTE.
const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;
const ROUTE: u32 = 0;

/// A type with its flags.
fn kind(word: u32) -> Result<(u32, u32), Errno> {
    let (kind, flags) = (word & TYPE, word & !TYPE);
    if flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 { Err(Errno::EINVAL) } else { Ok((kind, flags)) }
}

fn register(thread: &Thread, common: Common, speech: Speech, flags: u32) -> Outcome {
    let socket = Rc::new(Socket { common, speech });
    registered(thread, Kind::Socket(socket), 2 | flags & NON_BLOCKING, flags & CLOSE_ON_EXEC != 0)
}

/// Who the calling process is.
fn identity(thread: &Thread) -> Identity {
    Identity::of(thread.process.id, &thread.process.credentials.borrow())
}

/// socket(2).
pub fn create(thread: &Thread, call: Call) -> Outcome {
    let (kind, flags) = kind(call.word(1))?;
    let protocol = call.word(2);
    let family = u16::try_from(call.word(0)).map_err(|_| Errno::EAFNOSUPPORT)?;
    let (speech, protocol) = match (family, kind, protocol) {
        (INET | INET6, STREAM, 0 | PROTOCOL_TCP) => (Speech::Tcp(Tcp::new()), PROTOCOL_TCP),
        (INET | INET6, DATAGRAM, 0 | PROTOCOL_UDP) => (Speech::Udp(Udp::new()), PROTOCOL_UDP),
        (INET | INET6, RAW, _) => return Err(Errno::EPERM),
        (INET | INET6, STREAM | DATAGRAM, _) => return Err(Errno::EPROTONOSUPPORT),
        (INET | INET6, ..) => return Err(Errno::ESOCKTNOSUPPORT),
        (UNIX, STREAM | DATAGRAM | RAW | PACKETS, 0 | 1) => {
            (Speech::Unix(Unix::new(unix_kind(kind), identity(thread))), 0)
        }
        (UNIX, STREAM | DATAGRAM | RAW | PACKETS, _) => return Err(Errno::EPROTONOSUPPORT),
        (UNIX, ..) => return Err(Errno::ESOCKTNOSUPPORT),
        (NETLINK, DATAGRAM | RAW, ROUTE) => (Speech::Netlink(Netlink::new(thread.process.id)), ROUTE),
        (NETLINK, DATAGRAM | RAW, _) => return Err(Errno::EPROTONOSUPPORT),
        (NETLINK, ..) => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    register(thread, Common::new(family, kind, protocol), speech, flags)
}

/// A raw UNIX socket is one for datagrams (unix_create in net/unix/af_unix.c).
fn unix_kind(kind: u32) -> u32 {
    if kind == RAW { DATAGRAM } else { kind }
}

/// socketpair(2).
pub fn pair(thread: &Thread, call: Call) -> Outcome {
    let (kind, flags) = kind(call.word(1))?;
    match (call.word(0), kind, call.word(2)) {
        (family, ..) if family != u32::from(UNIX) => {
            return Err(if matches!(family, 2 | 10) { Errno::EOPNOTSUPP } else { Errno::EAFNOSUPPORT });
        }
        (_, STREAM | DATAGRAM | RAW | PACKETS, 0 | 1) => {}
        (_, STREAM | DATAGRAM | RAW | PACKETS, _) => return Err(Errno::EPROTONOSUPPORT),
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    }
    let kind = unix_kind(kind);
    let (one, other) = Unix::pair(kind, identity(thread));
    let descriptor = |unix| register(thread, Common::new(UNIX, kind, 0), Speech::Unix(unix), flags);
    let one = descriptor(one)?;
    let close = |descriptor: u64| drop(thread.process.files.table.borrow_mut().close(descriptor as i32));
    let other = descriptor(other).inspect_err(|_| close(one))?;
    let bytes = [one as u32, other as u32].map(u32::to_le_bytes).concat();
    user::write(call.size(3), &bytes).inspect_err(|_| {
        close(one);
        close(other);
    })?;
    Ok(0)
}

/// bind(2).
pub async fn bind(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    let address = address::read(call.size(1), call.size(2))?;
    let common = &socket.common;
    match (&socket.speech, address) {
        (Speech::Unix(unix), Address::Unix(name)) => unix.bind(thread, name).await?,
        (Speech::Unix(_), _) => return Err(Errno::EINVAL),
        (Speech::Netlink(netlink), Address::Netlink(port, _)) => netlink.bind(port)?,
        (Speech::Netlink(_), _) => return Err(Errno::EINVAL),
        // AF_UNSPEC with any address counts as AF_INET (__inet_bind in net/ipv4/af_inet.c).
        (Speech::Tcp(_) | Speech::Udp(_), Address::None) if common.family == INET => {
            bind_ip(&socket, common.any())?;
        }
        (Speech::Tcp(_) | Speech::Udp(_), Address::Ip(address)) => {
            if address.is_ipv4() != (common.family == INET) {
                let error = if common.family == INET { Errno::EAFNOSUPPORT } else { Errno::EINVAL };
                return Err(error);
            }
            bind_ip(&socket, address)?;
        }
        (Speech::Tcp(_) | Speech::Udp(_), _) => return Err(Errno::EAFNOSUPPORT),
    }
    Ok(0)
}

fn bind_ip(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    match &socket.speech {
        Speech::Tcp(tcp) => tcp.bind(&socket.common, address),
        Speech::Udp(udp) => udp.bind(&socket.common, address),
        Speech::Unix(_) | Speech::Netlink(_) => Err(Errno::EINVAL),
    }
}

/// listen(2).
pub fn listen(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    match &socket.speech {
        Speech::Tcp(tcp) => tcp.listen(&socket.common, call.int(1))?,
        Speech::Unix(unix) if socket.common.kind != DATAGRAM => unix.listen(call.int(1))?,
        _ => return Err(Errno::EOPNOTSUPP),
    }
    socket.watchers().notify(crate::wait::Events::IN);
    Ok(0)
}

/// accept(2), accept4(2).
pub async fn accept(thread: &Rc<Thread>, call: Call, flags: u32) -> Outcome {
    if flags & !(NON_BLOCKING | CLOSE_ON_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let (file, socket) = socket(thread, call.int(0))?;
    let attempt = || -> Poll<Result<Speech, Errno>> {
        match &socket.speech {
            Speech::Tcp(tcp) => tcp.poll_accept(&socket.common).map_ok(Speech::Tcp),
            Speech::Unix(unix) if socket.common.kind != DATAGRAM => unix.poll_accept().map_ok(Speech::Unix),
            _ => Poll::Ready(Err(Errno::EOPNOTSUPP)),
        }
    };
    let speech = match attempt() {
        Poll::Ready(accepted) => accepted?,
        Poll::Pending if file.non_blocking() => return Err(Errno::EAGAIN),
        Poll::Pending => {
            let limit = socket.common.options.receive_timeout();
            let mut accepted = Poll::Pending;
            let mut ready = || {
                accepted = attempt();
                accepted.is_ready()
            };
            limit.ready(thread, socket.watchers(), &mut ready).await.map_err(interrupted(limit))?;
            match accepted {
                Poll::Ready(accepted) => accepted?,
                Poll::Pending => return Err(Errno::EAGAIN),
            }
        }
    };
    let old = &socket.common;
    let mut common = Common::new(old.family, old.kind, old.protocol);
    common.options = old.options.inherit();
    if let Speech::Tcp(tcp) = &speech {
        common.options.each(|level, name, value| tcp.set_option(level, name, value));
        common.options.keep_alive(tcp);
    }
    let accepted = Rc::new(Socket { common, speech });
    if call.size(1) != 0 {
        accepted.peer().unwrap_or(Address::None).write(call.size(1), call.size(2))?;
    }
    registered(thread, Kind::Socket(accepted), 2 | flags & NON_BLOCKING, flags & CLOSE_ON_EXEC != 0)
}

/// connect(2).
pub async fn connect(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (file, socket) = socket(thread, call.int(0))?;
    let address = address::read(call.size(1), call.size(2))?;
    let common = &socket.common;
    let waits = !file.non_blocking();
    match (&socket.speech, address) {
        (Speech::Tcp(tcp), Address::None) => tcp.disconnect(common),
        (Speech::Udp(udp), Address::None) => udp.disconnect(common)?,
        (Speech::Tcp(tcp), address) => {
            let to = common.ip(&address)?;
            tcp.connect(thread, &socket, to, waits).await?;
        }
        (Speech::Udp(udp), address) => udp.connect(common, common.ip(&address)?)?,
        (Speech::Unix(unix), Address::None) => unix.disconnect(),
        (Speech::Unix(unix), Address::Unix(name)) => {
            let limit = if waits { common.options.send_timeout() } else { Deadline::Now };
            unix::connect(thread, unix, &name, limit).await?;
        }
        (Speech::Unix(_), _) => return Err(Errno::EINVAL),
        (Speech::Netlink(_), Address::Netlink(..) | Address::None) => {}
        (Speech::Netlink(_), _) => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// shutdown(2).
pub fn shutdown(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    let how = match call.int(1) {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    socket.shutdown(how).map(|()| 0)
}

/// getsockname(2).
pub fn local_name(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    socket.local().write(call.size(1), call.size(2)).map(|()| 0)
}

/// getpeername(2).
pub fn peer_name(thread: &Thread, call: Call) -> Outcome {
    let (_, socket) = socket(thread, call.int(0))?;
    socket.peer()?.write(call.size(1), call.size(2)).map(|()| 0)
}
