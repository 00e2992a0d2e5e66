//! A zone of a million names: how long it takes to load, and how much memory it takes, against NSD.

use super::zone::{Mix, ORIGIN, Query, master_file, queries};
use super::{LOADED, first, free_port};
use crate::cpu;
use crate::density::pss;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::peer;
use crate::place::{Place, Running};
use crate::report::{Report, median};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// How many names.
pub const NAMES: usize = 1_000_000;
/// What the instance may take.
const MEMORY: &str = "2G";

/// Starts each in turn, and waits for its first right answer.
pub fn measure(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?;
    let zones = folder(&kernlet.place)?;
    let queries = queries(Mix { names: NAMES, ..Mix::default() });
    let ports = [free_port()?, free_port()?];
    let nsd = peer::nsd(&kernlet.place, &zones, ports[1])?;
    let (publish, volume) = (format!("{}:53/udp", ports[0]), format!("{zones}:/zones"));
    let (mut seconds, mut megabytes) = ([vec![], vec![]], [vec![], vec![]]);
    for _ in 0..rounds.max(1) {
        let mut ours = kernlet.command();
        ours.args(["run", "--rm", "-m", MEMORY, "-p", &publish, "-v", &volume]).arg(&image);
        let mut theirs = kernlet.place.command(&nsd.arguments()[0]);
        theirs.args(&nsd.arguments()[1..]);
        for (index, (mut command, name)) in [(ours, "kernlet"), (theirs, nsd.name)].into_iter().enumerate() {
            if !first::becomes_free(ports[index]) {
                return Err(BenchError::failed(name, "its port is still in use"));
            }
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            let server = Running(command.spawn().map_err(BenchError::io(name))?);
            let (time, memory) = loaded(&server, ports[index], &queries, start, name)?;
            eprintln!("{name:<8} {time:.2} s, {memory:.0} MB");
            seconds[index].push(time);
            megabytes[index].push(memory);
        }
    }
    let [ours, theirs] = seconds.map(median);
    report.ratio(goals::LOAD_TIME, ours, theirs, |s| format!("{s:.2} s"));
    let [ours, theirs] = megabytes.map(median);
    report.ratio(goals::LOAD_MEMORY, ours, theirs, |mb| format!("{mb:.0} MB"));
    Ok(())
}

fn loaded(
    server: &Running,
    port: u16,
    queries: &[Query],
    start: Instant,
    name: &str,
) -> Result<(f64, f64), BenchError> {
    let answer = first::answer_within((Ipv4Addr::LOCALHOST, port).into(), queries, start, LOADED);
    let time = answer.map_err(BenchError::io(name))?.ok_or_else(|| BenchError::Silent(name.into()))?;
    let mut kilobytes = 0;
    for pid in cpu::family(server.pid()) {
        kilobytes += pss(pid)?;
    }
    Ok((time.as_secs_f64(), kilobytes as f64 / 1024.0))
}

/// A folder with the zone.
pub fn folder(place: &Place) -> Result<String, BenchError> {
    let folder = place.create_dir("million")?;
    place.write(&format!("million/{ORIGIN}.zone"), &master_file(NAMES))?;
    Ok(folder.display().to_string())
}
