//! What is told of the system: /proc without processes, and /sys.

use super::{Made, Table, Told, cpu, lines, lossy, put};
use crate::process::Process;
use crate::system::{RELEASE, VERSION, hostname, memory};
use crate::{Errno, PAGE};
use alloc::string::String;
use core::fmt::Write;
use kernlet_platform::clock;

const SECOND: u64 = 1_000_000_000;
const TICK: u64 = SECOND / 100;

pub(super) static PROC: Table = Table {
    made: &[
        Made::new("cpuinfo", cpu::information),
        Made::new("loadavg", load),
        Made::new("meminfo", free),
        Made::new("stat", stat),
        Made::new("sys/fs/file-nr", descriptors),
        Made::new("sys/kernel/domainname", domain),
        Made::new("sys/kernel/hostname", host),
        Made::new("sys/kernel/osrelease", release),
        Made::new("sys/kernel/random/boot_id", boot),
        Made::new("sys/kernel/random/uuid", random),
        Made::new("sys/kernel/version", version),
        Made::new("uptime", uptime),
        Made::new("version", full_version),
        Made::new("vmstat", events),
    ],
    constants: concat!(
        "cgroups\x01#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n\0",
        "cmdline\x01\n\0",
        "devices\x01Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n\0",
        "diskstats\x01\0",
        "filesystems\x01nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tpipefs\nnodev\tsockfs\nnodev\tmqueue\nnodev\toverlay\nnodev\t9p\n\0",
        "interrupts\x01           CPU0\n\0",
        "modules\x01\0",
        "partitions\x01major minor  #blocks  name\n\n\0",
        "swaps\x01Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\0",
        "sys/fs/aio-max-nr\x0165536\n\0",
        "sys/fs/aio-nr\x010\n\0",
        "sys/fs/file-max\x011048576\n\0",
        "sys/fs/inotify/max_queued_events\x0116384\n\0",
        "sys/fs/inotify/max_user_instances\x011024\n\0",
        "sys/fs/inotify/max_user_watches\x0165536\n\0",
        "sys/fs/nr_open\x011048576\n\0",
        "sys/fs/overflowgid\x0165534\n\0",
        "sys/fs/overflowuid\x0165534\n\0",
        "sys/fs/pipe-max-size\x011048576\n\0",
        "sys/fs/pipe-user-pages-hard\x010\n\0",
        "sys/fs/pipe-user-pages-soft\x010\n\0",
        "sys/fs/protected_hardlinks\x010\n\0",
        "sys/fs/protected_symlinks\x010\n\0",
        "sys/fs/suid_dumpable\x010\n\0",
        "sys/kernel/cap_last_cap\x0140\n\0",
        "sys/kernel/core_pattern\x01core\n\0",
        "sys/kernel/core_uses_pid\x010\n\0",
        "sys/kernel/dmesg_restrict\x011\n\0",
        "sys/kernel/io_uring_disabled\x012\n\0",
        "sys/kernel/kptr_restrict\x012\n\0",
        "sys/kernel/msgmax\x018192\n\0",
        "sys/kernel/msgmnb\x0116384\n\0",
        "sys/kernel/msgmni\x0132000\n\0",
        "sys/kernel/ngroups_max\x0165536\n\0",
        "sys/kernel/ostype\x01Linux\n\0",
        "sys/kernel/overflowgid\x0165534\n\0",
        "sys/kernel/overflowuid\x0165534\n\0",
        "sys/kernel/panic\x010\n\0",
        "sys/kernel/perf_event_paranoid\x013\n\0",
        "sys/kernel/pid_max\x0132768\n\0",
        "sys/kernel/random/entropy_avail\x01256\n\0",
        "sys/kernel/random/poolsize\x01256\n\0",
        "sys/kernel/randomize_va_space\x012\n\0",
        "sys/kernel/sched_rr_timeslice_ms\x0110\n\0",
        "sys/kernel/seccomp/actions_avail\x01\n\0",
        "sys/kernel/sem\x0132000\t1024000000\t500\t32000\n\0",
        "sys/kernel/shm_rmid_forced\x010\n\0",
        "sys/kernel/shmall\x0118446744073692774399\n\0",
        "sys/kernel/shmmax\x0118446744073692774399\n\0",
        "sys/kernel/shmmni\x014096\n\0",
        "sys/kernel/tainted\x010\n\0",
        "sys/kernel/threads-max\x0132768\n\0",
        "sys/kernel/unprivileged_bpf_disabled\x012\n\0",
        "sys/kernel/yama/ptrace_scope\x013\n\0",
        "sys/net/core/somaxconn\x014096\n\0",
        "sys/net/ipv4/ip_forward\x010\n\0",
        "sys/net/ipv4/ip_local_port_range\x0132768\t60999\n\0",
        "sys/net/ipv4/ip_unprivileged_port_start\x010\n\0",
        "sys/net/ipv4/tcp_congestion_control\x01cubic\n\0",
        "sys/net/ipv4/tcp_fastopen\x010\n\0",
        "sys/net/ipv4/tcp_max_syn_backlog\x014096\n\0",
        "sys/net/ipv4/tcp_syncookies\x010\n\0",
        "sys/net/ipv6/bindv6only\x010\n\0",
        "sys/net/ipv6/conf/all/disable_ipv6\x010\n\0",
        "sys/net/unix/max_dgram_qlen\x01512\n\0",
        "sys/vm/drop_caches\x010\n\0",
        "sys/vm/hugetlb_shm_group\x010\n\0",
        "sys/vm/max_map_count\x0165530\n\0",
        "sys/vm/memfd_noexec\x010\n\0",
        "sys/vm/mmap_min_addr\x0165536\n\0",
        "sys/vm/nr_hugepages\x010\n\0",
        "sys/vm/nr_overcommit_hugepages\x010\n\0",
        "sys/vm/overcommit_kbytes\x010\n\0",
        "sys/vm/overcommit_memory\x011\n\0",
        "sys/vm/overcommit_ratio\x0150\n\0",
        "sys/vm/swappiness\x0160\n\0",
        "sys/vm/unprivileged_userfaultfd\x010\n\0",
        "sys/vm/zone_reclaim_mode\x010\n\0",
    )
    .as_bytes(),
};

