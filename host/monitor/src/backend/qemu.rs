//! The qemu backend: a virtual machine with the devices that are granted, and no others.
//!
//! What the instance is told comes as the initial RAM disk, never on the command line: that is bounded and visible
//! to everybody. Its standard streams and the control channel are named virtio console ports.

use super::relay::{GUEST_ADDRESS, GUEST_MAC, Relay};
use super::{Channel, Guest, Start, StartError, blob, host};
use crate::grants::Grants;
use crate::options::Net;
use kernlet_wire::boot::{Address, NicConfig, Protocol};
use kernlet_wire::control::PORT_NAME;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Another program than the one in PATH.
const PROGRAM: &str = "KERNLET_QEMU";
/// Another machine than microvm: `q35`.
const MACHINE: &str = "KERNLET_QEMU_MACHINE";
/// Another accelerator than tcg: `kvm`, where it is known to work. A /dev/kvm that opens may still fail.
const ACCELERATOR: &str = "KERNLET_QEMU_ACCEL";
/// The host's address in QEMU's user network.
const GATEWAY: [u8; 4] = [10, 0, 2, 2];
/// The kernel's filter on QEMU's own system calls.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
/// Standard input comes through QEMU's own, a pipe: what was written before it closed still arrives, which a socket that
/// closes before the guest has opened its port would lose.
const INPUT: &str = "stdio,signal=off";
/// Names of the ports, in the order of their descriptors.
const PORTS: [&str; 4] = ["kernlet.stdin", "kernlet.stdout", "kernlet.stderr", PORT_NAME];

/// The kind of bus that devices are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    Microvm,
    Q35,
}

impl Machine {
    fn chosen() -> Result<Self, StartError> {
        match std::env::var(MACHINE).as_deref() {
            Err(_) | Ok("" | "microvm") => Ok(Self::Microvm),
            Ok("q35") => Ok(Self::Q35),
            Ok(other) => {
                let problem = format!("{MACHINE}={other}: this kernlet knows no such machine");
                Err(StartError::Unsupported(problem, "it is microvm (also when unset) or q35"))
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Microvm => "microvm",
            Self::Q35 => "q35",
        }
    }

    /// The name of a virtio device on this machine's bus.
    fn device(self, kind: &str) -> String {
        match self {
            Self::Microvm => format!("virtio-{kind}-device"),
            Self::Q35 => format!("virtio-{kind}-pci"),
        }
    }
}

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
    let volumes: Vec<i32> = plan
        .grants
        .volumes
        .iter()
        .map(|volume| Ok(pass(volume.descriptor.try_clone().map_err(host("cannot duplicate a volume"))?)))
        .collect::<Result<_, StartError>>()?;

    let relay = match plan.options.net {
        Net::Auto => Relay::open(&plan.grants.ports).map_err(host("cannot carry datagrams"))?,
        Net::None | Net::Tap(_) => None,
    };
    let (relay, frames) = relay.map(|(relay, frames)| (relay, pass(frames))).unzip();

    let tap = plan.grants.tap.as_ref().map(|tap| tap.try_clone().map(&mut pass)).transpose();
    let ethernet = frames.or(tap.map_err(host("cannot duplicate a tap"))?);

    let mut line = CommandLine::default();
    line.machine(machine, plan.options.memory).kernel(image, told).ports(machine, &theirs);
    line.network(machine, plan.grants, &plan.options.net, ethernet)?.volumes(
        machine,
        plan.grants,
        &volumes,
    )?;
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

/// QEMU's arguments.
#[derive(Debug, Default)]
struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn add<const N: usize>(&mut self, arguments: [String; N]) -> &mut Self {
        self.0.extend(arguments.map(OsString::from));
        self
    }

    fn machine(&mut self, machine: Machine, memory: u64) -> &mut Self {
        let accelerator = std::env::var(ACCELERATOR).ok().filter(|name| !name.is_empty());
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        self.0
            .extend(words("-nodefaults -no-user-config -no-reboot -display none -serial none -monitor none"));
        self.0.extend(words("-cpu max -smp 1 -device isa-debug-exit,iobase=0x501,iosize=1"));
        self.add(["-M".into(), machine.name().into(), "-accel".into(), accelerator.unwrap_or("tcg".into())])
            .add(["-m".into(), format!("{}k", memory >> 10), "-sandbox".into(), SANDBOX.into()])
            .add(["-device".into(), machine.device("rng")])
    }

    fn kernel(&mut self, image: i32, told: i32) -> &mut Self {
        self.add(["-kernel".into(), format!("/proc/self/fd/{image}")])
            .add(["-initrd".into(), format!("/proc/self/fd/{told}")])
    }

    fn ports(&mut self, machine: Machine, backends: &[String]) -> &mut Self {
        self.add(["-device".into(), machine.device("serial")]);
        for (index, (name, backend)) in PORTS.iter().zip(backends).enumerate() {
            self.add(["-chardev".into(), format!("{backend},id=port{index}")])
                .add(["-device".into(), format!("virtserialport,chardev=port{index},name={name}")]);
        }
        self
    }

