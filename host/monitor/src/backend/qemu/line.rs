//! QEMU's command line.

use super::super::StartError;
use super::super::relay::{GUEST_ADDRESS, GUEST_MAC};
use super::PORTS;
use crate::grants::Grants;
use crate::options::Net;
use kernlet_wire::boot::Protocol;
use std::ffi::OsString;

/// Another machine than microvm: `q35`.
const MACHINE: &str = "KERNLET_QEMU_MACHINE";
/// The kernel's filter on QEMU's own system calls.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
/// The kind of bus that devices are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Microvm,
    Q35,
}

impl Machine {
    pub(super) fn chosen() -> Result<Self, StartError> {
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

/// QEMU's arguments.
#[derive(Debug, Default)]
pub(super) struct CommandLine(pub(super) Vec<OsString>);

impl CommandLine {
    fn add<const N: usize>(&mut self, arguments: [String; N]) -> &mut Self {
        self.0.extend(arguments.map(OsString::from));
        self
    }

    pub(super) fn machine(&mut self, machine: Machine, accelerator: &str, memory: u64) -> &mut Self {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        self.0
            .extend(words("-nodefaults -no-user-config -no-reboot -display none -serial none -monitor none"));
        self.0.extend(words("-cpu max -smp 1 -device isa-debug-exit,iobase=0x501,iosize=1"));
        self.add(["-M".into(), machine.name().into(), "-accel".into(), accelerator.into()])
            .add(["-m".into(), format!("{}k", memory >> 10), "-sandbox".into(), SANDBOX.into()])
            .add(["-device".into(), machine.device("rng")])
    }

    pub(super) fn kernel(&mut self, image: i32, told: i32) -> &mut Self {
        self.add(["-kernel".into(), format!("/proc/self/fd/{image}")])
            .add(["-initrd".into(), format!("/proc/self/fd/{told}")])
    }

    pub(super) fn ports(&mut self, machine: Machine, backends: &[String]) -> &mut Self {
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
    pub(super) fn network(
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

    pub(super) fn volumes(&mut self, machine: Machine, grants: &Grants, fds: &[i32]) -> &mut Self {
        for (index, (volume, descriptor)) in grants.volumes.iter().zip(fds).enumerate() {
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
        self
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
    use super::super::INPUT;
    use super::*;
    use crate::grants::BoundPort;

    fn joined(line: &CommandLine) -> String {
        line.0.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nothing_that_was_not_granted_is_on_the_command_line() {
        let mut line = CommandLine::default();
        let ports = [INPUT, "socket,fd=8", "socket,fd=9", "socket,fd=10"].map(String::from);
        line.machine(Machine::Microvm, "tcg", 64 << 20).kernel(5, 6).ports(Machine::Microvm, &ports);
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
