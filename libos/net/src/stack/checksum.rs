//! The Internet checksum (RFC 1071) and the pseudo-header of UDP and TCP.

use core::net::IpAddr;

/// A running sum of 16-bit words; carries are folded at the end.
#[derive(Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; only the last piece that is added may be of odd length.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.0 += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        self.0 += u64::from(u32::from_be_bytes(last));
        self
    }

    /// Adds the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1).
    pub fn pseudo_header(self, source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        let sum = match (source, destination) {
            (IpAddr::V4(s), IpAddr::V4(d)) => self.bytes(&s.octets()).bytes(&d.octets()),
            (IpAddr::V6(s), IpAddr::V6(d)) => self.bytes(&s.octets()).bytes(&d.octets()),
            _ => self,
        };
        Self(sum.0 + u64::from(protocol) + length as u64)
    }

    /// The sum in 16 bits, not inverted.
    pub fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The checksum to store so that everything sums up; never 0, which in UDP means that there is none.
    pub fn checksum(self) -> u16 {
        match !self.folded() {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether bytes that hold their checksum sum up.
    pub fn is_right(self) -> bool {
        self.folded() == 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&bytes).folded(), 0xddf2);
        assert_eq!(Sum::default().bytes(&bytes).checksum(), 0x220d);
        assert!(Sum::default().bytes(&bytes).bytes(&[0x22, 0x0d]).is_right());
        assert_eq!(Sum::default().bytes(&[1]).folded(), 0x100);
        assert_eq!(Sum::default().bytes(&[0xff; 65536]).folded(), 0xffff);
    }
}