    /// One device: a tap, or a network of the machine's own. There TCP ports are forwarded by QEMU's user network,
    /// datagrams carried by the relay; who needs both has a hub between them. `ethernet` is the tap's descriptor, or
    /// the relay's.
    fn network(
        &mut self,
        machine: Machine,
        grants: &Grants,
        net: &Net,
        ethernet: Option<i32>,
    ) -> Result<&mut Self, StartError> {
        let mut mac = GUEST_MAC;
        if let Net::Tap(tap) = net {
            if !grants.ports.is_empty() {
                let problem =
                    "-p: an instance on the backend qemu has published ports or a tap, not both".into();
                let mend =
                    "leave out -p: on a tap the instance has an address of its own, with all its ports";
                return Err(StartError::Unsupported(problem, mend));
            }
            let descriptor = ethernet.unwrap_or(-1);
            self.add(["-netdev".into(), format!("tap,id=net,fd={descriptor},vhost=off")]);
            mac = tap.nic.mac.unwrap_or(mac);
        } else {
            let mut user = "user,restrict=on,ipv6=off".to_string();
            let streams = grants.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
            for port in streams.clone() {
                user.push_str(&forward(port.host, port.port)?);
            }
            let datagrams = ethernet.map(|descriptor| format!("socket,fd={descriptor}"));
            match (streams.count() > 0, datagrams) {
                (false, None) => return Ok(self),
                (true, None) => drop(self.add(["-netdev".into(), format!("{user},id=net")])),
                (false, Some(datagrams)) => drop(self.add(["-netdev".into(), format!("{datagrams},id=net")])),
                (true, Some(datagrams)) => {
                    for (index, backend) in [user, datagrams].into_iter().enumerate() {
                        self.add(["-netdev".into(), format!("{backend},id=side{index}")]);
                        let side = format!("hubport,id=hub{index},hubid=0,netdev=side{index}");
                        self.add(["-netdev".into(), side]);
                    }
                    self.add(["-netdev".into(), "hubport,id=net,hubid=0".into()]);
                }
            }
        }
        let [a, b, c, d, e, f] = mac;
        let device = format!(
            "{},netdev=net,mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}",
            machine.device("net")
        );
        Ok(self.add(["-device".into(), device]))
    }

    fn volumes(&mut self, machine: Machine, grants: &Grants, fds: &[i32]) -> Result<&mut Self, StartError> {
        for (index, (volume, descriptor)) in grants.volumes.iter().zip(fds).enumerate() {
            if volume.file {
                let problem = format!(
                    "-v {}: the backend qemu has directories as volumes, no files",
                    volume.host.display()
                );
                return Err(StartError::Unsupported(problem, "name the directory that the file is in"));
            }
            let read_only = if volume.read_only { ",readonly=on" } else { "" };
            let path = format!("/proc/self/fd/{descriptor}");
            self.add([
                "-fsdev".into(),
                format!("local,id=vol{index},path={path},security_model=none{read_only}"),
            ])
            .add([
                "-device".into(),
                format!("{},fsdev=vol{index},mount_tag=vol{index}", machine.device("9p")),
            ]);
        }
        Ok(self)
    }
}

/// A TCP port that QEMU's user network forwards.
fn forward(outside: std::net::SocketAddr, inside: u16) -> Result<String, StartError> {
    let [a, b, c, d] = GUEST_ADDRESS;
    if outside.is_ipv6() {
        let problem = format!("-p {outside}:{inside}: QEMU forwards no TCP ports of IPv6 addresses");
        return Err(StartError::Unsupported(
            problem,
            "publish on an IPv4 address, or use the backend process",
        ));
    }
    Ok(format!(",hostfwd=tcp:{outside}-{a}.{b}.{c}.{d}:{inside}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::BoundPort;

    fn joined(line: &CommandLine) -> String {
        line.0.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nothing_that_was_not_granted_is_on_the_command_line() {
        let mut line = CommandLine::default();
        let ports = [INPUT, "socket,fd=8", "socket,fd=9", "socket,fd=10"].map(String::from);
        line.machine(Machine::Microvm, 64 << 20).kernel(5, 6).ports(Machine::Microvm, &ports);
        line.network(Machine::Microvm, &Grants::default(), &Net::Auto, None).unwrap();
        let text = joined(&line);
        assert!(text.contains("-m 65536k") && text.contains("-kernel /proc/self/fd/5"), "{text}");
        assert!(text.contains("-chardev socket,fd=10,id=port3"), "{text}");
        assert!(!text.contains("-netdev") && !text.contains("-fsdev"), "{text}");
    }

    fn port(protocol: Protocol, host: &str) -> BoundPort {
        BoundPort { protocol, port: 53, host: host.parse().unwrap(), socket: None }
    }

    #[test]
    fn streams_are_forwarded_datagrams_carried_and_the_rest_restricted() {
        let line = |ports: Vec<BoundPort>, relay| {
            let grants = Grants { ports, ..Grants::default() };
            let mut line = CommandLine::default();
            line.network(Machine::Q35, &grants, &Net::Auto, relay).map(|line| joined(line))
        };
        let stream = || port(Protocol::Tcp, "127.0.0.1:5353");
        let device = " -device virtio-net-pci,netdev=net,mac=52:54:00:12:34:56";
        assert_eq!(
            line(vec![stream()], None).unwrap(),
            format!(
                "-netdev user,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:5353-10.0.2.15:53,id=net{device}"
            )
        );
        let datagram = || port(Protocol::Udp, "[::1]:5353");
        assert_eq!(line(vec![datagram()], Some(9)).unwrap(), format!("-netdev socket,fd=9,id=net{device}"));
        let both = line(vec![stream(), datagram()], Some(9)).unwrap();
        assert!(both.contains("hubid=0,netdev=side1 -netdev hubport,id=net,hubid=0 -device"), "{both}");
        assert!(line(vec![port(Protocol::Tcp, "[::1]:5353")], None).is_err());
    }
}
