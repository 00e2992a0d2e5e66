//! The qemu backend: a virtual machine with the devices that are granted, and no others.
//!
//! What the instance is told comes as the initial RAM disk, never on the command line: that is bounded and visible
//! to everybody. Its standard streams, the control channel and the trunk, which carries its sockets, are named virtio
//! console ports.

mod line;

use super::trunk::{Trunk, channel_of};
use super::{Channel, Guest, Start, StartError, blob, host};
use crate::grants::OpenVolume;
use crate::options::{Connect, Net};
use kernlet_broker::{Broker, Volume};
use kernlet_wire::boot::Published;
use kernlet_wire::{control, trunk};
use line::{CommandLine, Machine};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Another program than the one in PATH.
const PROGRAM: &str = "KERNLET_QEMU";
/// The accelerator to use, whatever the probe says: `kvm` or `tcg`.
const ACCELERATOR: &str = "KERNLET_QEMU_ACCEL";
/// Standard input comes through QEMU's own, a pipe: what was written before it closed still arrives, which a socket that
/// closes before the guest has opened its port would lose.
const INPUT: &str = "stdio,signal=off";
/// Roots up to this size are loaded into the guest's memory.
const LOADED_ROOT: u64 = 4 << 20;
/// Names of the ports, in the order of their descriptors.
const PORTS: [&str; 5] =
    ["kernlet.stdin", "kernlet.stdout", "kernlet.stderr", control::PORT_NAME, trunk::PORT_NAME];

pub(super) fn start(plan: Start<'_>) -> Result<Guest, StartError> {
    let machine = Machine::chosen()?;
    let program = find_program()?;
    let told = tell(&plan)?;

    let mut inherited: Vec<OwnedFd> = Vec::new();
    let mut pass = |descriptor: OwnedFd| {
        inherited.push(descriptor);
        inherited[inherited.len() - 1].as_raw_fd()
    };
    let image = plan.image.file().as_fd().try_clone_to_owned().map_err(host("cannot duplicate the image"))?;
    let kernel = kernel(&plan)?.map(&mut pass);
    check_memory(&plan, kernel.is_some())?;
    let (image, told) = (pass(image), pass(told));
    let (input, sink) = pipe_with(PipeFlags::CLOEXEC).map_err(host("cannot make a pipe"))?;
    rustix::io::ioctl_fionbio(&sink, true).map_err(host("cannot set up a pipe"))?;
    let broker = broker(&plan).map_err(host("cannot serve ports, connections and volumes"))?;
    let ports = if broker.is_some() { PORTS.len() } else { PORTS.len() - 1 };
    let mut ours = Vec::with_capacity(ports);
    let mut theirs = Vec::with_capacity(ports);
    for index in 0..ports {
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
    let linux = plan.image.manifest().kind == kernlet_image::manifest::Kind::Linux;
    let directory = |volume: &OpenVolume| {
        // A Linux program has them by the broker.
        let copy = (!volume.file && !linux).then(|| volume.descriptor.try_clone());
        copy.transpose().map_err(host("cannot duplicate a volume"))
    };
    let volumes: Vec<Option<i32>> = (plan.grants.volumes.iter())
        .map(|volume| Ok(directory(volume)?.map(&mut pass)))
        .collect::<Result<_, StartError>>()?;
    let tap = plan.grants.tap.as_ref().map(|tap| tap.try_clone().map(&mut pass)).transpose();
    let tap = tap.map_err(host("cannot duplicate a tap"))?;

    let mut line = CommandLine::default();
    line.machine(machine, &accelerator(), plan.options.memory).kernel(kernel.unwrap_or(image), told);
    if kernel.is_some() {
        line.disk(machine, image);
    }
    line.ports(machine, &theirs);
    line.network(machine, &plan.options.net, tap).volumes(machine, plan.grants, &volumes);

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
    let trunk = next().zip(broker).map(|(socket, broker)| Trunk::new(socket, &plan.grants.ports, broker));
    let trunk = trunk.transpose().map_err(host("cannot serve ports, connections and volumes"))?;
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
        trunk,
        remarks: Some(remarks),
        watched: None,
    })
}

/// Hardware virtualization where it is shown to work.
fn accelerator() -> String {
    let chosen = std::env::var(ACCELERATOR).ok().filter(|name| !name.is_empty());
    chosen.unwrap_or_else(|| if kernlet_sandbox::kvm_works() { "kvm" } else { "tcg" }.into())
}

/// What QEMU loads instead of the image: the same without its root, when that is so large that the guest had better read
/// it from a disk.
fn kernel(plan: &Start<'_>) -> Result<Option<OwnedFd>, StartError> {
    if plan.image.root().is_none_or(|(_, length)| length <= LOADED_ROOT) {
        return Ok(None);
    }
    let kernel = plan.image.without_root().map_err(StartError::Image)?;
    let memory = memfd_create(c"kernlet-kernel", MemfdFlags::CLOEXEC).map_err(host("cannot make a file"))?;
    let mut file = std::fs::File::from(memory);
    std::io::Write::write_all(&mut file, &kernel).map_err(host("cannot write to memory"))?;
    Ok(Some(file.into()))
}

/// QEMU loads an image into what memory there is, and what lies beyond is lost.
fn check_memory(plan: &Start<'_>, root_on_disk: bool) -> Result<(), StartError> {
    let segments = plan.image.segments();
    let loaded = segments.iter().take(segments.len() - usize::from(root_on_disk));
    let end = loaded.map(|segment| segment.address + segment.memory_len).max().unwrap_or(0);
    if end <= plan.options.memory {
        return Ok(());
    }
    let problem = format!("not enough memory: the image alone fills {} MiB of a VM", end.div_ceil(1 << 20));
    Err(StartError::Unsupported(problem, "give it more than that by -m SIZE"))
}

/// Serves what goes over the trunk: connections, the volumes that are single files, which 9P has not, and all volumes of a
/// Linux program. `None` when there is nothing for a trunk to carry.
fn broker(plan: &Start<'_>) -> std::io::Result<Option<Broker>> {
    let linux = plan.image.manifest().kind == kernlet_image::manifest::Kind::Linux;
    let volumes: Vec<Volume> = (0..)
        .zip(&plan.grants.volumes)
        .filter(|(_, volume)| volume.file || linux)
        .map(|(id, v)| Ok(Volume::new(id, v.descriptor.try_clone()?, v.read_only, v.file)))
        .collect::<std::io::Result<_>>()?;
    if volumes.is_empty() && plan.options.connect.is_empty() && plan.grants.ports.is_empty() {
        return Ok(None);
    }
    let grants = plan.options.connect.iter().map(Connect::grant).collect();
    Ok(Some(Broker::new(volumes, grants).keeping_files()))
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
    for (index, port) in plan.grants.ports.iter().enumerate() {
        let channel = channel_of(index, port).and_then(|channel| i32::try_from(channel).ok());
        let descriptor = channel.unwrap_or(-1);
        told.published(Published { protocol: port.protocol, port: port.port, descriptor });
    }
    if let Net::Tap(tap) = &plan.options.net {
        told.nic(&tap.nic);
    }
    let file =
        memfd_create(c"kernlet-boot", MemfdFlags::CLOEXEC).map_err(host("cannot make a file in memory"))?;
    let mut file = std::fs::File::from(file);
    std::io::Write::write_all(&mut file, &told.finish()).map_err(host("cannot write a file in memory"))?;
    Ok(file.into())
}
