//! Dates (RFC 9110, section 5.6.7): IMF-fixdate is written, all three formats are read.

use crate::number;

/// The octets of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LENGTH: usize = 29;

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const LONG_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAY: u64 = 86_400;
/// 10000-01-01: four digits are all that the formats have.
const END: u64 = 253_402_300_800;

/// The days from 1970-01-01 to a date (month and day from 1), by Hinnant's algorithm for years that begin in March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Writes a time in seconds since 1970 as IMF-fixdate. Times beyond the year 9999 are the last second of that.
pub fn write(seconds: u64) -> [u8; LENGTH] {
    let seconds = seconds.min(END - 1);
    let (since, time) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(since);
    let mut text = *b"Mon, 00 Jan 0000 00:00:00 GMT";
    let mut two = |at: usize, value: u64| {
        text[at] = b'0' + (value / 10 % 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    two(5, day);
    two(12, year / 100);
    two(14, year % 100);
    two(17, time / 3600);
    two(20, time / 60 % 60);
    two(23, time % 60);
    text[..3].copy_from_slice(DAYS[(since as usize + 3) % 7]);
    text[8..11].copy_from_slice(MONTHS[month as usize - 1]);
    text
}

/// Cuts a text at its single spaces, colons and so on.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self, digits: usize) -> Option<u64> {
        number::parse(self.take(digits)?)
    }

    fn month(&mut self) -> Option<u64> {
        let name = self.take(3)?;
        MONTHS.iter().position(|m| &m[..] == name).map(|i| i as u64 + 1)
    }

    /// `08:49:37`; a leap second counts as the one after.
    fn time(&mut self) -> Option<u64> {
        let hours = self.number(2).filter(|&h| h < 24)?;
        self.literal(b":")?;
        let minutes = self.number(2).filter(|&m| m < 60)?;
        self.literal(b":")?;
        Some(hours * 3600 + minutes * 60 + self.number(2).filter(|&s| s <= 60)?)
    }
}

fn seconds(year: u64, month: u64, day: u64, time: u64) -> Option<u64> {
    let days = days(year, month, day)?;
    // No 31 February.
    (civil(days) == (year, month, day)).then_some(days * DAY + time)
}

/// Reads a date as seconds since 1970. `now` tells the century of a year with two digits: one that appears to lie more
/// than 50 years ahead is in the past.
pub fn parse(text: &[u8], now: u64) -> Option<u64> {
    if let Some(day) = LONG_DAYS.iter().find(|day| text.starts_with(day.as_bytes())) {
        return rfc850(Text(text.get(day.len()..)?), now);
    }
    let mut text = Text(text);
    let day = text.take(3)?;
    if !DAYS.iter().any(|d| &d[..] == day) {
        return None;
    }
    let parsed = if text.0.starts_with(b",") { fixdate(&mut text)? } else { asctime(&mut text)? };
    text.0.is_empty().then_some(parsed)
}

/// `, 06 Nov 1994 08:49:37 GMT`
fn fixdate(text: &mut Text<'_>) -> Option<u64> {
    text.literal(b", ")?;
    let day = text.number(2)?;
    text.literal(b" ")?;
    let month = text.month()?;
    text.literal(b" ")?;
    let year = text.number(4)?;
    text.literal(b" ")?;
    let time = text.time()?;
    text.literal(b" GMT")?;
    seconds(year, month, day, time)
}

/// ` Nov  6 08:49:37 1994`
fn asctime(text: &mut Text<'_>) -> Option<u64> {
    text.literal(b" ")?;
    let month = text.month()?;
    text.literal(b" ")?;
    let day = match text.take(2)? {
        [b' ', digit] => number::parse(&[*digit])?,
        two => number::parse(two)?,
    };
    text.literal(b" ")?;
    let time = text.time()?;
    text.literal(b" ")?;
    seconds(text.number(4)?, month, day, time)
}

/// `, 06-Nov-94 08:49:37 GMT`
fn rfc850(mut text: Text<'_>, now: u64) -> Option<u64> {
    text.literal(b", ")?;
    let day = text.number(2)?;
    text.literal(b"-")?;
    let month = text.month()?;
    text.literal(b"-")?;
    let two_digits = text.number(2)?;
    text.literal(b" ")?;
    let time = text.time()?;
    text.literal(b" GMT")?;
    let this_year = civil(now.min(END - 1) / DAY).0;
    let mut year = this_year - this_year % 100 + two_digits;
    if year > this_year + 50 {
        year -= 100;
    }
    text.0.is_empty().then_some(())?;
    seconds(year, month, day, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn the_three_formats_of_the_standard_mean_the_same() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(&write(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&write(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&write(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(&write(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn two_digits_of_a_year_are_near_to_now() {
        assert_eq!(
            parse(b"Monday, 01-Jan-70 00:00:00 GMT", NOW),
            parse(b"Mon, 01 Jan 2070 00:00:00 GMT", NOW)
        );
        assert_eq!(
            parse(b"Monday, 01-Jan-80 00:00:00 GMT", NOW),
            parse(b"Mon, 01 Jan 1980 00:00:00 GMT", NOW)
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "Sun",
            "Sun,",
            "Sun, 06 Nov 1994",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37",
            "Sun Nov 6 08:49:37 1994",
            "Sun, 00 Jan 1994 00:00:00 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..END) {
            prop_assert_eq!(parse(&write(seconds), NOW), Some(seconds));
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..40), now: u64) {
            let _ = parse(&text, now);
        }
    }
}
