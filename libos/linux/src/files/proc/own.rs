//! What is told of a process and its threads: /proc/PID and /proc/PID/task/TID.

use super::super::description::Kind;
use super::super::flags::CLOSE_ON_EXEC;
use super::super::tree::Sort;
use super::{Made, Table, Told, lines, lossy, put};
use crate::memory::Object;
use crate::process::Process;
use crate::system::{Limit, peak};
use crate::thread::Thread;
use crate::{Errno, PAGE};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use kernlet_platform::{boot, program, sealed};
use kernlet_wire::manifest::Manifest;

/// Ticks of a second, as sysconf(3) tells.
const TICKS: u64 = 100;
const TICK: u64 = 1_000_000_000 / TICKS;

/// The name of the auxiliary vector.
pub(super) const AUXILIARY: &str = "auxv";

pub(super) static FILES: Table = Table {
    made: &[
        Made::new(AUXILIARY, nothing),
        Made::new("cmdline", arguments),
        Made { path: "comm", make: name, set: Some(set_name) },
        Made { path: "coredump_filter", make: zeros, set: Some(ignore) },
        Made::new("environ", environment),
        Made::new("io", transfers),
        Made::new("limits", limits),
        Made::new("maps", maps),
        Made::new("mountinfo", mount_details),
        Made::new("mounts", mounts),
        Made { path: "oom_score_adj", make: zero, set: Some(ignore) },
        Made::new("personality", execution_domain),
        Made::new("schedstat", turns),
        Made::new("smaps_rollup", resident),
        Made::new("stat", stat),
        Made::new("statm", memory),
        Made::new("status", status),
    ],
    constants: concat!(
        "cgroup\x010::/\n\0",
        "children\x01\0",
        "cpuset\x01/\n\0",
        "gid_map\x01         0          0 4294967295\n\0",
        "loginuid\x014294967295\0",
        "oom_adj\x010\n\0",
        "oom_score\x010\n\0",
        "sessionid\x014294967295\0",
        "setgroups\x01allow\n\0",
        "syscall\x01running\n\0",
        "uid_map\x01         0          0 4294967295\n\0",
        "wchan\x010\0",
    )
    .as_bytes(),
};

fn nothing(_: &Process, _: u32, _: &mut String) -> Result<(), Errno> {
    Ok(())
}

fn zero(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    text.push_str("0\n");
    Ok(())
}

fn zeros(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    text.push_str("00000000\n");
    Ok(())
}

fn transfers(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    for (name, count) in ["rchar", "wchar", "syscr", "syscw"].iter().zip(&process.facts.moved) {
        put!(text, "{name}: {}\n", count.get());
    }
    // There is no disk.
    text.push_str("read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    Ok(())
}

fn execution_domain(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{:08x}\n", process.facts.personality.get());
    Ok(())
}

/// CPU time, time in the queue, which is not known, and turns.
fn turns(process: &Process, id: u32, text: &mut String) -> Result<(), Errno> {
    let thread = process.thread(id).ok_or(Errno::ESRCH)?;
    put!(text, "{} 0 {}\n", thread.cpu.get(), thread.switches[0].get());
    Ok(())
}

/// What is known of all areas together.
fn resident(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let space = process.space.borrow();
    let (Some(first), Some(last)) = (space.areas().first(), space.areas().last()) else { return Ok(()) };
    put!(text, "{:08x}-{:08x} ---p 00000000 00:00 0 ", first.pages.start, last.pages.end);
    text.push_str("                         [rollup]\n");
    let held = program::resident() as u64;
    let names = "Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous Swap SwapPss Locked";
    lines(text, names, &[held, held, 0, 0, 0, held, held, held, 0, 0, 0], Told::Kibibytes);
    Ok(())
}

/// What a thread does just now, as proc(5) has it.
fn state(process: &Process, id: u32) -> &'static str {
    match process.thread(id) {
        _ if process.signals.stopped.get() => "T (stopped)",
        Some(thread) if thread.waits.get() && !thread.cpu.runs() => "S (sleeping)",
        _ => "R (running)",
    }
}

