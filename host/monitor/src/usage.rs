//! What a process takes, from /proc.

use std::fs;
use std::time::Duration;

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in memory that are its own share; `None` when the host does not tell this user.
    pub pss: Option<u64>,
    /// Bytes in memory, shared ones counted fully.
    pub rss: u64,
    /// Processor time.
    pub cpu: Duration,
}

impl Usage {
    /// Of the process `pid`, unless it has ended.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        Some(Self {
            pss: rollup.as_deref().and_then(pss),
            rss: statm.split(' ').nth(1)?.parse::<u64>().ok()? * rustix::param::page_size() as u64,
            cpu: Duration::from_millis(cpu_ticks(&stat)? * 1000 / ticks),
        })
    }

    /// The best that is known of its memory.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.pss.unwrap_or(self.rss)
    }
}

/// User and system time; the name in parentheses may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 100_000 && usage.memory() > 10_000);
        assert!(Usage::of(u32::MAX).is_none());
    }

    #[test]
    fn odd_names_do_not_confuse_the_reader() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 0";
        assert_eq!(cpu_ticks(stat), Some(11 + 12));
    }
}
