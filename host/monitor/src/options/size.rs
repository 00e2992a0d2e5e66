//! `-m 64M`.

use super::OptionError;
use std::str::FromStr;

/// The least memory in which the smallest program starts.
pub const MINIMUM_MEMORY: u64 = 2 << 20;
const EXPECTED: &str = "-m SIZE, such as 64M or 1G, at least 2M";

/// A number of bytes, written with an optional unit of 1,024s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let error = |problem| OptionError::new("-m", text, problem, EXPECTED);
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(error("this is no size")),
        };
        let number: u64 = number.parse().map_err(|_| error("this is no size"))?;
        let bytes = number.checked_mul(1 << shift).filter(|&b| b < 1 << 47);
        let bytes = bytes.ok_or_else(|| error("no machine has that much memory"))?;
        if bytes < MINIMUM_MEMORY {
            return Err(error("no program starts in so little memory"));
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!("64M".parse(), Ok(Size(64 << 20)));
        assert_eq!("1g".parse(), Ok(Size(1 << 30)));
        assert_eq!("2097152".parse(), Ok(Size(2 << 20)));
        assert_eq!("4096KiB".parse(), Ok(Size(4 << 20)));
        for bad in ["", "M", "1.5G", "-1", "1X", "99999999999999999999", "1M", "9000000T"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