/// What makes no difference here is taken.
fn ignore(_: &Process, _: u32, _: &[u8]) -> Result<(), Errno> {
    Ok(())
}

fn thread_name(process: &Process, id: u32) -> Vec<u8> {
    let name = process.thread(id).map(|thread| thread.name.get()).unwrap_or_default();
    name.split(|&b| b == 0).next().unwrap_or_default().to_vec()
}

fn name(process: &Process, id: u32, text: &mut String) -> Result<(), Errno> {
    lossy(text, &thread_name(process, id));
    text.push('\n');
    Ok(())
}

fn set_name(process: &Process, id: u32, bytes: &[u8]) -> Result<(), Errno> {
    let thread = process.thread(id).ok_or(Errno::ESRCH)?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut name = [0; 16];
    let length = bytes.len().min(15);
    name[..length].copy_from_slice(&bytes[..length]);
    thread.name.set(name);
    Ok(())
}

/// Each string with a 0 behind it.
fn strings<'s>(text: &mut String, strings: impl Iterator<Item = &'s [u8]>) {
    for string in strings {
        lossy(text, string);
        text.push('\0');
    }
}

fn arguments(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let blob = boot::blob();
    if blob.arguments().next().is_some() {
        strings(text, blob.arguments());
    } else if let Ok(manifest) = Manifest::parse(sealed::segment()) {
        strings(text, manifest.lead().chain(manifest.args()));
    }
    Ok(())
}

fn environment(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let blob = boot::blob();
    if blob.arguments().next().is_some() {
        strings(text, blob.environment());
    } else if let Ok(manifest) = Manifest::parse(sealed::segment()) {
        strings(text, manifest.env());
    }
    Ok(())
}

fn maps(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    for area in process.space.borrow().areas() {
        let (start, end, protection) = (area.pages.start, area.pages.end, area.protection);
        let bit = |set, letter| if set { letter } else { '-' };
        let (device, inode) = match &area.object {
            Object::File(file) => (file.device, file.inode),
            _ => (0, 0),
        };
        let before = text.len();
        put!(
            text,
            "{start:08x}-{end:08x} {}{}{}{} {:08x} {:02x}:{:02x} {inode} ",
            bit(protection.read, 'r'),
            bit(protection.write, 'w'),
            bit(protection.execute, 'x'),
            if area.shared { 's' } else { 'p' },
            if matches!(area.object, Object::File(_)) { area.offset } else { 0 },
            device >> 8,
            device & 0xff,
        );
        while text.len() - before < 73 {
            text.push(' ');
        }
        match &area.object {
            Object::File(file) => lossy(text, &file.path),
            Object::Heap => text.push_str("[heap]"),
            Object::Stack => text.push_str("[stack]"),
            Object::Vdso => text.push_str("[vdso]"),
            _ => text.truncate(text.trim_end().len()),
        }
        text.push('\n');
    }
    Ok(())
}

/// Bytes that are mapped, and of them those of stacks and of code.
fn sizes(process: &Process) -> (usize, usize, usize) {
    let space = process.space.borrow();
    let sum = |which: &dyn Fn(&crate::memory::Area) -> bool| {
        space.areas().iter().filter(|area| which(area)).map(crate::memory::Area::length).sum()
    };
    (sum(&|_| true), sum(&|area| matches!(area.object, Object::Stack)), sum(&|area| area.protection.execute))
}

fn memory(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    let (size, _, code) = sizes(process);
    let resident = program::resident() / PAGE;
    put!(text, "{} {resident} 0 {} 0 {resident} 0\n", size / PAGE, code / PAGE);
    Ok(())
}

