//! The LOC record's text form: RFC 1876 section 3.

use super::fields::Fields;
use super::number::parse_number;
use crate::zone::{Problem, quote};

/// The equator and the prime meridian, in thousandths of a second of arc.
const ORIGIN: u64 = 1 << 31;

/// Reads latitude, longitude, altitude, size and precisions.
pub(super) fn data(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let start = it.out.len();
    it.out.extend_from_slice(&[0; 4]);
    for (most, positive, negative) in [(90, b'N', b'S'), (180, b'E', b'W')] {
        let angle = angle(it, most, positive, negative)?;
        it.out.extend_from_slice(&angle.to_be_bytes());
    }
    const ALTITUDE: &str = "an altitude in metres";
    let text = it.required(ALTITUDE)?;
    let (below, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    // In centimetres above a point 100 km below the reference.
    let altitude = centimetres(digits)
        .and_then(|height| if below { 10_000_000u64.checked_sub(height) } else { Some(10_000_000 + height) })
        .and_then(|height| u32::try_from(height).ok())
        .ok_or_else(|| Problem::BadField(ALTITUDE, quote(text)))?;
    it.out.extend_from_slice(&altitude.to_be_bytes());
    // Size 1 m, horizontal precision 10 km, vertical precision 10 m, where they are left out.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        let Some(token) = it.optional()? else { break };
        *size = centimetres(token.text)
            .and_then(scientific)
            .ok_or_else(|| Problem::BadField("a size in metres", quote(token.text)))?;
    }
    it.out[start + 1..start + 4].copy_from_slice(&sizes);
    Ok(())
}

/// Degrees, perhaps minutes and seconds, and the hemisphere.
fn angle(it: &mut Fields<'_, '_>, most: u64, positive: u8, negative: u8) -> Result<u32, Problem> {
    const WHAT: &str = "an angle as degrees, minutes, seconds and hemisphere";
    let mut parts = [0u64; 3];
    for count in 0..4 {
        let text = it.required(WHAT)?;
        let bad = || Problem::BadField(WHAT, quote(text));
        if let [letter] = text
            && letter.is_ascii_alphabetic()
        {
            let total = (parts[0] * 60 + parts[1]) * 60_000 + parts[2];
            let letter = letter.to_ascii_uppercase();
            if count == 0 || total > most * 3_600_000 || (letter != positive && letter != negative) {
                return Err(bad());
            }
            let value = if letter == positive { ORIGIN + total } else { ORIGIN - total };
            return Ok(value as u32);
        }
        let (value, limit) = match count {
            0 => (parse_number(text), most),
            1 => (parse_number(text), 59),
            2 => (decimal(text, 3), 59_999),
            _ => (None, 0),
        };
        parts[count.min(2)] = value.filter(|&value| value <= limit).ok_or_else(bad)?;
    }
    Err(Problem::MissingField(WHAT))
}

/// A decimal number with at most `places` decimals, times ten to the power of `places`.
fn decimal(text: &[u8], places: usize) -> Option<u64> {
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next().unwrap_or(b""));
    if fraction.len() > places || whole.len() > 10 {
        return None;
    }
    let mut value = parse_number(whole)?;
    for place in 0..places {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        value = value * 10 + u64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(value)
}

/// Metres, with or without an `m`, as centimetres.
fn centimetres(text: &[u8]) -> Option<u64> {
    decimal(text.strip_suffix(b"m").unwrap_or(text), 2)
}

/// Centimetres as one digit and a power of ten, up to 90000 km.
fn scientific(value: u64) -> Option<u8> {
    let (mut digit, mut power) = (value, 0u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some((digit as u8) << 4 | power)
}
