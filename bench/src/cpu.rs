//! Processors: which one a process runs on, and how much of it it takes.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Binds a thread (0: this one) to one processor.
pub fn pin(tid: i32, processor: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(tid), &set)?)
}

/// The number of processors.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Binds all threads of processes to one processor.
pub fn pin_all(pids: &[i32], processor: usize) -> std::io::Result<()> {
    for tid in pids.iter().flat_map(|&pid| threads(pid)) {
        pin(tid, processor)?;
    }
    Ok(())
}

/// The processor time that processes have taken, in and for them.
pub fn time(pids: &[i32]) -> Duration {
    pids.iter().flat_map(|&pid| threads(pid).into_iter().map(move |tid| thread_time(pid, tid))).sum()
}

/// The processor time of a thread: what the scheduler counts in nanoseconds, which user and system time in `stat`
/// round to ticks.
pub fn thread_time(pid: i32, tid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0))
}

/// A process with all that came of it.
pub fn family(pid: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for child in numbers("/proc") {
        if let Some(parent) = parent(child) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    family
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "PID (NAME) STATE PARENT ...", and NAME may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn threads(pid: i32) -> Vec<i32> {
    numbers(&format!("/proc/{pid}/task"))
}

fn numbers(directory: &str) -> Vec<i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_of_its_parent_s_family_and_takes_time() {
        let me = std::process::id() as i32;
        let family = family(nix::unistd::getppid().as_raw());
        assert!(family.contains(&me));
        let before = time(&[me]);
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(50) {}
        assert!(time(&[me]) > before);
    }
}
