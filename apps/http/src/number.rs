//! Numbers as text, without the machinery of `format!`.

use alloc::vec::Vec;

/// Appends `value` in decimal digits.
pub fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `value` in hexadecimal digits.
pub fn hexadecimal(out: &mut Vec<u8>, value: u64) {
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    for i in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * i) & 15) as usize]);
    }
}

/// Reads decimal digits and nothing else; `None` when there are none, other octets, or too many.
pub fn parse(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&d| d < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The value of a hexadecimal digit.
pub fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_format_writes_them_and_read_back() {
        for value in [0, 1, 9, 10, 255, 256, 4096, 1 << 40, u64::MAX] {
            let (mut ten, mut sixteen) = (vec![], vec![]);
            decimal(&mut ten, value);
            hexadecimal(&mut sixteen, value);
            assert_eq!(ten, std::format!("{value}").as_bytes());
            assert_eq!(sixteen, std::format!("{value:x}").as_bytes());
            assert_eq!(parse(&ten), Some(value));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "+1", "-1", " 1", "1 ", "1a", "18446744073709551616", "0x10"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
