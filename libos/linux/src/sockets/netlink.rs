//! Netlink for routes (rtnetlink(7)), as far as getifaddrs(3) and getaddrinfo(3) ask: which interfaces and addresses there are.

use super::address::Address;
use super::message::Received;
use crate::Errno;
use crate::user::Buffers;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::Poll;
use kernlet_net::{Interface, IpAddr, Memory, interfaces, ready};
use kernlet_platform::cell::RefCell;

/// Bytes of a `struct nlmsghdr`.
const HEADER: usize = 16;
/// The longest request that is looked at.
const REQUEST_MOST: usize = 4096;

/// NLMSG_ERROR, NLMSG_DONE, RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// NLM_F_MULTI, NLM_F_DUMP.
const MULTI: u16 = 2;
const DUMP: u16 = 0x300;

/// IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_RUNNING, IFF_MULTICAST, IFF_LOWER_UP.
const LOOPBACK_FLAGS: u32 = 0x1 | 0x8 | 0x40 | 0x1_0000;
const ETHERNET_FLAGS: u32 = 0x1 | 0x2 | 0x40 | 0x1000 | 0x1_0000;
/// ARPHRD_LOOPBACK, ARPHRD_ETHER.
const LOOPBACK_KIND: u16 = 772;
const ETHERNET_KIND: u16 = 1;
/// IFA_F_PERMANENT.
const PERMANENT: u8 = 0x80;
/// RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST.
const EVERYWHERE: u8 = 0;
const LINK: u8 = 253;
const HOST: u8 = 254;

/// A netlink socket.
pub struct Netlink {
    process: u32,
    port: Cell<u32>,
    replies: RefCell<VecDeque<Vec<u8>>>,
}

impl Netlink {
    /// A new socket of a process.
    pub fn new(process: u32) -> Self {
        Self { process, port: Cell::new(0), replies: RefCell::default() }
    }

    /// bind(2).
    ///
    /// # Errors
    /// EINVAL when it is bound to another port.
    pub fn bind(&self, port: u32) -> Result<(), Errno> {
        let wanted = if port == 0 { self.process } else { port };
        if self.port.get() != 0 && self.port.get() != wanted {
            return Err(Errno::EINVAL);
        }
        self.port.set(wanted);
        Ok(())
    }

    /// Has something that is received next.
    pub fn put(&self, bytes: Vec<u8>) {
        self.replies.borrow_mut().push_back(bytes);
    }

    /// Its own address.
    pub fn local(&self) -> Address {
        Address::Netlink(self.port.get(), 0)
    }

    /// See [`super::Socket::readiness`].
    pub fn readiness(&self) -> u32 {
        ready::OUT | ready::when(ready::IN, self.available() > 0)
    }

    /// See [`super::Socket::available`].
    pub fn available(&self) -> usize {
        self.replies.borrow().front().map_or(0, Vec::len)
    }

    /// See [`super::Socket::poll_receive`].
    pub fn poll_receive(&self, to: &mut Buffers, peek: bool) -> Poll<Result<Received, Errno>> {
        let mut replies = self.replies.borrow_mut();
        let Some(reply) = replies.front() else { return Poll::Pending };
        let length = to.fill_whole(reply)?;
        let from = Some(Address::Netlink(0, 0));
        let received = Received { length, whole: reply.len(), from, ..Received::default() };
        if !peek {
            replies.pop_front();
        }
        Poll::Ready(Ok(received))
    }

    /// Takes requests in and has the replies ready.
    ///
    /// # Errors
    /// EFAULT; EMSGSIZE.
    pub fn send(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
        let length = from.remaining();
        if length > REQUEST_MOST {
            return Err(Errno::EMSGSIZE);
        }
        self.bind(self.port.get())?;
        let mut bytes = alloc::vec![0; length];
        if from.take(&mut bytes)? < length {
            return Err(Errno::EFAULT);
        }
        let mut rest = &bytes[..];
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let long = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
            if long < HEADER || long > rest.len() {
                break;
            }
            self.answer(header, &rest[HEADER..long]);
            rest = rest.get(long.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(length)
    }

    fn answer(&self, header: &[u8; HEADER], body: &[u8]) {
        let kind = u16::from_le_bytes([header[4], header[5]]);
        let flags = u16::from_le_bytes([header[6], header[7]]);
        let mut reply = Reply {
            bytes: Vec::new(),
            sequence: [header[8], header[9], header[10], header[11]],
            port: self.port.get(),
        };
        let family = body.first().copied().unwrap_or(0);
        match kind {
            _ if flags & DUMP == 0 => reply.refuse(header, Errno::EOPNOTSUPP),
            GET_LINK => numbered().for_each(|(index, one)| reply.link(index, &one)),
            GET_ADDRESS => numbered().for_each(|(index, one)| reply.addresses(index, &one, family)),
            GET_ROUTE => numbered().for_each(|(index, one)| reply.routes(index, &one, family)),
            _ => reply.refuse(header, Errno::EOPNOTSUPP),
        }
        if flags & DUMP != 0 && matches!(kind, GET_LINK | GET_ADDRESS | GET_ROUTE) {
            reply.message(DONE, MULTI, &[0; 4], &[]);
        }
        self.replies.borrow_mut().push_back(reply.bytes);
    }
}

/// The interfaces with their numbers.
pub fn numbered() -> impl Iterator<Item = (u32, Interface)> {
    (1..).zip(interfaces())
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// AF_INET or AF_INET6.
fn family_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 2 } else { 10 }
}

