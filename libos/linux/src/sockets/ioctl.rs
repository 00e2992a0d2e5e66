//! ioctl(2) of sockets: how much is there, and the interfaces (netdevice(7)).

use super::address::Address;
use super::netlink::numbered;
use super::socket::Socket;
use crate::call::Outcome;
use crate::{Errno, user};
use kernlet_net::{Interface, IpAddr, SocketAddr};

/// FIONREAD (SIOCINQ), SIOCOUTQ, SIOCATMARK.
const AVAILABLE: u32 = 0x541b;
const UNSENT: u32 = 0x5411;
const AT_MARK: u32 = 0x8905;
/// SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFHWADDR,
/// SIOCGIFINDEX.
const NAME: u32 = 0x8910;
const ALL: u32 = 0x8912;
const FLAGS: u32 = 0x8913;
const ADDRESS: u32 = 0x8915;
const BROADCAST: u32 = 0x8919;
const MASK: u32 = 0x891b;
const MTU: u32 = 0x8921;
const HARDWARE: u32 = 0x8927;
const INDEX: u32 = 0x8933;
/// Bytes of a `struct ifreq`, and of the name in it.
const REQUEST: usize = 40;
const NAME_SIZE: usize = 16;

/// Handles an ioctl of a socket that every description does not have (FIONBIO and so on).
///
/// # Errors
/// ENOTTY for what it does not know; EFAULT; ENODEV, EADDRNOTAVAIL.
pub fn control(socket: &Socket, request: u32, at: usize) -> Outcome {
    match request {
        AVAILABLE => tell(at, socket.available()?),
        UNSENT => tell(at, socket.unsent()),
        AT_MARK => tell(at, 0),
        ALL => list(at),
        NAME | FLAGS | ADDRESS | BROADCAST | MASK | MTU | HARDWARE | INDEX => one(request, at),
        _ => Err(Errno::ENOTTY),
    }
}

fn tell(at: usize, number: usize) -> Outcome {
    user::write(at, &(number.min(i32::MAX as usize) as u32).to_le_bytes())?;
    Ok(0)
}

fn name(one: &Interface) -> [u8; NAME_SIZE] {
    let mut name = [0; NAME_SIZE];
    name[..one.name.len()].copy_from_slice(one.name.as_bytes());
    name
}

fn four(one: &Interface) -> Option<(IpAddr, u8)> {
    one.addresses.iter().find(|(ip, _)| ip.is_ipv4()).copied()
}

fn encoded(ip: IpAddr) -> [u8; 16] {
    let (bytes, _) = Address::Ip(SocketAddr::new(ip, 0)).encode();
    bytes.first_chunk().copied().unwrap_or_default()
}

/// SIOCGIFCONF: the interfaces that have an IPv4 address.
fn list(at: usize) -> Outcome {
    let length = user::read_u32(at)? as i32;
    let to = user::read_u64(at.wrapping_add(8))? as usize;
    let room = usize::try_from(length).map_err(|_| Errno::EINVAL)? / REQUEST;
    let mut count = 0;
    for (_, one) in numbered() {
        let Some((ip, _)) = four(&one) else { continue };
        if to != 0 {
            if count == room {
                break;
            }
            let entry = [&name(&one)[..], &encoded(ip), &[0; 8]].concat();
            user::write(to.wrapping_add(count * REQUEST), &entry)?;
        }
        count += 1;
    }
    tell(at, count * REQUEST)
}

/// What is asked of one interface.
fn one(request: u32, at: usize) -> Outcome {
    let wanted: [u8; NAME_SIZE] = user::read(at)?;
    let value = at.wrapping_add(NAME_SIZE);
    if request == NAME {
        let index = user::read_u32(value)?;
        let (_, one) = numbered().find(|(number, _)| *number == index).ok_or(Errno::ENODEV)?;
        user::write(at, &name(&one))?;
        return Ok(0);
    }
    let wanted = wanted.split(|b| *b == 0).next().unwrap_or_default();
    let found = numbered().find(|(_, one)| one.name.as_bytes() == wanted);
    let (index, one) = found.ok_or(Errno::ENODEV)?;
    let address = || four(&one).ok_or(Errno::EADDRNOTAVAIL);
    let mask = |prefix: u8| u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    match request {
        FLAGS => user::write(value, &(if one.mac.is_some() { 0x1043u16 } else { 0x49 }).to_le_bytes())?,
        ADDRESS => user::write(value, &encoded(address()?.0))?,
        MASK => user::write(value, &encoded(IpAddr::V4(mask(address()?.1).into())))?,
        BROADCAST => {
            let (IpAddr::V4(ip), prefix) = address()? else { return Err(Errno::EADDRNOTAVAIL) };
            user::write(value, &encoded(IpAddr::V4((ip.to_bits() | !mask(prefix)).into())))?;
        }
        MTU => user::write(value, &(one.mtu as u32).to_le_bytes())?,
        HARDWARE => {
            // A `struct sockaddr` of the hardware: ARPHRD_ETHER or ARPHRD_LOOPBACK.
            let kind: u16 = if one.mac.is_some() { 1 } else { 772 };
            let bytes = [&kind.to_le_bytes()[..], &one.mac.unwrap_or_default(), &[0; 8]].concat();
            user::write(value, &bytes)?;
        }
        _ => user::write(value, &index.to_le_bytes())?,
    }
    Ok(0)
}
