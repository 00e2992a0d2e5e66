//! The web server under load by wrk, against nginx.

use crate::cpu;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::nginx;
use crate::place::{output, tool};
use crate::report::{Report, median};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the servers run, while wrk has the last processor.
const SERVERS: usize = 0;
/// The file that is asked for.
const FILE: &str = "file.html";
/// Its size.
const LENGTH: usize = 1024;
/// A server that has not begun to answer after this long never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How often each server is loaded
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// For how many seconds each time
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Let nginx keep files open for a minute without looking (open_file_cache): it then serves what is old
    #[arg(long)]
    cached: bool,
}

/// A server under load.
struct Server {
    name: &'static str,
    port: u16,
    processes: Vec<i32>,
    rates: Vec<f64>,
    per_core: Vec<f64>,
}

/// Alternates between kernlet's server with the file in a volume, the same with the file in the image, and nginx.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let wrk = tool("wrk", "wrk")?;
    let kernlet = Kernlet::find(kernlet)?;
    let folder = kernlet.place.create_dir("root/www")?;
    kernlet.place.write(&format!("root/www/{FILE}"), &content())?;
    let root = kernlet.place.path("root");
    let image = kernlet.build("apps/http")?;
    let with_file = kernlet.build_with("apps/http", "http-file", &["--root".as_ref(), root.as_ref()])?;

    let mut ports = [0; 3];
    for port in &mut ports {
        *port = crate::dns::free_port()?;
    }
    let mut instances = kernlet.instances()?;
    let volume = format!("{}:/www:ro", folder.display());
    let arguments = ["-p", &format!("{}:80", ports[0]), "-v", &volume, &image.display().to_string()];
    instances.start("bench-http-volume".into(), &arguments.map(String::from))?;
    let of_volume = instances.processes();
    let arguments = ["-p", &format!("{}:80", ports[1]), &with_file.display().to_string()];
    instances.start("bench-http-image".into(), &arguments.map(String::from))?;
    let of_image = instances.processes().into_iter().filter(|pid| !of_volume.contains(pid)).collect();
    let peer = nginx::start(&kernlet.place, &folder.display().to_string(), ports[2], options.cached)?;

    let mut servers = [
        Server::new("volume", ports[0], of_volume)?,
        Server::new("image", ports[1], of_image)?,
        Server::new("nginx", ports[2], vec![peer.pid()])?,
    ];
    cpu::pin(0, cpu::count() - 1).map_err(BenchError::io("binding wrk to a processor"))?;
    for round in 0..options.rounds.max(1) {
        for server in &mut servers {
            server.load(&wrk, round, options)?;
        }
    }
    let [volume, image, peer] = &servers;
    let thousands = |rate: f64| format!("{:.1} k", rate / 1e3);
    for (server, core, rate) in [
        (volume, goals::HTTP_VOLUME_CORE, goals::HTTP_VOLUME),
        (image, goals::HTTP_IMAGE_CORE, goals::HTTP_IMAGE),
    ] {
        report.ratio(core, median(server.per_core.clone()), median(peer.per_core.clone()), thousands);
        report.ratio(rate, median(server.rates.clone()), median(peer.rates.clone()), thousands);
    }
    Ok(())
}

/// Text that has no two lines alike.
fn content() -> String {
    let mut text: String = (0..LENGTH / 16).map(|line| format!("line {line:010}\n")).collect();
    text.truncate(LENGTH);
    text
}

impl Server {
    /// A server that answers, on its processor.
    fn new(name: &'static str, port: u16, processes: Vec<i32>) -> Result<Self, BenchError> {
        let start = Instant::now();
        while !answers(port) {
            if start.elapsed() > PATIENCE {
                return Err(BenchError::Silent(name.into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // nginx has its worker when it answers.
        let processes = processes.iter().flat_map(|&pid| cpu::family(pid));
        let processes: Vec<i32> = std::collections::BTreeSet::from_iter(processes).into_iter().collect();
        cpu::pin_all(&processes, SERVERS)
            .map_err(BenchError::io(format!("binding {name} to a processor")))?;
        Ok(Self { name, port, processes, rates: vec![], per_core: vec![] })
    }

    fn load(&mut self, wrk: &PathBuf, round: usize, options: &Options) -> Result<(), BenchError> {
        let before = cpu::time(&self.processes);
        let mut command = Command::new(wrk);
        command.args(["-t1", &format!("-c{}", options.connections), &format!("-d{}", options.seconds)]);
        let said = output("wrk", command.arg(format!("http://127.0.0.1:{}/{FILE}", self.port)))?;
        let busy = (cpu::time(&self.processes) - before).as_secs_f64();
        let (requests, rate) = read(&said).ok_or_else(|| BenchError::failed("wrk", &*said))?;
        self.rates.push(rate);
        self.per_core.push(requests / busy);
        eprintln!(
            "round {round}: {:<8} {rate:>8.0} requests/s {:>8.0} per core, busy {busy:.2} s",
            self.name,
            requests / busy
        );
        Ok(())
    }
}

/// Whether a server gives the file whole.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream
            .write_all(format!("GET /{FILE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.ends_with(&content()))
}

/// Requests and requests per second as wrk tells them; `None` when there were errors.
fn read(said: &str) -> Option<(f64, f64)> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?.trim().parse().ok()?;
    Some((requests, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read_and_errors_count_for_nothing() {
        let said = "Running 1s test\n  4711 requests in 1.01s, 5.6MB read\nRequests/sec:   4664.35\nTransfer/sec: 5MB\n";
        assert_eq!(read(said), Some((4711.0, 4664.35)));
        assert_eq!(read(&format!("{said}  Non-2xx or 3xx responses: 1\n")), None);
        assert_eq!(read(&format!("  Socket errors: connect 0, read 1, write 0, timeout 0\n{said}")), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn the_file_has_its_size() {
        assert_eq!(content().len(), LENGTH);
    }
}
