//! Memory of an instance, watched from outside.
//!
//! A Linux program reserves much that it never touches, so no limit of the host's fits it. The library OS inside counts what is
//! touched and ends the program with a line; that holds as long as the program means well. Here the same is counted by
//! the host's own numbers, rarely while the instance does nothing and often while it works, and the instance is killed
//! when it has more than its limit and what the library OS may be late by.
//!
//! What counts is all that an instance can make the host's kernel hold: its own pages, resident or swapped out; the tables for
//! addresses that it merely looked at, which show zeros and are no pages of its own; and its file of shared memory, mapped
//! or not.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// While the instance works.
const OFTEN: Duration = Duration::from_millis(100);
/// While it does nothing.
const RARELY: Duration = Duration::from_secs(1);
/// So much beyond the limit is the library OS's to notice.
const SLACK: u64 = 64 << 20;

/// A watch over one process.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    pid: u32,
    limit: u64,
    shared: Option<OwnedFd>,
    next: Instant,
    pause: Duration,
    processor: Option<u64>,
}

impl MemoryWatch {
    /// Watches a process that has just been started, and its file of shared memory.
    pub(super) fn new(pid: u32, limit: u64, shared: Option<OwnedFd>, now: Instant) -> Self {
        Self { pid, limit, shared, next: now + OFTEN, pause: OFTEN, processor: None }
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
        let own = read("status").as_deref().map_or(0, own);
        own.saturating_add(self.shared()) > self.limit.saturating_add(SLACK)
    }

    /// Bytes that the file of shared memory takes (stat(2): st_blocks are of 512 bytes).
    fn shared(&self) -> u64 {
        let stat = self.shared.as_ref().and_then(|file| rustix::fs::fstat(file).ok());
        stat.map_or(0, |stat| (stat.st_blocks as u64).saturating_mul(512))
    }
}

/// Bytes that the host holds for a process alone (proc(5), status); 0 of one that has ended.
fn own(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let counted = lines.filter(|(name, _)| matches!(*name, "RssAnon" | "VmSwap" | "VmPTE"));
    let kilobytes = |value: &str| value.trim().strip_suffix(" kB")?.parse::<u64>().ok();
    counted.filter_map(|(_, value)| kilobytes(value)).fold(0, u64::saturating_add).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_more_than_it_may_have_is_noticed() {
        let now = Instant::now();
        let mut watch = MemoryWatch::new(std::process::id(), 0, None, now);
        assert!(!watch.exceeded(now));
        assert!(!watch.exceeded(now + OFTEN));
        let held = vec![1u8; SLACK as usize + (8 << 20)];
        let later = watch.deadline();
        assert!(watch.exceeded(later));
        drop(std::hint::black_box(held));
    }

    #[test]
    fn shared_memory_counts_though_nobody_maps_it() {
        let now = Instant::now();
        let file =
            rustix::fs::memfd_create("shared", rustix::fs::MemfdFlags::CLOEXEC).expect("there is memory");
        let limit = 1 << 40;
        let mut watch =
            MemoryWatch::new(std::process::id(), limit, Some(file.try_clone().expect("it is open")), now);
        let before = watch.shared();
        rustix::fs::ftruncate(&file, 1 << 30).expect("it may grow");
        assert_eq!(watch.shared(), before, "what is not written takes nothing");
        rustix::io::pwrite(&file, &[1; 8192], 1 << 20).expect("it may be written");
        assert!(watch.shared() >= before + 8192);
        assert!(!watch.exceeded(watch.deadline()));
    }

    #[test]
    fn tables_and_swapped_pages_count_and_what_files_back_does_not() {
        let status = "Name:\tVmPTE: 9 kB\nVmSize:\t 900 kB\nVmRSS:\t 700 kB\nRssAnon:\t     200 kB\nRssFile:\t 500 kB\n\
                      VmPTE:\t      40 kB\nVmSwap:\t       3 kB\n";
        assert_eq!(own(status), 243 * 1024);
        assert_eq!(own("nonsense"), 0);
        assert_eq!(own("RssAnon:\t18446744073709551615 kB\n"), u64::MAX);
    }
}
