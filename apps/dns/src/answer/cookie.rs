//! Cookies: RFC 7873, with the server cookies of RFC 9018, so that servers that share a secret take each other's.

use super::policy::octets;
use core::hash::Hasher;
use core::net::IpAddr;
use siphasher::sip::SipHasher24;

/// The octets of a client cookie, and of a server cookie.
pub(crate) const CLIENT: usize = 8;
const SERVER: usize = 16;
/// Both.
pub(crate) const WHOLE: usize = CLIENT + SERVER;
/// How long a server cookie is good, and how far in the future its time may be (RFC 9018 section 4.3), in seconds.
const OLDEST: u32 = 3600;
const NEWEST: u32 = 300;

/// Makes and checks server cookies.
pub struct Cookies {
    hasher: SipHasher24,
}

impl Cookies {
    /// With a secret of 128 bits.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { hasher: SipHasher24::new_with_key(&secret) }
    }

    /// The whole cookie for a client: its own part, then the server's, made at `now` (seconds since 1970).
    pub(crate) fn make(&self, client: &[u8], address: IpAddr, now: u32) -> [u8; WHOLE] {
        let mut cookie = [0; WHOLE];
        cookie[..CLIENT].copy_from_slice(&client[..CLIENT]);
        // Version 1, three octets reserved.
        cookie[CLIENT] = 1;
        cookie[12..16].copy_from_slice(&now.to_be_bytes());
        let hash = self.hash(&cookie[..16], address);
        cookie[16..].copy_from_slice(&hash.to_le_bytes());
        cookie
    }

    /// Whether a whole cookie is one that this server, or one with its secret, made for the address lately.
    pub(crate) fn check(&self, cookie: &[u8], address: IpAddr, now: u32) -> bool {
        let Some(cookie) = cookie.first_chunk::<WHOLE>().filter(|_| cookie.len() == WHOLE) else {
            return false;
        };
        let (head, hash) = cookie.split_at(16);
        let made = crate::zone::read_u32(&head[12..]);
        // Serial number arithmetic (RFC 1982), as the time wraps in 2106.
        let age = now.wrapping_sub(made);
        let timely = age <= OLDEST || made.wrapping_sub(now) <= NEWEST;
        let right = self.hash(head, address).to_le_bytes();
        // All octets are looked at, so that the time tells nothing.
        let difference = right.iter().zip(hash).fold(0, |sum, (a, b)| sum | (a ^ b));
        head[CLIENT] == 1 && timely && difference == 0
    }

    fn hash(&self, head: &[u8], address: IpAddr) -> u64 {
        let (octets, length) = octets(address);
        let mut hasher = self.hasher;
        hasher.write(head);
        hasher.write(&octets[..length]);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 16] =
        [0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf];

    #[test]
    fn the_vectors_of_rfc_9018_are_made_and_accepted() {
        // Appendix A.1: learning a new server cookie, at 1559731985.
        let cookies = Cookies::new(SECRET);
        let client = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
        let address = "198.51.100.100".parse().unwrap();
        let made = cookies.make(&client, address, 1_559_731_985);
        let expected = [
            0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57, 0x01, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f,
            0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80,
        ];
        assert_eq!(made, expected);
        assert!(cookies.check(&made, address, 1_559_731_985));
        assert!(cookies.check(&made, "::ffff:198.51.100.100".parse().unwrap(), 1_559_731_985 + 3600));
        assert!(cookies.check(&made, address, 1_559_731_985 - 300));
    }

    #[test]
    fn cookies_of_others_or_other_times_are_refused() {
        let cookies = Cookies::new(SECRET);
        let address = "2001:db8::1".parse().unwrap();
        let made = cookies.make(&[7; 8], address, 5000);
        assert!(cookies.check(&made, address, 5000));
        assert!(!cookies.check(&made, "2001:db8::2".parse().unwrap(), 5000));
        assert!(!cookies.check(&made, address, 8601));
        assert!(!cookies.check(&made, address, 4699));
        assert!(!Cookies::new([1; 16]).check(&made, address, 5000));
        for at in 0..made.len() {
            let mut damaged = made;
            damaged[at] ^= 1;
            // The time, which is part of the hash, too.
            assert!(!cookies.check(&damaged, address, 5000), "octet {at}");
        }
        assert!(!cookies.check(&made[..23], address, 5000));
    }
}
