//! The DNS server in a VM against NSD in a guest with the kernel that Debian makes for virtual machines: both in QEMU
//! without hardware's help, with one processor, the same kind of device on a tap, and the zone in their root.

use super::{LOADED, Server, alternate, first, server_at, thousands, zone};
use crate::cpu;
use crate::debian::{self, Guest, Service};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::peer;
use crate::place::{Running, tool};
use crate::report::{Report, median, milliseconds};
use crate::tap::Tap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zone::{Mix, Query};

/// The guests' Ethernet address, each in a network of its own.
const MAC: &str = "02:00:00:00:00:02";
/// Memory in which both must work, in MB; the most that is tried.
const PLENTY: u32 = 256;
/// A guest that has not answered after this long, many times what Debian's takes, never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// For Linux: little is written to the serial port, which is slow, and a panic ends the machine.
const LINUX: &str = "console=ttyS0 quiet panic=-1";

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "vm-guest")]
pub struct Options {
    #[command(flatten)]
    load: super::Options,
    /// How often each is started
    #[arg(long, default_value_t = 7)]
    starts: usize,
}

/// One of the two.
struct Side<'a> {
    name: &'static str,
    tap: &'a Tap,
    /// The command that starts it with so much memory in MB.
    command: Box<dyn Fn(u32) -> Command + 'a>,
}

/// Alternates between the two. Makes two taps, which root may.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let taps = [Tap::make(2)?, Tap::make(3)?];
    for tap in &taps {
        tap.known_as(MAC)?;
    }
    let mut kernlet = Kernlet::find(kernlet)?;
    let root = kernlet.place.create_dir("root")?;
    kernlet.place.create_dir("root/zones")?;
    let text = zone::master_file(zone::NAMES);
    kernlet.place.write(&format!("root/zones/{}.zone", zone::ORIGIN), &text)?;
    let image = kernlet.build_with_root("apps/dns", &root)?;
    let guest = nsd_guest(&kernlet, &taps[1], &text)?;
    let qemu = tool("qemu-system-x86_64", "qemu-system-x86")?;
    // Whether users may open /dev/net/tun is up to the machine.
    kernlet.place.as_caller();
    let sides = [
        Side {
            name: "kernlet",
            tap: &taps[0],
            command: Box::new(|memory| ours(&kernlet, &image, &taps[0], memory)),
        },
        Side {
            name: "NSD",
            tap: &taps[1],
            command: Box::new(|memory| theirs(&kernlet, &qemu, &guest, &taps[1], memory)),
        },
    ];
    let queries = zone::queries(Mix::default());

    start(&sides, options.starts, &queries, report)?;
    let least = [least(&sides[0], &queries)?, least(&sides[1], &queries)?];
    report.ratio(goals::GUEST_MEMORY, least[0], least[1], |mb| format!("{mb:.0} MB"));
    rate(&sides, options, &queries, report)
}

/// Answers per second, with both running, loaded in turn.
fn rate(
    sides: &[Side<'_>; 2],
    options: &Options,
    queries: &[Query],
    report: &mut Report,
) -> Result<(), BenchError> {
    let running = [sides[0].spawn(PLENTY)?, sides[1].spawn(PLENTY)?];
    let server = |index: usize| -> Result<Server<'_>, BenchError> {
        let Side { name, .. } = sides[index];
        let address = sides[index].address();
        // QEMU has all of its threads when it answers.
        first::answer_within(address, queries, Instant::now(), LOADED)
            .map_err(BenchError::io(name))?
            .ok_or_else(|| BenchError::Silent(name.into()))?;
        server_at(name, address, queries, cpu::family(running[index].pid()))
    };
    let mut servers = [server(0)?, server(1)?];
    alternate(&mut servers, &options.load)?;
    let [ours, theirs] = &servers;
    report.ratio(goals::GUEST_RATE, ours.rate(), theirs.rate(), thousands);
    report.ratio(goals::GUEST_CORE, ours.per_core(), theirs.per_core(), thousands);
    Ok(())
}

