//! Numbers and times in text.

use crate::zone::{Problem, quote};

/// A decimal number, of digits only.
pub(crate) fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

/// A number of seconds: digits, or numbers with the units w, d, h, m and s one after another.
pub(crate) fn parse_time(text: &[u8]) -> Result<u32, Problem> {
    const MOST: u64 = i32::MAX as u64;
    let bad = || Problem::TimeRange(quote(text));
    let (mut sum, mut number, mut digits) = (0u64, 0u64, false);
    for &byte in text {
        if byte.is_ascii_digit() {
            number = number * 10 + u64::from(byte - b'0');
            digits = true;
        } else {
            let unit = match byte.to_ascii_lowercase() {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86400,
                b'w' => 604_800,
                _ => return Err(bad()),
            };
            if !digits {
                return Err(bad());
            }
            sum += number * unit;
            (number, digits) = (0, false);
        }
        if number > MOST || sum > MOST {
            return Err(bad());
        }
    }
    let units = text.last().is_some_and(|byte| !byte.is_ascii_digit());
    if text.is_empty() || (!digits && !units) || sum + number > MOST {
        return Err(bad());
    }
    Ok((sum + number) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time(b"3600"), Ok(3600));
        assert_eq!(parse_time(b"1h30m"), Ok(5400));
        assert_eq!(parse_time(b"1W2D3H4M5S"), Ok(604_800 + 2 * 86400 + 3 * 3600 + 245));
        assert_eq!(parse_time(b"1h5"), Ok(3605));
        assert_eq!(parse_time(b"2147483647"), Ok(2_147_483_647));
        for text in ["2147483648", "4000w", "h", "1x", "", "1hm", "-1", "99999999999999999999999"] {
            assert!(matches!(parse_time(text.as_bytes()), Err(Problem::TimeRange(_))), "{text}");
        }
    }
}
