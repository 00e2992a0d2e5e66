//! What is told of a process and its threads: /proc/PID and /proc/PID/task/TID.

use super::super::description::Kind;
use super::super::tree::Sort;
use super::{Made, constant, lossy, put};
use crate::memory::Object;
use crate::process::Process;
use crate::system::Limit;
use crate::{Errno, PAGE};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use kernlet_platform::{boot, program, sealed};
use kernlet_wire::manifest::Manifest;

/// Ticks of a second, as sysconf(3) tells.
const TICKS: u64 = 100;
const TICK: u64 = 1_000_000_000 / TICKS;

pub(super) static FILES: &[Made] = &[
    Made::new("cgroup", constant!("0::/\n")),
    Made::new("cmdline", arguments),
    Made { path: "comm", make: name, set: Some(set_name) },
    Made { path: "coredump_filter", make: constant!("00000000\n"), set: Some(ignore) },
    Made::new("environ", environment),
    Made::new(
        "io",
        constant!(
            "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"
        ),
    ),
    Made::new("limits", limits),
    Made::new("maps", maps),
    Made::new("mountinfo", mount_details),
    Made::new("mounts", mounts),
    Made::new("oom_score", constant!("0\n")),
    Made { path: "oom_score_adj", make: constant!("0\n"), set: Some(ignore) },
    Made::new("stat", stat),
    Made::new("statm", memory),
    Made::new("status", status),
    Made::new("wchan", constant!("0")),
];

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
    let used = match &thread {
        Some(thread) if id != process.id => thread.cpu.get(),
        _ => process.cpu.get(),
    };
    let facts = &process.facts;
    put!(text, "{id} (");
    lossy(text, &thread_name(process, id));
    // The fields from the third on, as proc(5) numbers them.
    put!(text, ") R 0 {} {} 0 -1 4194304 0 0 0 0", facts.group.get(), facts.session.get());
    let nice = i32::from(facts.nice.get());
    let threads = process.threads.borrow().len();
    put!(text, " {} 0 0 0 {} {nice} {threads} 0 0", used / TICK, 20 + nice);
    put!(text, " {size} {} {}", program::resident() / PAGE, u64::MAX);
    put!(text, " 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    Ok(())
}

fn status(process: &Process, id: u32, text: &mut String) -> Result<(), Errno> {
    let (size, stack, code) = sizes(process);
    let kib = |bytes: usize| bytes / 1024;
    let resident = kib(program::resident());
    let who = process.credentials.borrow();
    put!(text, "Name:\t");
    lossy(text, &thread_name(process, id));
    put!(text, "\nUmask:\t{:04o}\nState:\tR (running)\n", process.files.umask.get());
    put!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{id}\nPPid:\t0\nTracerPid:\t0\n", process.id);
    let [real, effective, saved] = who.users;
    put!(text, "Uid:\t{real}\t{effective}\t{saved}\t{effective}\n");
    let [real, effective, saved] = who.groups;
    put!(text, "Gid:\t{real}\t{effective}\t{saved}\t{effective}\n");
    let descriptors = process.files.table.borrow().open().last().map_or(0, |(last, _)| last + 1);
    put!(text, "FDSize:\t{}\nGroups:\t", descriptors.max(64).unsigned_abs().next_power_of_two());
    who.others.iter().for_each(|group| put!(text, "{group} "));
    put!(text, "\nVmPeak:\t{:8} kB\nVmSize:\t{:8} kB\nVmLck:\t       0 kB\n", kib(size), kib(size));
    put!(text, "VmHWM:\t{resident:8} kB\nVmRSS:\t{resident:8} kB\nRssAnon:\t{resident:8} kB\n");
    put!(text, "VmStk:\t{:8} kB\nVmExe:\t{:8} kB\nVmSwap:\t       0 kB\n", kib(stack), kib(code));
    put!(text, "Threads:\t{}\n", process.threads.borrow().len());
    put!(text, "Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    if let Some(thread) = process.thread(id) {
        let [voluntary, other] = &thread.switches;
        put!(text, "voluntary_ctxt_switches:\t{}\n", voluntary.get());
        put!(text, "nonvoluntary_ctxt_switches:\t{}\n", other.get());
    }
    Ok(())
}

fn limits(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    put!(text, "{:25} {:20} {:20} {:10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let kinds = [
        ("Max file size", Limit::FileSize, "bytes"),
        ("Max stack size", Limit::Stack, "bytes"),
        ("Max core file size", Limit::Core, "bytes"),
        ("Max processes", Limit::Threads, "processes"),
        ("Max open files", Limit::Files, "files"),
        ("Max locked memory", Limit::Locked, "bytes"),
        ("Max pending signals", Limit::Signals, "signals"),
        ("Max msgqueue size", Limit::Queues, "bytes"),
        ("Max nice priority", Limit::Nice, ""),
        ("Max realtime priority", Limit::Priority, ""),
    ];
    for (name, kind, unit) in kinds {
        let shown = |limit: u64| match limit {
            u64::MAX => String::from("unlimited"),
            limit => alloc::format!("{limit}"),
        };
        let [soft, hard] = process.limits.both(kind);
        put!(text, "{name:25} {:20} {:20} {unit:10}\n", shown(soft), shown(hard));
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
    let open = process.files.get(descriptor as i32).map_err(|_| Errno::ENOENT)?;
    put!(text, "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t1\n", open.offset.get(), open.flags.get());
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
