//! Memory of an instance, watched from outside.
//!
//! A Linux program reserves much that it never touches, so no limit of the host's fits it. The library OS inside counts what is
//! touched and ends the program with a line; that holds as long as the program means well. Here the same is counted by
//! the host's own numbers, rarely while the instance does nothing and often while it works, and the instance is killed
//! when it has more than its limit and what the library OS may be late by.

use std::fs;
use std::time::{Duration, Instant};

/// While the instance works.
const OFTEN: Duration = Duration::from_millis(100);
/// While it does nothing.
const RARELY: Duration = Duration::from_secs(4);
/// So much beyond the limit is the library OS's to notice.
const SLACK: u64 = 64 << 20;

/// A watch over one process.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    pid: u32,
    limit: u64,
    next: Instant,
    pause: Duration,
    processor: Option<u64>,
}

impl MemoryWatch {
    /// Watches a process that has just been started.
    pub(super) fn new(pid: u32, limit: u64, now: Instant) -> Self {
        Self { pid, limit, next: now + OFTEN, pause: OFTEN, processor: None }
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time to; `true` when there is too much.
    pub(super) fn exceeded(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid)).ok();
        let processor = read("schedstat").and_then(|text| text.split(' ').next()?.parse().ok());
        let works = processor.is_none() || processor != self.processor;
        self.processor = processor;
        self.pause = if works { OFTEN } else { (self.pause * 2).min(RARELY) };
        self.next = now + self.pause;
        read("statm").as_deref().and_then(own).is_some_and(|bytes| bytes > self.limit.saturating_add(SLACK))
    }
}

/// Resident bytes that no file backs (proc(5), statm).
fn own(statm: &str) -> Option<u64> {
    let mut numbers = statm.split(' ').skip(1).map(|word| word.trim().parse::<u64>().ok());
    let (resident, shared) = (numbers.next()??, numbers.next()??);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_more_than_it_may_have_is_noticed() {
        let now = Instant::now();
        let mut watch = MemoryWatch::new(std::process::id(), 0, now);
        assert!(!watch.exceeded(now));
        assert!(!watch.exceeded(now + OFTEN));
        let held = vec![1u8; SLACK as usize + (8 << 20)];
        let later = watch.deadline();
        assert!(watch.exceeded(later));
        drop(std::hint::black_box(held));
    }

    #[test]
    fn what_files_back_does_not_count() {
        assert_eq!(own("1000 300 100 1 0 50 0\n"), Some(200 * rustix::param::page_size() as u64));
        assert_eq!(own("nonsense"), None);
    }
}
