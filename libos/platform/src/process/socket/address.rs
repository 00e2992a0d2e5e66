//! The host's socket addresses (ip(7), ipv6(7)).

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Room for a sockaddr_in or sockaddr_in6.
#[derive(Clone, Copy)]
#[repr(C, align(4))]
pub struct SocketAddress([u8; Self::SIZE]);

impl SocketAddress {
    pub const SIZE: usize = 28;
    pub const ZERO: Self = Self([0; Self::SIZE]);

    /// The address that the host wrote.
    pub fn get(&self) -> Option<SocketAddr> {
        let b = &self.0;
        let port = u16::from_be_bytes([b[2], b[3]]);
        match u16::from_le_bytes([b[0], b[1]]) {
            AF_INET => Some(SocketAddrV4::new(Ipv4Addr::new(b[4], b[5], b[6], b[7]), port).into()),
            AF_INET6 => {
                let (_, rest) = b.split_at(8);
                let address: &[u8; 16] = rest.first_chunk()?;
                let scope = u32::from_le_bytes(*b.last_chunk()?);
                Some(SocketAddrV6::new(Ipv6Addr::from(*address), port, 0, scope).into())
            }
            _ => None,
        }
    }

    /// The host's form of `address`, and its length.
    pub fn from(address: SocketAddr) -> (Self, usize) {
        let mut b = [0u8; Self::SIZE];
        b[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                b[..2].copy_from_slice(&AF_INET.to_le_bytes());
                b[4..8].copy_from_slice(&v4.ip().octets());
                (Self(b), 16)
            }
            SocketAddr::V6(v6) => {
                b[..2].copy_from_slice(&AF_INET6.to_le_bytes());
                b[8..24].copy_from_slice(&v6.ip().octets());
                b[24..28].copy_from_slice(&v6.scope_id().to_le_bytes());
                (Self(b), Self::SIZE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_round_trip_to_the_hosts_form() {
        for text in ["127.0.0.1:53", "[::1]:53", "[fe80::1%3]:5353"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddress::from(address).0.get(), Some(address));
        }
    }
}
