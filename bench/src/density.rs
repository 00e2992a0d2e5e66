//! Many idle DNS instances: what memory each takes, and how long each takes to start.

use crate::dns::first;
use crate::dns::zone::{Mix, queries};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::latency::names;
use crate::report::Report;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for what a start leaves behind to settle.
const SETTLE: Duration = Duration::from_millis(500);

/// The first of the ports that are tried.
const PORTS: u16 = 20_000;

/// Starts `count` detached instances that serve the zone of 1,000 names; each answers once.
pub fn measure(kernlet: Option<&Path>, count: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?.display().to_string();
    let volume = format!("{}:/zones", crate::dns::zone_folder(&kernlet.place)?);
    let queries = queries(Mix::default());
    let count = count.max(1);
    let port = free_ports(count)?;
    let binary = kernlet.binary.display().to_string();
    let command = [&binary, "run", "-d", "--name", "bench-%n", "-p", "%p:53/udp", "-v", &volume, &image];
    let mut instances = kernlet.instances()?;
    instances.expect((0..count).map(|n| format!("bench-{n}")));
    let start = names(&kernlet.place, count, port, &command.map(String::from))?;
    for n in 0..count {
        let address = (Ipv4Addr::LOCALHOST, port + n as u16).into();
        let answer = first::answer(address, &queries, Instant::now()).map_err(BenchError::io("asking"))?;
        answer.ok_or_else(|| BenchError::Silent(format!("bench-{n}")))?;
    }
    std::thread::sleep(SETTLE);
    let mut kilobytes = 0;
    for pid in instances.processes() {
        kilobytes += pss(pid)?;
    }
    drop(instances);
    report.value(goals::DENSITY, kilobytes as f64 / 1024.0 / count as f64);
    report.value(goals::DENSITY_START, start);
    Ok(())
}

/// The first of `count` ports in a row that are free.
fn free_ports(count: usize) -> Result<u16, BenchError> {
    let mut first = PORTS;
    for port in PORTS..PORTS + 30_000 {
        if usize::from(port - first) == count {
            return Ok(first);
        }
        if !first::is_free(port) {
            first = port + 1;
        }
    }
    Err(BenchError::failed("density", format!("there are no {count} free ports in a row")))
}

/// The memory of a process, each shared page divided by those who share it, in units of 1,024 bytes.
pub fn pss(pid: i32) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/smaps_rollup");
    // One that has ended meanwhile takes none, and nor does one that waits to be reaped.
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.raw_os_error() == Some(3) || error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(0);
        }
        text => text.map_err(BenchError::io(format!("{path} (root may read it)")))?,
    };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let value = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    value.ok_or_else(|| BenchError::failed(path, "it has no Pss line"))
}