pub(super) static SYS: Table = Table {
    made: &[
        Made::new("fs/cgroup/cgroup.procs", numbers),
        Made::new("fs/cgroup/cgroup.threads", threads),
        Made::new("fs/cgroup/memory.current", memory_used),
        Made::new("fs/cgroup/memory.max", memory_most),
        Made::new("fs/cgroup/pids.current", threads_used),
        Made::new("fs/cgroup/pids.max", threads_most),
    ],
    constants: concat!(
        "devices/system/cpu/cpu0/online\x011\n\0",
        "devices/system/cpu/cpu0/topology/core_cpus_list\x010\n\0",
        "devices/system/cpu/cpu0/topology/core_id\x010\n\0",
        "devices/system/cpu/cpu0/topology/core_siblings_list\x010\n\0",
        "devices/system/cpu/cpu0/topology/physical_package_id\x010\n\0",
        "devices/system/cpu/cpu0/topology/thread_siblings_list\x010\n\0",
        "devices/system/cpu/isolated\x01\n\0",
        "devices/system/cpu/kernel_max\x010\n\0",
        "devices/system/cpu/offline\x01\n\0",
        "devices/system/cpu/online\x010\n\0",
        "devices/system/cpu/possible\x010\n\0",
        "devices/system/cpu/present\x010\n\0",
        "devices/system/node/has_cpu\x010\n\0",
        "devices/system/node/has_memory\x010\n\0",
        "devices/system/node/node0/cpulist\x010\n\0",
        "devices/system/node/online\x010\n\0",
        "devices/system/node/possible\x010\n\0",
        "fs/cgroup/cgroup.controllers\x01cpu memory pids\n\0",
        "fs/cgroup/cgroup.subtree_control\x01\n\0",
        "fs/cgroup/cgroup.type\x01domain\n\0",
        "fs/cgroup/cpu.max\x01max 100000\n\0",
        "fs/cgroup/cpuset.cpus.effective\x010\n\0",
        "fs/cgroup/memory.high\x01max\n\0",
        "fs/cgroup/memory.swap.max\x010\n\0",
        "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages\x010\n\0",
        "kernel/mm/ksm/run\x010\n\0",
        "kernel/mm/transparent_hugepage/defrag\x01always defer defer+madvise madvise [never]\n\0",
        "kernel/mm/transparent_hugepage/enabled\x01always madvise [never]\n\0",
        "kernel/mm/transparent_hugepage/hpage_pmd_size\x012097152\n\0",
        "kernel/mm/transparent_hugepage/shmem_enabled\x01always within_size advise [never] deny force\n\0",
        "kernel/mm/transparent_hugepage/use_zero_page\x010\n\0",
    )
    .as_bytes(),
};

fn load(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "0.00 0.00 0.00 1/{} {}\n", process.threads.borrow().len(), process.id);
    Ok(())
}

fn free(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (total, free) = memory();
    let files = process.files.tree.usage.pages() * PAGE as u64;
    let names = "MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive SwapTotal SwapFree Dirty Writeback \
                 AnonPages Shmem Slab SReclaimable CommitLimit Committed_AS AnonHugePages";
    let used = total - free;
    let values = [total, free, free, 0, files, 0, used, 0, 0, 0, 0, 0, used, files, 0, 0, total, used, 0];
    lines(text, names, &values, Told::Kibibytes);
    put!(text, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    Ok(())
}

/// What vmstat(8) begins with; nothing here is ever swapped or taken back.
fn events(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (_, free) = memory();
    let files = process.files.tree.usage.pages();
    put!(text, "nr_free_pages {}\nnr_file_pages {files}\nnr_shmem {files}\n", free / PAGE as u64);
    text.push_str(
        "nr_dirty 0\nnr_writeback 0\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgmajfault 0\noom_kill 0\n",
    );
    Ok(())
}

fn numbers(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{}\n", process.id);
    Ok(())
}

fn threads(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    process.threads.borrow().iter().for_each(|(id, _)| put!(text, "{id}\n"));
    Ok(())
}

fn threads_used(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{}\n", process.threads.borrow().len());
    Ok(())
}

fn threads_most(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{}\n", crate::thread::MOST);
    Ok(())
}

fn memory_used(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (total, free) = memory();
    put!(text, "{}\n", total - free);
    Ok(())
}

fn memory_most(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    match kernlet_platform::boot::blob().memory() {
        Some(most) => put!(text, "{most}\n"),
        None => text.push_str("max\n"),
    }
    Ok(())
}

fn stat(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let [user, system] = process.cpu.split().map(|time| time / TICK);
    let idle = (clock::monotonic() / TICK).saturating_sub(user + system);
    for name in ["cpu ", "cpu0"] {
        put!(text, "{name} {user} 0 {system} {idle} 0 0 0 0 0 0\n");
    }
    text.push_str("intr 0\nctxt 0\n");
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
