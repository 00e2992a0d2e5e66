//! The VM door under QEMU's microvm: how many instructions a start takes, and how little memory will do. QEMU
//! starts the image file by itself, with no kernlet around it.

use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::{Running, tool};
use crate::report::Report;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// More than any start takes under emulation.
const PATIENCE: Duration = Duration::from_secs(10);
/// Memory in which everything must work, in MB.
const PLENTY: u32 = 64;
/// A query for the SOA record of the example zone that the DNS image carries.
const EXAMPLE: &[u8] =
    b"\x51\x0e\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x06\x00\x01";

/// Guest instructions from the 32-bit entry to the first packet. QEMU's dump of the network has the time of each packet
/// in microseconds of the machine's own clock, which under `-icount shift=0` are thousands of instructions.
pub fn network(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("bench/programs/vmnet")?;
    let dump = kernlet.place.path("packets");
    let filter = format!("filter-dump,id=dump,netdev=net,file={}", dump.display());
    let arguments = ["-icount", "shift=0", "-netdev", "user,id=net,restrict=on", "-object", &filter];
    let device = ["-device", "virtio-net-device,netdev=net"];
    let mut machine = Machine::start(&image, PLENTY, &[&arguments[..], &device].concat())?;
    let text = machine.output_until("entry: ", b'\n').unwrap_or_default();
    let entry = text.rsplit("entry: ").next().and_then(|text| text.trim().parse::<u64>().ok());
    let entry = entry.ok_or_else(|| BenchError::failed("vmnet", text.clone()))?;
    let started = Instant::now();
    let first = loop {
        // A header of 24 bytes, then of each packet: seconds, microseconds, two lengths.
        let bytes = std::fs::read(&dump).unwrap_or_default();
        if let Some(word) = bytes.get(28..32).and_then(|word| word.try_into().ok()) {
            break u64::from(u32::from_le_bytes(word));
        }
        if started.elapsed() > PATIENCE {
            return Err(BenchError::Silent("vmnet".into()));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    report.value(goals::VM_NETWORK, (first * 1000).saturating_sub(entry) as f64);
    Ok(())
}

/// Guest instructions from the 32-bit entry to main.
pub fn start(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("bench/programs/vmstart")?;
    let mut machine = Machine::start(&image, PLENTY, &["-icount", "shift=0"])?;
    let text = machine.output_until("instructions: ", b'\n');
    let count = text
        .as_deref()
        .and_then(|text| text.split("instructions: ").nth(1)?.lines().next()?.trim().parse().ok());
    let count = count.ok_or_else(|| BenchError::failed("counting instructions", text.unwrap_or_default()))?;
    report.value(goals::VM_START, count);
    Ok(())
}

/// The least `-m` with which hello prints, and the DNS server answers.
pub fn memory(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let hello = kernlet.build("apps/hello")?;
    report.value(goals::MEMORY_HELLO, least("hello", |memory| prints(&hello, memory))?);
    let dns = kernlet.build("apps/dns")?;
    report.value(goals::MEMORY_DNS, least("the DNS server", |memory| answers(&dns, memory))?);
    Ok(())
}

/// The least memory that works, in MB, by halving.
pub fn least(what: &str, works: impl Fn(u32) -> Result<bool, BenchError>) -> Result<f64, BenchError> {
    let (mut fails, mut enough) = (0, PLENTY);
    if !works(enough)? {
        return Err(BenchError::failed(format!("{what} in a VM with {enough} MB"), "it said nothing"));
    }
    while enough - fails > 1 {
        let middle = (fails + enough) / 2;
        if works(middle)? {
            enough = middle;
        } else {
            fails = middle;
        }
    }
    Ok(enough.into())
}

/// Whether an image prints a greeting in a VM with so much memory, in MB.
pub fn prints(image: &Path, memory: u32) -> Result<bool, BenchError> {
    Ok(Machine::start(image, memory, &[])?.output_until("Hello", b'!').is_some())
}

fn answers(image: &Path, memory: u32) -> Result<bool, BenchError> {
    let port = crate::dns::free_port()?;
    // Not restrict=on: QEMU's user network then drops what the guest answers to forwarded datagrams.
    let network = format!("user,id=net,hostfwd=udp:127.0.0.1:{port}-:53");
    let arguments = ["-netdev", &network, "-device", "virtio-net-device,netdev=net"];
    let mut machine = Machine::start(image, memory, &arguments)?;
    let started = Instant::now();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| {
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(socket)
    });
    let socket = socket.map_err(BenchError::io("a socket"))?;
    let mut reply = [0; 1500];
    while started.elapsed() < PATIENCE && !machine.process.ended() {
        let length = socket.send(EXAMPLE).and_then(|_| socket.recv(&mut reply)).unwrap_or(0);
        // The id, and one answer of the status "no error".
        if reply[..length].starts_with(&EXAMPLE[..2]) && reply[3] & 15 == 0 && reply[7] == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A virtual machine, which ends with its owner.
struct Machine {
    process: Running,
    serial: Receiver<u8>,
}

impl Machine {
    fn start(image: &Path, memory: u32, more: &[&str]) -> Result<Self, BenchError> {
        let mut command = Command::new(tool("qemu-system-x86_64", "qemu-system-x86")?);
        command.args([
            "-M",
            "microvm",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            &memory.to_string(),
            "-nodefaults",
        ]);
        command.args(["-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]).args(more);
        command.arg("-kernel").arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(BenchError::io("qemu-system-x86_64"))?;
        let stdout = child.stdout.take();
        Ok(Self { process: Running(child), serial: receive(stdout) })
    }

    /// What the guest wrote up to `end` after `wanted`; nothing when it ends or takes too long before.
    fn output_until(&mut self, wanted: &str, end: u8) -> Option<String> {
        let (started, mut text) = (Instant::now(), vec![]);
        while let Ok(byte) = self.serial.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            text.push(byte);
            let said = String::from_utf8_lossy(&text);
            if byte == end && said.contains(wanted) {
                return Some(said.into_owned());
            }
        }
        None
    }
}

/// The bytes of a stream, for a reader that does not wait for ever.
fn receive(stdout: Option<ChildStdout>) -> Receiver<u8> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for byte in stdout.into_iter().flat_map(Read::bytes).map_while(Result::ok) {
            if sender.send(byte).is_err() {
                break;
            }
        }
    });
    receiver
}
