//! The CMOS clock, which tells whole seconds: what there is when nobody told the time.

use super::port::{in8, out8};

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATING: u8 = 0x80;
const BINARY: u8 = 4;
const PATIENCE: u32 = 100_000;

fn register(index: u8) -> u8 {
    out8(INDEX, index);
    in8(DATA)
}

/// Nanoseconds since 1970; 0 when there is no such clock.
pub fn read() -> u64 {
    let mut last = [0u8; 6];
    for _ in 0..PATIENCE {
        if register(STATUS_A) & UPDATING != 0 {
            continue;
        }
        let now = [0, 2, 4, 7, 8, 9].map(register);
        if now == last {
            break;
        }
        last = now;
    }
    if last == [0xff; 6] {
        return 0;
    }
    let binary = register(STATUS_B) & BINARY != 0;
    let value = |i: usize| {
        let v = u64::from(last[i]);
        if binary { v } else { (v >> 4) * 10 + (v & 15) }
    };
    // 24-hour mode, as firmware and monitors set it; the century is ours.
    let [second, minute, hour, day, month, year] = [0, 1, 2, 3, 4, 5].map(value);
    seconds(2000 + year, month.clamp(1, 12), day.max(1), hour, minute, second) * 1_000_000_000
}

/// Seconds since 1970 of a date in the Gregorian calendar.
fn seconds(year: u64, month: u64, day: u64, hour: u64, minute: u64, second: u64) -> u64 {
    // Years that begin in March end with the leap day.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    // 1970-01-01 by the same count.
    const EPOCH: u64 = 719_468;
    ((days - EPOCH) * 24 + hour) * 3600 + minute * 60 + second
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds(1970, 1, 1, 0, 0, 0), 0);
        assert_eq!(seconds(2000, 2, 29, 12, 0, 0), 951_825_600);
        assert_eq!(seconds(2026, 11, 23, 15, 6, 31), 1_795_446_391);
        assert_eq!(seconds(2100, 3, 1, 0, 0, 0), 4_107_542_400);
    }
}
