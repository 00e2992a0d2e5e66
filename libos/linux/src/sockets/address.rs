//! Socket addresses as programs have them (ip(7), ipv6(7), unix(7), netlink(7)).

use crate::{Errno, user};
use alloc::vec::Vec;
use kernlet_net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, canonical, mapped};

/// AF_UNSPEC.
pub const UNSPECIFIED: u16 = 0;
/// AF_UNIX.
pub const UNIX: u16 = 1;
/// AF_INET.
pub const INET: u16 = 2;
/// AF_INET6.
pub const INET6: u16 = 10;
/// AF_NETLINK.
pub const NETLINK: u16 = 16;

/// Bytes of the addresses of each family, and of `struct sockaddr_storage`.
const INET_SIZE: usize = 16;
const INET6_SIZE: usize = 28;
/// A `struct sockaddr_in6` of programs that know no scopes (RFC 2133).
const INET6_OLD_SIZE: usize = 24;
const NETLINK_SIZE: usize = 12;
const MOST: usize = 128;
/// Bytes of a path in a `struct sockaddr_un`.
const PATH_MOST: usize = 108;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// AF_UNSPEC, which ends an association.
    None,
    /// AF_INET as it was written, or AF_INET6.
    Ip(SocketAddr),
    /// AF_UNIX.
    Unix(Name),
    /// AF_NETLINK: port and groups.
    Netlink(u32, u32),
}

/// The name of a UNIX socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// It has none.
    #[default]
    Unnamed,
    /// A path, without the 0 at its end.
    Path(Vec<u8>),
    /// Abstract: what comes behind the first 0.
    Abstract(Vec<u8>),
}

/// Reads an address of a program.
///
/// # Errors
/// EFAULT; EINVAL for a length that is none; EAFNOSUPPORT.
pub fn read(at: usize, length: usize) -> Result<Address, Errno> {
    if length > MOST {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; MOST];
    let bytes = &mut bytes[..length];
    kernlet_platform::program::read(at, bytes)?;
    parse(bytes)
}

fn parse(bytes: &[u8]) -> Result<Address, Errno> {
    let family = bytes.first_chunk().map(|b| u16::from_le_bytes(*b)).ok_or(Errno::EINVAL)?;
    let port = || bytes.get(2..4).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    match family {
        UNSPECIFIED => Ok(Address::None),
        INET => {
            let at = bytes.get(..INET_SIZE).ok_or(Errno::EINVAL)?;
            let ip = Ipv4Addr::new(at[4], at[5], at[6], at[7]);
            Ok(Address::Ip(SocketAddrV4::new(ip, port()).into()))
        }
        INET6 => {
            let at = bytes.get(..INET6_OLD_SIZE).ok_or(Errno::EINVAL)?;
            let ip = at[8..].first_chunk::<16>().map(|b| Ipv6Addr::from(*b)).ok_or(Errno::EINVAL)?;
            let scope =
                bytes.get(24..INET6_SIZE).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
            Ok(Address::Ip(SocketAddrV6::new(ip, port(), 0, scope).into()))
        }
        UNIX => {
            let path = &bytes[2..];
            if path.len() > PATH_MOST {
                return Err(Errno::EINVAL);
            }
            Ok(Address::Unix(match path {
                [] => Name::Unnamed,
                [0, rest @ ..] => Name::Abstract(rest.to_vec()),
                _ => Name::Path(path.split(|b| *b == 0).next().unwrap_or_default().to_vec()),
            }))
        }
        NETLINK => {
            let word =
                |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
            match (word(4), word(8)) {
                (Some(port), Some(groups)) => Ok(Address::Netlink(port, groups)),
                _ => Err(Errno::EINVAL),
            }
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

impl Address {
    /// An IP address for a socket of a family: IPv4 is mapped into IPv6 there. A client of the host that came by IPv6 to a
    /// program that speaks only IPv4 has no address that this could be told.
    pub fn of(family: u16, address: SocketAddr) -> Self {
        Self::Ip(match (family, canonical(address)) {
            (INET6, _) => mapped(address),
            (_, SocketAddr::V6(six)) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, six.port()).into(),
            (_, four) => four,
        })
    }

    /// As a program has it: bytes, and how many of them count.
    pub fn encode(&self) -> ([u8; MOST], usize) {
        let mut bytes = [0; MOST];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        let length = match self {
            Self::None => {
                put(0, &UNSPECIFIED.to_le_bytes());
                2
            }
            Self::Ip(SocketAddr::V4(v4)) => {
                put(0, &INET.to_le_bytes());
                put(2, &v4.port().to_be_bytes());
                put(4, &v4.ip().octets());
                INET_SIZE
            }
            Self::Ip(SocketAddr::V6(v6)) => {
                put(0, &INET6.to_le_bytes());
                put(2, &v6.port().to_be_bytes());
                put(8, &v6.ip().octets());
                put(24, &v6.scope_id().to_le_bytes());
                INET6_SIZE
            }
            Self::Unix(name) => {
                put(0, &UNIX.to_le_bytes());
                match name {
                    Name::Unnamed => 2,
                    Name::Path(path) => {
                        put(2, path);
                        // The 0 behind a path counts.
                        path.len() + 3
                    }
                    Name::Abstract(rest) => {
                        put(3, rest);
                        rest.len() + 3
                    }
                }
            }
            Self::Netlink(port, groups) => {
                put(0, &NETLINK.to_le_bytes());
                put(4, &port.to_le_bytes());
                put(8, &groups.to_le_bytes());
                NETLINK_SIZE
            }
        };
        (bytes, length)
    }

    /// Writes it to where a program wants it, cut off at the length that stands at `length_at`, and its whole length there.
    ///
    /// # Errors
    /// EFAULT; EINVAL for a negative length.
    pub fn write(&self, at: usize, length_at: usize) -> Result<(), Errno> {
        let room = usize::try_from(user::read_u32(length_at)? as i32).map_err(|_| Errno::EINVAL)?;
        let (bytes, length) = self.encode();
        user::write(at, &bytes[..length.min(room)])?;
        user::write(length_at, &(length as u32).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_were_written() {
        let all = [
            Address::Ip("127.0.0.1:80".parse().unwrap()),
            Address::Ip("[fe80::1%3]:5353".parse().unwrap()),
            Address::Unix(Name::Unnamed),
            Address::Unix(Name::Path(b"/run/x".to_vec())),
            Address::Unix(Name::Abstract(b"a\0b".to_vec())),
            Address::Netlink(7, 1),
            Address::None,
        ];
        for address in all {
            let (bytes, length) = address.encode();
            assert_eq!(parse(&bytes[..length]), Ok(address));
        }
        assert_eq!(parse(&[2, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(parse(&[9, 0]), Err(Errno::EAFNOSUPPORT));
        assert_eq!(parse(&[0]), Err(Errno::EINVAL));
    }
}
