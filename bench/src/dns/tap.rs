//! The DNS server on an Ethernet device with kernlet's own TCP/IP, against NSD on host sockets, and against a program
//! that does nothing but send every datagram back on another such device.

use super::{Options, SERVERS, Server, alternate, server, server_at, thousands, zone, zone_folder};
use crate::cpu;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::peer;
use crate::report::Report;
use crate::tap::Tap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use zone::Mix;

/// virtio-net's header, an Ethernet header, and where the parts of what is behind begin.
const HEADER: usize = 10;
const ETHERNET: usize = HEADER + 14;
const FRAME: usize = 2048;

/// Alternates between the three. Makes two taps, which root may.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let mut kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?.display().to_string();
    let zones = zone_folder(&kernlet.place)?;
    let queries = zone::queries(Mix::default());
    let taps = [Tap::make(0)?, Tap::make(1)?];
    let port = super::free_port()?;
    let nsd = peer::nsd(&kernlet.place, &zones, port)?.start()?;
    // Whether users may open /dev/net/tun is up to the machine; an instance that root starts is nobody inside all the same.
    kernlet.place.as_caller();
    let mut instances = kernlet.instances()?;
    let net = format!("tap={},ip={}/24", taps[0].name, taps[0].guest);
    let arguments = ["--net", &net, "-v", &format!("{zones}:/zones"), &image];
    instances.start("bench-tap".into(), &arguments.map(String::from))?;
    let echo = Echo::start(&taps[1])?;

    let ours = SocketAddr::from((taps[0].guest, 53));
    let theirs = SocketAddr::from((taps[1].guest, 53));
    let mut servers = [
        server_at("kernlet", ours, &queries, instances.processes())?,
        server("NSD", port, &queries, cpu::family(nsd.pid()))?,
        Server { echo: true, ..Server::new("echo", theirs, &queries, || echo.cpu_time()) },
    ];
    alternate(&mut servers, options)?;
    let [ours, nsd, echo] = &servers;
    report.ratio(goals::TAP_NSD, ours.per_core(), nsd.per_core(), thousands);
    report.ratio(goals::TAP_ECHO, ours.per_core(), echo.per_core(), thousands);
    report.ratio(goals::TAP_RATE, ours.rate(), nsd.rate(), thousands);
    Ok(())
}

/// A thread that answers ARP and sends every datagram back.
struct Echo {
    tid: Arc<AtomicI32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(tap: &Tap) -> Result<Self, BenchError> {
        let device = kernlet_sandbox::open_tap(&tap.name).map_err(BenchError::io(&tap.name))?;
        let (tid, stop) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicBool::new(false)));
        let (told, asked) = (Arc::clone(&tid), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let _ = cpu::pin(0, SERVERS);
            told.store(nix::unistd::gettid().as_raw(), Ordering::Release);
            echo(&device, &asked);
        });
        while tid.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        Ok(Self { tid, stop, thread: Some(thread) })
    }

    fn cpu_time(&self) -> Duration {
        cpu::thread_time(std::process::id() as i32, self.tid.load(Ordering::Relaxed))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn echo(device: &OwnedFd, stop: &AtomicBool) {
    let mut frame = [0; FRAME];
    while !stop.load(Ordering::Relaxed) {
        match nix::unistd::read(device, &mut frame).map_err(std::io::Error::from) {
            Ok(length) => {
                if turn(&mut frame[..length]) {
                    let _ = nix::unistd::write(device, &frame[..length]);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut polled =
                    [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(device), nix::poll::PollFlags::POLLIN)];
                let _ = nix::poll::poll(&mut polled, 100u16);
            }
            Err(_) => return,
        }
    }
}

/// Makes the answer of a frame: an ARP reply, or the datagram with its ends exchanged, which leaves its checksums right.
/// `false` for anything else.
fn turn(frame: &mut [u8]) -> bool {
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
    if frame.len() < ETHERNET + 28 {
        return false;
    }
    let swap = |frame: &mut [u8], a: usize, b: usize, length: usize| {
        for i in 0..length {
            frame.swap(a + i, b + i);
        }
    };
    match frame[HEADER + 12..ETHERNET] {
        [8, 6] if frame[ETHERNET + 7] == 1 => {
            frame[ETHERNET + 7] = 2;
            swap(frame, ETHERNET + 8, ETHERNET + 18, 10);
            frame[ETHERNET + 8..ETHERNET + 14].copy_from_slice(&MAC);
        }
        [8, 0] if frame[ETHERNET] == 0x45 && frame[ETHERNET + 9] == 17 => {
            swap(frame, ETHERNET + 12, ETHERNET + 16, 4);
            swap(frame, ETHERNET + 20, ETHERNET + 22, 2);
        }
        _ => return false,
    }
    frame.copy_within(HEADER + 6..HEADER + 12, HEADER);
    frame[HEADER + 6..HEADER + 12].copy_from_slice(&MAC);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_and_questions_for_the_address_come_back_and_nothing_else() {
        let mut frame = vec![0; ETHERNET + 40];
        frame[HEADER + 12..ETHERNET].copy_from_slice(&[8, 0]);
        (frame[ETHERNET], frame[ETHERNET + 9]) = (0x45, 17);
        frame[ETHERNET + 12..ETHERNET + 24].copy_from_slice(&[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4]);
        assert!(turn(&mut frame));
        assert_eq!(frame[ETHERNET + 12..ETHERNET + 24], [2, 2, 2, 2, 1, 1, 1, 1, 4, 4, 3, 3]);
        frame[ETHERNET + 9] = 6;
        assert!(!turn(&mut frame) && !turn(&mut [0; 20]));
        frame[HEADER + 12..ETHERNET].copy_from_slice(&[8, 6]);
        frame[ETHERNET + 7] = 1;
        frame[ETHERNET + 14..ETHERNET + 18].copy_from_slice(&[9; 4]);
        frame[ETHERNET + 24..ETHERNET + 28].copy_from_slice(&[7; 4]);
        assert!(turn(&mut frame));
        assert_eq!(frame[ETHERNET + 7], 2);
        assert_eq!(frame[ETHERNET + 14..ETHERNET + 18], [7; 4]);
        assert_eq!(frame[ETHERNET + 24..ETHERNET + 28], [9; 4]);
    }
}