fn stat(process: &Process, id: u32, text: &mut String) -> Result<(), Errno> {
    let (size, ..) = sizes(process);
    let thread = process.thread(id);
    let time = match &thread {
        Some(thread) if id != process.id => thread.cpu.split(),
        _ => process.cpu.split(),
    };
    let [user, system] = time.map(|time| time / TICK);
    let facts = &process.facts;
    put!(text, "{id} (");
    lossy(text, &thread_name(process, id));
    // The fields from the third on, as proc(5) numbers them.
    let (state, faults) = (char::from(state(process, id).as_bytes()[0]), peak(process) / PAGE);
    put!(text, ") {state} 0 {} {} 0 -1 4194304 {faults}", facts.group.get(), facts.session.get());
    let nice = i32::from(facts.nice.get());
    let threads = process.threads.borrow().len();
    put!(text, " 0 0 0 {user} {system} 0 0 {} {nice} {threads} 0 0", 20 + nice);
    put!(text, " {size} {} {} 1 1", program::resident() / PAGE, u64::MAX);
    // From the stack's beginning on; then pending, blocked, ignored and caught signals.
    put!(text, " {} 0 0", process.stack.get());
    let [pending, _, blocked, ignored, caught] = signals(process, thread.as_deref());
    let low = |set: u64| set & 0x7fff_ffff;
    put!(text, " {} {} {} {}", low(pending), low(blocked), low(ignored), low(caught));
    text.push_str(" 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    Ok(())
}

/// Signals that are pending for a thread and for the process, blocked, ignored, and caught.
fn signals(process: &Process, thread: Option<&Thread>) -> [u64; 5] {
    let [mut ignored, mut caught] = [0; 2];
    for number in 1..=64 {
        match process.signals.action(number).handler {
            0 => {}
            1 => ignored |= 1 << (number - 1),
            _ => caught |= 1 << (number - 1),
        }
    }
    let own = thread.map_or([0; 2], |thread| [thread.signals.pending.set(), thread.signals.mask.get()]);
    [own[0], process.signals.pending.set(), own[1], ignored, caught]
}

fn status(process: &Process, id: u32, text: &mut String) -> Result<(), Errno> {
    let (size, stack, code) = sizes(process);
    let (now, most) = (program::resident(), peak(process));
    let thread = process.thread(id);
    let who = process.credentials.borrow();
    put!(text, "Name:\t");
    lossy(text, &thread_name(process, id));
    put!(text, "\nUmask:\t{:04o}\nState:\t{}\n", process.files.umask.get(), state(process, id));
    let [process_id, thread_id] = [process.id, id].map(u64::from);
    lines(text, "Tgid Ngid Pid PPid TracerPid", &[process_id, 0, thread_id, 0, 0], Told::Number);
    for (name, [real, effective, saved], here) in
        [("Uid", who.users, who.filesystem[0]), ("Gid", who.groups, who.filesystem[1])]
    {
        put!(text, "{name}:\t{real}\t{effective}\t{saved}\t{here}\n");
    }
    let descriptors = process.files.table.borrow().open().last().map_or(0, |(last, _)| last + 1);
    put!(text, "FDSize:\t{}\nGroups:\t", descriptors.max(64).unsigned_abs().next_power_of_two());
    who.others.iter().for_each(|group| put!(text, "{group} "));
    text.push('\n');
    let group = process.facts.group.get().into();
    lines(text, "NStgid NSpid NSpgid", &[process_id, thread_id, group], Told::Number);
    let [size, most, now, stack, code] = [size, most, now, stack, code].map(|bytes| bytes as u64);
    let names = "VmPeak VmSize VmLck VmPin VmHWM VmRSS RssAnon RssFile RssShmem VmStk VmExe VmSwap";
    lines(text, names, &[size, size, 0, 0, most, now, now, 0, 0, stack, code, 0], Told::Kibibytes);
    let queued = process.signals.pending.queued();
    lines(text, "Threads", &[process.threads.borrow().len() as u64], Told::Number);
    put!(text, "SigQ:\t{queued}/{}\n", process.limits.get(Limit::Signals));
    let own = who.capabilities;
    let capabilities = [own.inheritable, own.permitted, own.effective, own.bounding, 0];
    lines(text, "SigPnd ShdPnd SigBlk SigIgn SigCgt", &signals(process, thread.as_deref()), Told::Bits);
    lines(text, "CapInh CapPrm CapEff CapBnd CapAmb", &capabilities, Told::Bits);
    let Some(thread) = thread else { return Ok(()) };
    let [voluntary, other] = thread.switches.each_ref().map(core::cell::Cell::get);
    lines(text, "NoNewPrivs Seccomp", &[thread.facts.no_new_privileges.get().into(), 0], Told::Number);
    text.push_str("Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    let names = "voluntary_ctxt_switches nonvoluntary_ctxt_switches";
    lines(text, names, &[voluntary, other], Told::Number);
    Ok(())
}

/// The kinds of limits by number, with their units.
const LIMITS: [(&str, &str); 16] = [
    ("cpu time", "seconds"),
    ("file size", "bytes"),
    ("data size", "bytes"),
    ("stack size", "bytes"),
    ("core file size", "bytes"),
    ("resident set", "bytes"),
    ("processes", "processes"),
    ("open files", "files"),
    ("locked memory", "bytes"),
    ("address space", "bytes"),
    ("file locks", "locks"),
    ("pending signals", "signals"),
    ("msgqueue size", "bytes"),
    ("nice priority", ""),
    ("realtime priority", ""),
    ("realtime timeout", "us"),
];

fn limits(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{:26}{:21}{:21}{:10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for ((name, unit), limits) in LIMITS.iter().zip(process.limits.all()) {
        put!(text, "Max {name:22}");
        for limit in limits {
            match limit {
                u64::MAX => put!(text, "{:21}", "unlimited"),
                limit => put!(text, "{limit:<21}"),
            }
        }
        put!(text, "{unit:10}\n");
    }
    Ok(())
}

/// A file system's type and options as mount(8) tells them.
fn sort(system: &super::System) -> (&'static str, &'static str) {
    let access = if system.read_only { "ro" } else { "rw" };
    let name = match &system.sort {
        Sort::Overlay(_) => "overlay",
        Sort::Tmpfs | Sort::Dev => "tmpfs",
        Sort::Pts => "devpts",
        Sort::Proc => "proc",
        Sort::Sys => "sysfs",
        Sort::Volume(_) => "9p",
    };
    (name, access)
}

fn mounts(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    for mount in process.files.tree.mounts.borrow().iter() {
        let (name, access) = sort(&mount.system);
        put!(text, "{name} ");
        escaped(text, &mount.path);
        put!(text, " {name} {access},noatime 0 0\n");
    }
    Ok(())
}

fn mount_details(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    for mount in process.files.tree.mounts.borrow().iter() {
        let (name, access) = sort(&mount.system);
        let device = mount.system.device;
        let parent = if mount.path == b"/" { 1 } else { 20 };
        put!(text, "{device} {parent} {}:{} / ", device >> 8, device & 0xff);
        escaped(text, &mount.path);
        put!(text, " {access},noatime - {name} {name} {access}\n");
    }
    Ok(())
}

/// A path without what separates fields: as getmntent(3) reads it.
fn escaped(text: &mut String, path: &[u8]) {
    for &byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => put!(text, "\\{byte:03o}"),
            _ => lossy(text, &[byte]),
        }
    }
}

/// /proc/PID/fdinfo/FD.
pub(super) fn descriptor(process: &Process, descriptor: u32, text: &mut String) -> Result<(), Errno> {
    let slot = process.files.table.borrow().get(descriptor as i32).cloned().map_err(|_| Errno::ENOENT)?;
    let open = slot.description;
    let flags = open.flags.get() | if slot.close_on_exec { CLOSE_ON_EXEC } else { 0 };
    put!(text, "pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t1\n", open.offset.get());
    match &open.kind {
        Kind::Regular(file) => put!(text, "ino:\t{}\n", file.node().number),
        Kind::PidFd(pidfd) => {
            let id = pidfd.number().map_or(-1, i64::from);
            put!(text, "Pid:\t{id}\nNSpid:\t{id}\n");
        }
        _ => {}
    }
    Ok(())
}
