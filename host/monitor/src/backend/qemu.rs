//! The qemu backend: a virtual machine with the devices that are granted, and no others.
//!
//! What the instance is told comes as the initial RAM disk, never on the command line: that is bounded and visible
//! to everybody. Its standard streams and the control channel are named virtio console ports.

mod line;

use super::relay::{GUEST_ADDRESS, Relay};
use super::{Channel, Guest, Start, StartError, blob, host};
use crate::grants::OpenVolume;
use crate::options::Net;
use kernlet_wire::boot::{Address, NicConfig, Protocol};
use kernlet_wire::control::PORT_NAME;
use line::{CommandLine, Machine};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Another program than the one in PATH.
const PROGRAM: &str = "KERNLET_QEMU";
/// The accelerator to use, whatever the probe says: `kvm` or `tcg`.
const ACCELERATOR: &str = "KERNLET_QEMU_ACCEL";
/// The host's address in QEMU's user network.
const GATEWAY: [u8; 4] = [10, 0, 2, 2];
/// What the library OS calls the file in the tree of a volume that is a single file.
const SINGLE_FILE: &str = "file";
/// Standard input comes through QEMU's own, a pipe: what was written before it closed still arrives, which a socket that
/// closes before the guest has opened its port would lose.
const INPUT: &str = "stdio,signal=off";
/// Names of the ports, in the order of their descriptors.
const PORTS: [&str; 4] = ["kernlet.stdin", "kernlet.stdout", "kernlet.stderr", PORT_NAME];

pub(super) fn start(plan: Start<'_>) -> Result<Guest, StartError> {
    let machine = Machine::chosen()?;
    if let Some(grant) = plan.options.connect.first() {
        let problem = format!("--allow-connect {grant}: the backend qemu makes no outgoing connections");
        let mend = "use `-b process`, or give the program a network of its own with --net tap=IFNAME";
        return Err(StartError::Unsupported(problem, mend));
    }
    let program = find_program()?;
    let told = tell(&plan)?;

    let mut inherited: Vec<OwnedFd> = Vec::new();
    let mut pass = |descriptor: OwnedFd| {
        inherited.push(descriptor);
        inherited[inherited.len() - 1].as_raw_fd()
    };
    let image = plan.image.file().as_fd().try_clone_to_owned().map_err(host("cannot duplicate the image"))?;
    let (image, told) = (pass(image), pass(told));
    let (input, sink) = pipe_with(PipeFlags::CLOEXEC).map_err(host("cannot make a pipe"))?;
    rustix::io::ioctl_fionbio(&sink, true).map_err(host("cannot set up a pipe"))?;
    let mut ours = Vec::with_capacity(PORTS.len());
    let mut theirs = Vec::with_capacity(PORTS.len());
    for index in 0..PORTS.len() {
        let (backend, end) = match (index, plan.terminal) {
            (0, None) => (INPUT.to_string(), None),
            (0 | 1, Some(pty)) => {
                let side = pass(pty.inside().map_err(host("cannot open the terminal"))?);
                // The device `pipe` opens a path both ways, `file` for writing: neither touches the terminal's modes.
                let device = if index == 0 { "pipe" } else { "file" };
                (format!("{device},path=/proc/self/fd/{side}"), None)
            }
            _ => {
                let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
                let (inner, outer) = pair.map_err(host("cannot make a socket pair"))?;
                rustix::io::ioctl_fionbio(&outer, true).map_err(host("cannot set up a socket"))?;
                (format!("socket,fd={}", pass(inner)), Some(outer))
            }
        };
        theirs.push(backend);
        ours.push(end);
    }
    let volumes: Vec<i32> = (0..)
        .zip(&plan.grants.volumes)
        .map(|(index, volume)| Ok(pass(tree(volume, &plan.folder.join(format!("volume{index}")))?)))
        .collect::<Result<_, StartError>>()?;

    let relay = match plan.options.net {
        Net::Auto => Relay::open(&plan.grants.ports).map_err(host("cannot carry datagrams"))?,
        Net::None | Net::Tap(_) => None,
    };
    let (relay, frames) = relay.map(|(relay, frames)| (relay, pass(frames))).unzip();

    let tap = plan.grants.tap.as_ref().map(|tap| tap.try_clone().map(&mut pass)).transpose();
    let ethernet = frames.or(tap.map_err(host("cannot duplicate a tap"))?);

    let mut line = CommandLine::default();
    line.machine(machine, &accelerator(), plan.options.memory).kernel(image, told).ports(machine, &theirs);
    line.network(machine, plan.grants, &plan.options.net, ethernet)?;
    line.volumes(machine, plan.grants, &volumes);
    // QEMU binds the TCP ports itself: let them go just before it does.
    let streams = plan.grants.ports.iter_mut().filter(|port| port.protocol == Protocol::Tcp);
    streams.for_each(|port| port.socket = None);

    let (remarks, complaints) = pipe_with(PipeFlags::CLOEXEC).map_err(host("cannot make a pipe"))?;
    for descriptor in &inherited {
        fcntl_setfd(descriptor, FdFlags::empty()).map_err(host("cannot pass a descriptor on"))?;
    }
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(line.0)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(complaints)
        .process_group(0)
        .spawn()
        .map_err(|error| {
            StartError::Qemu(format!("setpriv, which ends it with its monitor, failed: {error}"))
        })?;
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(host("cannot watch QEMU"))?;
    let mut ours = ours.into_iter();
    let mut next = || ours.next().flatten();
    let (_, stdout, stderr, control) = (next(), next(), next(), next());
    let control = control.ok_or_else(|| StartError::Qemu("there is no control channel".into()))?;
    let connected = plan.options.interactive && plan.terminal.is_none();
    let stdin = connected.then_some(sink);
    Ok(Guest {
        pid,
        pidfd,
        control: Channel::new(control),
        stdin,
        stdout,
        stderr,
        broker: None,
        relay,
        remarks: Some(remarks),
    })
}

