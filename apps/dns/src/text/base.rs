//! Hexadecimal, base64 and base32hex (RFC 4648), decoded a word at a time.

use alloc::vec::Vec;

/// A decoder of `BITS` bits a digit that goes on from word to word.
struct Bits {
    pending: u32,
    count: u32,
}

impl Bits {
    fn new() -> Self {
        Self { pending: 0, count: 0 }
    }

    #[inline]
    fn push(&mut self, digit: u8, bits: u32, into: &mut Vec<u8>) {
        self.pending = self.pending << bits | u32::from(digit);
        self.count += bits;
        if self.count >= 8 {
            self.count -= 8;
            into.push((self.pending >> self.count) as u8);
            self.pending &= (1 << self.count) - 1;
        }
    }
}

/// Base64, over several words.
pub(crate) struct Base64 {
    bits: Bits,
    digits: u32,
    padding: u32,
}

impl Base64 {
    pub(crate) fn new() -> Self {
        Self { bits: Bits::new(), digits: 0, padding: 0 }
    }

    /// Takes one more word; false if it is no base64.
    pub(crate) fn word(&mut self, text: &[u8], into: &mut Vec<u8>) -> bool {
        for &byte in text {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    self.padding += 1;
                    continue;
                }
                _ => return false,
            };
            if self.padding > 0 {
                return false;
            }
            self.digits += 1;
            self.bits.push(digit, 6, into);
        }
        true
    }

    /// Whether the text may end here: whole groups of four, and no bits left over.
    pub(crate) fn complete(&self) -> bool {
        self.padding <= 2 && (self.digits + self.padding).is_multiple_of(4) && self.bits.pending == 0
    }
}

/// Base64 in one word.
pub(crate) fn base64(text: &[u8], into: &mut Vec<u8>) -> bool {
    let mut decoder = Base64::new();
    decoder.word(text, into) && decoder.complete()
}

/// Base32 with the extended hex alphabet, in one word, without padding (RFC 5155 section 3.3).
pub(crate) fn base32hex(text: &[u8], into: &mut Vec<u8>) -> bool {
    let mut bits = Bits::new();
    for &byte in text {
        let digit = match byte.to_ascii_uppercase() {
            byte @ b'0'..=b'9' => byte - b'0',
            byte @ b'A'..=b'V' => byte - b'A' + 10,
            _ => return false,
        };
        bits.push(digit, 5, into);
    }
    bits.count < 5 && bits.pending == 0
}

/// The value of a hexadecimal digit.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Hexadecimal, over several words.
pub(crate) struct Hex(Bits);

impl Hex {
    pub(crate) fn new() -> Self {
        Self(Bits::new())
    }

    /// Takes one more word; false if it is not hexadecimal.
    pub(crate) fn word(&mut self, text: &[u8], into: &mut Vec<u8>) -> bool {
        for &byte in text {
            let Some(digit) = hex_digit(byte) else { return false };
            self.0.push(digit, 4, into);
        }
        true
    }

    /// Whether the digits so far are whole octets.
    pub(crate) fn complete(&self) -> bool {
        self.0.count == 0
    }
}

/// Hexadecimal in one word.
pub(crate) fn hex(text: &[u8], into: &mut Vec<u8>) -> bool {
    let mut decoder = Hex::new();
    decoder.word(text, into) && decoder.complete()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn decoded(decode: fn(&[u8], &mut Vec<u8>) -> bool, text: &str) -> Option<Vec<u8>> {
        let mut out = vec![];
        decode(text.as_bytes(), &mut out).then_some(out)
    }

    #[test]
    fn the_vectors_of_rfc_4648_decode() {
        for (text, value) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(base64, text).as_deref(), Some(value.as_bytes()));
        }
        for (text, value) in [("CO", "f"), ("CPNG", "fo"), ("cpnmu", "foo"), ("CPNMUOG", "foob")] {
            assert_eq!(decoded(base32hex, text).as_deref(), Some(value.as_bytes()));
        }
        assert_eq!(decoded(hex, "00fFa1"), Some(vec![0, 0xff, 0xa1]));
    }

    #[test]
    fn text_that_is_not_whole_is_refused() {
        for text in ["Z", "Zg", "Zg=", "Zg===", "Z=g=", "Zh==", "Zm9*"] {
            assert_eq!(decoded(base64, text), None, "{text}");
        }
        for text in ["C", "CP*", "CPN"] {
            assert_eq!(decoded(base32hex, text), None, "{text}");
        }
        assert_eq!(decoded(hex, "0"), None);
        assert_eq!(decoded(hex, "0g"), None);
    }
}