/// Spawn to first right answer.
fn start(
    sides: &[Side<'_>; 2],
    rounds: usize,
    queries: &[Query],
    report: &mut Report,
) -> Result<(), BenchError> {
    let mut times = [vec![], vec![]];
    for _ in 0..rounds.max(1) {
        for (side, times) in sides.iter().zip(&mut times) {
            let time = side.first_answer(PLENTY, queries)?;
            let time = milliseconds(time.ok_or_else(|| BenchError::Silent(side.name.into()))?);
            eprintln!("{:<8} {time:.0} ms to the first answer", side.name);
            times.push(time);
        }
    }
    let [ours, theirs] = times.map(median);
    report.ratio(goals::GUEST_START, ours, theirs, |ms| format!("{ms:.0} ms"));
    Ok(())
}

/// The least memory in which one answers, in MB, by halving.
fn least(side: &Side<'_>, queries: &[Query]) -> Result<f64, BenchError> {
    let (mut fails, mut enough) = (0, PLENTY);
    while enough - fails > 1 {
        let middle = (fails + enough) / 2;
        let answers = side.first_answer(middle, queries)?.is_some();
        eprintln!("{:<8} {middle} MB {}", side.name, if answers { "are enough" } else { "are too little" });
        *(if answers { &mut enough } else { &mut fails }) = middle;
    }
    Ok(enough.into())
}

impl Side<'_> {
    fn address(&self) -> SocketAddr {
        (self.tap.guest, 53).into()
    }

    fn spawn(&self, memory: u32) -> Result<Running, BenchError> {
        let mut command = (self.command)(memory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running(command.spawn().map_err(BenchError::io(self.name))?))
    }

    /// Starts it and ends it; how long it took to answer, or nothing when it did not.
    fn first_answer(&self, memory: u32, queries: &[Query]) -> Result<Option<Duration>, BenchError> {
        let start = Instant::now();
        let mut running = self.spawn(memory)?;
        while start.elapsed() < PATIENCE && !running.ended() {
            // In steps, so that a machine that ended is not waited for.
            let patience = (start.elapsed() + Duration::from_secs(1)).min(PATIENCE);
            let answer = first::answer_within(self.address(), queries, start, patience);
            if let Some(time) = answer.map_err(BenchError::io(self.name))? {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }
}

fn ours(kernlet: &Kernlet, image: &Path, tap: &Tap, memory: u32) -> Command {
    let mut command = kernlet.command();
    let net = format!("tap={},ip={}/24,mac={MAC}", tap.name, tap.guest);
    command.args(["run", "--rm", "-b", "qemu", "-m", &format!("{memory}M"), "--net", &net]).arg(image);
    // What is compared is the same QEMU: not KVM on one side.
    command.env("KERNLET_QEMU_ACCEL", "tcg");
    command
}

/// On q35: in microvm this kernel finds no timer by which to measure the others, and some starts hang; those that do not take
/// about as long as on q35.
fn theirs(kernlet: &Kernlet, qemu: &PathBuf, guest: &Guest, tap: &Tap, memory: u32) -> Command {
    let mut command = kernlet.place.command(qemu);
    let net = format!("tap,id=net,ifname={},script=no,downscript=no,vnet_hdr=on,vhost=off", tap.name);
    command.args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m"]);
    command.arg(format!("{memory}M")).args(["-nodefaults", "-no-user-config", "-display", "none"]);
    command.args(["-no-reboot", "-serial", "null", "-netdev", &net]);
    command.args(["-device", &format!("virtio-net-pci,netdev=net,mac={MAC}")]);
    command.arg("-kernel").arg(&guest.kernel).arg("-initrd").arg(&guest.initramfs).args(["-append", LINUX]);
    command
}

fn nsd_guest(kernlet: &Kernlet, tap: &Tap, zone: &str) -> Result<Guest, BenchError> {
    let config = peer::nsd_config(&format!("{}@53", tap.guest), "/zones", "/run", "username: \"\"");
    let service = Service {
        program: &tool("nsd", "nsd")?,
        arguments: &["-d", "-c", "/etc/nsd.conf"],
        files: &[("etc/nsd.conf", &config), (&format!("zones/{}.zone", zone::ORIGIN), zone)],
        address: &format!("{}/24", tap.guest),
    };
    debian::guest(&kernlet.place, &service)
}
