//! What is told of the system: /proc without processes, and /sys.

use super::{Made, constant, cpu, lossy, put};
use crate::process::Process;
use crate::system::{RELEASE, VERSION, hostname, memory};
use crate::{Errno, PAGE};
use alloc::string::String;
use core::fmt::Write;
use kernlet_platform::clock;

const SECOND: u64 = 1_000_000_000;
const TICK: u64 = SECOND / 100;

pub(super) static PROC: &[Made] = &[
    Made::new("cmdline", constant!("\n")),
    Made::new("cpuinfo", cpu::information),
    Made::new("devices", constant!("Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n")),
    Made::new(
        "filesystems",
        constant!("nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\toverlay\nnodev\t9p\n"),
    ),
    Made::new("loadavg", load),
    Made::new("meminfo", free),
    Made::new("stat", stat),
    Made::new("swaps", constant!("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
    Made::new("sys/fs/file-max", constant!("1048576\n")),
    Made::new("sys/fs/file-nr", descriptors),
    Made::new("sys/fs/inotify/max_queued_events", constant!("16384\n")),
    Made::new("sys/fs/inotify/max_user_instances", constant!("1024\n")),
    Made::new("sys/fs/inotify/max_user_watches", constant!("65536\n")),
    Made::new("sys/fs/nr_open", constant!("1048576\n")),
    Made::new("sys/fs/pipe-max-size", constant!("1048576\n")),
    Made::new("sys/kernel/cap_last_cap", constant!("40\n")),
    Made::new("sys/kernel/domainname", domain),
    Made::new("sys/kernel/hostname", host),
    Made::new("sys/kernel/ngroups_max", constant!("65536\n")),
    Made::new("sys/kernel/osrelease", release),
    Made::new("sys/kernel/ostype", constant!("Linux\n")),
    Made::new("sys/kernel/overflowgid", constant!("65534\n")),
    Made::new("sys/kernel/overflowuid", constant!("65534\n")),
    Made::new("sys/kernel/pid_max", constant!("32768\n")),
    Made::new("sys/kernel/random/boot_id", boot),
    Made::new("sys/kernel/random/entropy_avail", constant!("256\n")),
    Made::new("sys/kernel/random/poolsize", constant!("256\n")),
    Made::new("sys/kernel/random/uuid", random),
    Made::new("sys/kernel/randomize_va_space", constant!("2\n")),
    Made::new("sys/kernel/shmmax", constant!("18446744073692774399\n")),
    Made::new("sys/kernel/threads-max", constant!("32768\n")),
    Made::new("sys/kernel/version", version),
    Made::new("sys/net/core/somaxconn", constant!("4096\n")),
    Made::new("sys/net/ipv4/ip_local_port_range", constant!("32768\t60999\n")),
    Made::new("sys/net/ipv4/tcp_max_syn_backlog", constant!("4096\n")),
    Made::new("sys/vm/max_map_count", constant!("65530\n")),
    Made::new("sys/vm/mmap_min_addr", constant!("65536\n")),
    Made::new("sys/vm/nr_hugepages", constant!("0\n")),
    Made::new("sys/vm/overcommit_memory", constant!("1\n")),
    Made::new("sys/vm/overcommit_ratio", constant!("50\n")),
    Made::new("sys/vm/swappiness", constant!("60\n")),
    Made::new("uptime", uptime),
    Made::new("version", full_version),
];

pub(super) static SYS: &[Made] = &[
    Made::new("devices/system/cpu/cpu0/topology/core_id", constant!("0\n")),
    Made::new("devices/system/cpu/cpu0/topology/physical_package_id", constant!("0\n")),
    Made::new("devices/system/cpu/cpu0/topology/thread_siblings_list", constant!("0\n")),
    Made::new("devices/system/cpu/kernel_max", constant!("0\n")),
    Made::new("devices/system/cpu/offline", constant!("\n")),
    Made::new("devices/system/cpu/online", constant!("0\n")),
    Made::new("devices/system/cpu/possible", constant!("0\n")),
    Made::new("devices/system/cpu/present", constant!("0\n")),
    Made::new("devices/system/node/online", constant!("0\n")),
    Made::new("devices/system/node/possible", constant!("0\n")),
    Made::new(
        "kernel/mm/transparent_hugepage/defrag",
        constant!("always defer defer+madvise madvise [never]\n"),
    ),
    Made::new("kernel/mm/transparent_hugepage/enabled", constant!("always madvise [never]\n")),
    Made::new("kernel/mm/transparent_hugepage/hpage_pmd_size", constant!("2097152\n")),
];

fn load(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "0.00 0.00 0.00 1/{} {}\n", process.threads.borrow().len(), process.id);
    Ok(())
}

fn free(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (total, free) = memory();
    let files = process.files.tree.usage.pages() * PAGE as u64;
    let lines = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", files),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Shmem", files),
        ("CommitLimit", total),
        ("Committed_AS", total - free),
        ("AnonHugePages", 0),
    ];
    for (name, bytes) in lines {
        put!(text, "{:16}{:8} kB\n", alloc::format!("{name}:"), bytes / 1024);
    }
    put!(text, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    Ok(())
}

fn stat(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let used = process.cpu.get() / TICK;
    let idle = (clock::monotonic() / TICK).saturating_sub(used);
    put!(text, "cpu  {used} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {used} 0 0 {idle} 0 0 0 0 0 0\nintr 0\nctxt 0\n");
    let started = clock::wall().saturating_sub(clock::monotonic()) / SECOND;
    put!(text, "btime {started}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
    Ok(())
}

fn descriptors(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{}\t0\t1048576\n", process.files.table.borrow().open().count());
    Ok(())
}

fn host(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    lossy(text, &hostname(process));
    text.push('\n');
    Ok(())
}

fn domain(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    lossy(text, process.facts.domain.borrow().as_deref().unwrap_or(b"(none)"));
    text.push('\n');
    Ok(())
}

fn release(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{RELEASE}\n");
    Ok(())
}

fn version(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{VERSION}\n");
    Ok(())
}

fn full_version(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "Linux version {RELEASE} (kernlet) {VERSION}\n");
    Ok(())
}

/// Random bytes as RFC 9562, version 4, has them.
fn unique(text: &mut String, mut bytes: [u8; 16]) {
    bytes[6] = bytes[6] & 0xf | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (i, byte) in bytes.into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        put!(text, "{byte:02x}");
    }
    text.push('\n');
}

fn random(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let mut bytes = [0; 16];
    kernlet_entropy::fill(&mut bytes);
    unique(text, bytes);
    Ok(())
}

fn boot(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    unique(text, process.files.tree.boot);
    Ok(())
}

fn uptime(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let up = clock::monotonic();
    let idle = up.saturating_sub(process.cpu.get());
    let shown = |time: u64| (time / SECOND, time % SECOND / 10_000_000);
    let ((up, part), (idle, rest)) = (shown(up), shown(idle));
    put!(text, "{up}.{part:02} {idle}.{rest:02}\n");
    Ok(())
}