struct Reply {
    bytes: Vec<u8>,
    sequence: [u8; 4],
    port: u32,
}

impl Reply {
    /// Adds a message with attributes (a number and bytes each).
    fn message(&mut self, kind: u16, flags: u16, body: &[u8], attributes: &[(u16, &[u8])]) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(flags.to_le_bytes());
        self.bytes.extend(self.sequence);
        self.bytes.extend(self.port.to_le_bytes());
        self.bytes.extend(body);
        for (number, value) in attributes {
            self.pad();
            self.bytes.extend((value.len() as u16 + 4).to_le_bytes());
            self.bytes.extend(number.to_le_bytes());
            self.bytes.extend(*value);
        }
        // The message's length has the last attribute's padding in it, as nla_put (lib/nlattr.c) leaves it: Go's reader
        // steps over that.
        self.pad();
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn refuse(&mut self, request: &[u8; HEADER], error: Errno) {
        let body = [&(-error.0).to_le_bytes()[..], request].concat();
        self.message(ERROR, 0, &body, &[]);
    }

    /// RTM_NEWLINK: `struct ifinfomsg`, IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU.
    fn link(&mut self, index: u32, one: &Interface) {
        let (kind, flags) = match one.mac {
            Some(_) => (ETHERNET_KIND, ETHERNET_FLAGS),
            None => (LOOPBACK_KIND, LOOPBACK_FLAGS),
        };
        let kind = kind.to_le_bytes();
        let body =
            [&[0, 0, kind[0], kind[1]][..], &index.to_le_bytes(), &flags.to_le_bytes(), &[0; 4]].concat();
        let broadcast = if one.mac.is_some() { [0xff; 6] } else { [0; 6] };
        let name = [one.name.as_bytes(), &[0]].concat();
        let mtu = (one.mtu as u32).to_le_bytes();
        let attributes: [(u16, &[u8]); 4] =
            [(1, &one.mac.unwrap_or_default()), (2, &broadcast), (3, &name), (4, &mtu)];
        self.message(NEW_LINK, MULTI, &body, &attributes);
    }

    /// RTM_NEWADDR: `struct ifaddrmsg`, IFA_ADDRESS, IFA_LOCAL (IPv4), IFA_LABEL (IPv4).
    fn addresses(&mut self, index: u32, one: &Interface, family: u8) {
        for (ip, prefix) in &one.addresses {
            if family != 0 && family != family_of(*ip) {
                continue;
            }
            let scope = match ip {
                _ if ip.is_loopback() => HOST,
                IpAddr::V6(v6) if v6.is_unicast_link_local() => LINK,
                _ => EVERYWHERE,
            };
            let body = [&[family_of(*ip), *prefix, PERMANENT, scope][..], &index.to_le_bytes()].concat();
            let (address, name) = (octets(*ip), [one.name.as_bytes(), &[0]].concat());
            let attributes: [(u16, &[u8]); 3] = [(1, &address), (2, &address), (3, &name)];
            let count = if ip.is_ipv4() { 3 } else { 1 };
            self.message(NEW_ADDRESS, MULTI, &body, &attributes[..count]);
        }
    }

    /// RTM_NEWROUTE: `struct rtmsg`, RTA_OIF, RTA_GATEWAY, of the default routes.
    fn routes(&mut self, index: u32, one: &Interface, family: u8) {
        for router in one.routers.iter().filter(|r| family == 0 || family == family_of(**r)) {
            // RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST.
            let body = [family_of(*router), 0, 0, 0, 254, 3, EVERYWHERE, 1, 0, 0, 0, 0];
            let (index, address) = (index.to_le_bytes(), octets(*router));
            self.message(NEW_ROUTE, MULTI, &body, &[(4, &index), (5, &address)]);
        }
    }
}
