//! The locks of the files of an instance: who has which.

use alloc::vec::Vec;

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process.
    Process(u32),
    /// A description, by the number that it got.
    Description(u64),
}

/// A record lock on `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub owner: Owner,
    /// The first byte.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
    /// Nobody else may have one there.
    pub exclusive: bool,
}

/// The locks of one file.
#[derive(Debug, Default)]
pub struct Locked {
    /// On parts of it.
    pub records: Vec<Record>,
    /// On the whole of it: the description's number, and whether it is exclusive.
    pub whole: Vec<(u64, bool)>,
}

impl Locked {
    /// A lock of somebody else's that keeps `wanted` from being had.
    pub fn conflict(&self, wanted: &Record) -> Option<Record> {
        let meets = |other: &&Record| {
            other.owner != wanted.owner
                && other.start < wanted.end
                && wanted.start < other.end
                && (other.exclusive || wanted.exclusive)
        };
        self.records.iter().filter(meets).min_by_key(|record| record.start).copied()
    }

    /// Takes `part` out of what its owner has, and puts a lock in its place when `lock`.
    pub fn set(&mut self, part: Record, lock: bool) {
        let mut kept = Vec::with_capacity(self.records.len() + 2);
        for record in self.records.drain(..) {
            if record.owner != part.owner || record.end <= part.start || part.end <= record.start {
                kept.push(record);
                continue;
            }
            if record.start < part.start {
                kept.push(Record { end: part.start, ..record });
            }
            if part.end < record.end {
                kept.push(Record { start: part.end, ..record });
            }
        }
        if lock {
            kept.push(part);
        }
        self.records = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: u32, start: u64, end: u64, exclusive: bool) -> Record {
        Record { owner: Owner::Process(owner), start, end, exclusive }
    }

    #[test]
    fn a_part_that_is_unlocked_leaves_what_is_around_it() {
        let mut locked = Locked::default();
        locked.set(record(1, 0, 100, true), true);
        locked.set(record(1, 40, 60, false), false);
        assert_eq!(locked.conflict(&record(2, 40, 60, true)), None);
        assert_eq!(locked.conflict(&record(2, 39, 60, false)), Some(record(1, 0, 40, true)));
        assert_eq!(locked.conflict(&record(2, 50, 61, false)), Some(record(1, 60, 100, true)));
        assert_eq!(locked.conflict(&record(1, 0, 100, true)), None);
        locked.set(record(1, 0, 100, false), true);
        assert_eq!(locked.conflict(&record(2, 0, 100, false)), None);
    }
}
