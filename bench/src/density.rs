//! Many idle DNS instances: what memory each takes, and how long each takes to start.

use crate::dns::zone::{Mix, queries};
use crate::dns::{first, free_port};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::report::{Report, median, milliseconds};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for what a start leaves behind to settle.
const SETTLE: Duration = Duration::from_millis(500);

/// Starts `count` detached instances that serve the zone of 1,000 names; each answers once.
pub fn measure(kernlet: Option<&Path>, count: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?.display().to_string();
    let volume = format!("{}:/zones", crate::dns::zone_folder(&kernlet.place)?);
    let queries = queries(Mix::default());
    let mut instances = kernlet.instances()?;
    let mut starts = vec![];
    for n in 0..count.max(1) {
        let port = free_port()?;
        let arguments = ["-p", &format!("{port}:53/udp"), "-v", &volume, &image].map(String::from);
        let name = format!("bench-{n}");
        let start = Instant::now();
        instances.start(name.clone(), &arguments)?;
        starts.push(milliseconds(start.elapsed()));
        let answer = first::answer((Ipv4Addr::LOCALHOST, port).into(), &queries, start);
        answer.map_err(BenchError::io(&name))?.ok_or(BenchError::Silent(name))?;
    }
    std::thread::sleep(SETTLE);
    let mut kilobytes = 0;
    for pid in instances.processes() {
        kilobytes += pss(pid)?;
    }
    drop(instances);
    report.value(goals::DENSITY, kilobytes as f64 / 1024.0 / count.max(1) as f64);
    report.value(goals::DENSITY_START, median(starts));
    Ok(())
}

/// The memory of a process, each shared page divided by those who share it, in units of 1,024 bytes.
fn pss(pid: i32) -> Result<u64, BenchError> {
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
