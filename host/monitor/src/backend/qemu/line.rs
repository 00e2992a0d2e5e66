//! QEMU's command line.

use super::super::StartError;
use super::PORTS;
use crate::grants::Grants;
use crate::options::Net;
use std::ffi::OsString;

/// Another machine than microvm: `q35`.
const MACHINE: &str = "KERNLET_QEMU_MACHINE";
/// The kernel's filter on QEMU's own system calls.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
/// QEMU's own first address, for a tap without one.
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

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

    /// A disk with the image's file, on which the guest finds a root that was not loaded.
    pub(super) fn disk(&mut self, machine: Machine, image: i32) -> &mut Self {
        let file = format!("driver=file,filename=/proc/self/fd/{image},node-name=file,read-only=on");
        self.add(["-blockdev".into(), file])
            .add(["-blockdev".into(), "driver=raw,file=file,node-name=image,read-only=on".into()])
            .add(["-device".into(), format!("{},drive=image", machine.device("blk"))])
    }

    pub(super) fn ports(&mut self, machine: Machine, backends: &[String]) -> &mut Self {
        self.add(["-device".into(), machine.device("serial")]);
        for (index, (name, backend)) in PORTS.iter().zip(backends).enumerate() {
            self.add(["-chardev".into(), format!("{backend},id=port{index}")])
                .add(["-device".into(), format!("virtserialport,chardev=port{index},name={name}")]);
        }
        self
    }

    /// An Ethernet device on a tap, if there is one; published ports and connections need none.
    pub(super) fn network(&mut self, machine: Machine, net: &Net, tap: Option<i32>) -> &mut Self {
        let (Net::Tap(options), Some(descriptor)) = (net, tap) else { return self };
        let [a, b, c, d, e, f] = options.nic.mac.unwrap_or(MAC);
        let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        self.add(["-netdev".into(), format!("tap,id=net,fd={descriptor},vhost=off")])
            .add(["-device".into(), format!("{},netdev=net,mac={mac}", machine.device("net"))])
    }

    /// The volumes that are directories, each with its descriptor.
    pub(super) fn volumes(&mut self, machine: Machine, grants: &Grants, fds: &[Option<i32>]) -> &mut Self {
        for (index, (volume, descriptor)) in grants.volumes.iter().zip(fds).enumerate() {
            let Some(descriptor) = descriptor else { continue };
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

#[cfg(test)]
mod tests {
    use super::super::INPUT;
    use super::*;

    fn joined(line: &CommandLine) -> String {
        line.0.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nothing_that_was_not_granted_is_on_the_command_line() {
        let mut line = CommandLine::default();
        let ports = [INPUT, "socket,fd=8", "socket,fd=9", "socket,fd=10"].map(String::from);
        line.machine(Machine::Microvm, "tcg", 64 << 20).kernel(5, 6).ports(Machine::Microvm, &ports);
        line.network(Machine::Microvm, &Net::Auto, None);
        let text = joined(&line);
        assert!(text.contains("-m 65536k") && text.contains("-kernel /proc/self/fd/5"), "{text}");
        assert!(text.contains("-chardev socket,fd=10,id=port3"), "{text}");
        assert!(!text.contains("-netdev") && !text.contains("-fsdev"), "{text}");
    }

    #[test]
    fn a_tap_is_an_ethernet_device_and_the_only_one() {
        let mut line = CommandLine::default();
        line.network(Machine::Q35, &"tap=t0,mac=02:00:00:00:00:01".parse().unwrap(), Some(9));
        assert_eq!(
            joined(&line),
            "-netdev tap,id=net,fd=9,vhost=off -device virtio-net-pci,netdev=net,mac=02:00:00:00:00:01"
        );
    }
}