/// Hardware virtualization where it is shown to work.
fn accelerator() -> String {
    let chosen = std::env::var(ACCELERATOR).ok().filter(|name| !name.is_empty());
    chosen.unwrap_or_else(|| if kernlet_sandbox::kvm_works() { "kvm" } else { "tcg" }.into())
}

/// The directory that 9P exports for a volume. For a single file it is a private one at `folder`, with a copy.
fn tree(volume: &OpenVolume, folder: &Path) -> Result<OwnedFd, StartError> {
    if !volume.file {
        return volume.descriptor.try_clone().map_err(host("cannot duplicate a volume"));
    }
    let path = volume.host.display();
    if !volume.read_only {
        let problem = format!("-v {path}: the backend qemu has single files as volumes for reading only");
        let mend = "add `:ro`, or name the directory that the file is in";
        return Err(StartError::Unsupported(problem, mend));
    }
    let copy = || {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir(folder)?;
        let file = format!("/proc/self/fd/{}", volume.descriptor.as_raw_fd());
        std::fs::copy(file, folder.join(SINGLE_FILE))?;
        std::fs::File::open(folder)
    };
    let copied = copy().map_err(|source| StartError::Volume { path: path.to_string(), source })?;
    Ok(copied.into())
}

fn find_program() -> Result<PathBuf, StartError> {
    if let Some(program) = std::env::var_os(PROGRAM).filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let name = "qemu-system-x86_64";
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| StartError::NoQemu(name.into()))
}

/// The boot blob, as a file in memory.
fn tell(plan: &Start<'_>) -> Result<OwnedFd, StartError> {
    let mut told = blob(plan)?;
    told.memory(plan.options.memory);
    // Published ports are forwarded to the machine's own address: there is nothing to tell about them.
    match &plan.options.net {
        Net::Tap(tap) => drop(told.nic(&tap.nic)),
        Net::Auto if !plan.grants.ports.is_empty() => {
            let address = Address::V4(GUEST_ADDRESS, 24);
            let gateway = Address::V4(GATEWAY, 0);
            let nic =
                NicConfig { mac: None, addresses: vec![address], gateways: vec![gateway], descriptor: -1 };
            told.nic(&nic);
        }
        Net::Auto | Net::None => {}
    }
    let file =
        memfd_create(c"kernlet-boot", MemfdFlags::CLOEXEC).map_err(host("cannot make a file in memory"))?;
    let mut file = std::fs::File::from(file);
    std::io::Write::write_all(&mut file, &told.finish()).map_err(host("cannot write a file in memory"))?;
    Ok(file.into())
}
