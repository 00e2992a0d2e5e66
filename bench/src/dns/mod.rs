//! The DNS server under load, against NSD and Knot.

pub mod check;
pub mod control;
pub mod first;
pub mod guest;
pub mod large;
pub mod loader;
pub mod socket;
pub mod tap;
pub mod variants;
pub mod zone;

use crate::cpu;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::{Instances, Kernlet};
use crate::peer;
use crate::place::Place;
use crate::report::{Report, median};
use control::Control;
use loader::Load;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use zone::{Mix, Query};

/// A server has read its zones after this long.
const LOADED: Duration = Duration::from_secs(120);
/// Where the servers run, while the loader has the last processor.
const SERVERS: usize = 0;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How often each server is loaded
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// For how long each time
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Client sockets
    #[arg(long, default_value_t = 3)]
    sockets: usize,
    /// Unanswered queries allowed for each socket: an ordinary user's server has room for 256 in all
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// How many of 100 queries are for names that do not exist (90: a random subdomain attack)
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    missing: u8,
    /// Queries carry an EDNS record, as those of resolvers do
    #[arg(long)]
    edns: bool,
    /// Tell instead what the loader reaches with a responder that only looks its answers up, and NSD
    #[arg(long)]
    control: bool,
}

/// A server under load.
struct Server<'a> {
    name: &'static str,
    address: SocketAddr,
    queries: &'a [Query],
    echo: bool,
    time: Box<dyn Fn() -> Duration + 'a>,
    rates: Vec<f64>,
    per_core: Vec<f64>,
    lost: u64,
}

/// Alternates between kernlet's server, NSD and Knot.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let mix = Mix { missing: options.missing.into(), edns: options.edns, ..Mix::default() };
    let queries = zone::queries(mix);
    if options.control {
        return control(&queries, options);
    }
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?;
    let zones = zone_folder(&kernlet.place)?;
    let (nsd_port, knot_port) = (free_port()?, free_port()?);
    let nsd = peer::nsd(&kernlet.place, &zones, nsd_port)?.start()?;
    let knot = peer::knot(&kernlet.place, &zones, knot_port)?.start()?;
    let mut instances = kernlet.instances()?;
    let port = publish(&mut instances, "bench-dns", &zones, &[], &image)?;

    let mut servers = [
        server("kernlet", port, &queries, instances.processes())?,
        server("NSD", nsd_port, &queries, cpu::family(nsd.pid()))?,
        server("Knot", knot_port, &queries, cpu::family(knot.pid()))?,
    ];
    alternate(&mut servers, options)?;
    let [ours, nsd, knot] = &servers;
    let goals = match options.missing {
        0..50 => [goals::DNS_CORE, goals::DNS_CORE_KNOT],
        _ => [goals::DNS_CORE_MISSING, goals::DNS_CORE_MISSING_KNOT],
    };
    for (goal, peer) in goals.into_iter().zip([nsd, knot]) {
        report.ratio(goal, ours.per_core(), peer.per_core(), thousands);
    }
    report.ratio(goals::DNS_RATE, ours.rate(), nsd.rate(), thousands);
    report.ratio(goals::DNS_RATE_KNOT, ours.rate(), knot.rate(), thousands);
    Ok(())
}

fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}

/// Starts a detached instance with the zones in a folder; its port.
fn publish(
    instances: &mut Instances<'_>,
    name: &str,
    zones: &str,
    options: &[&str],
    image: &Path,
) -> Result<u16, BenchError> {
    let port = free_port()?;
    let (publish, volume) = (format!("{port}:53/udp"), format!("{zones}:/zones"));
    let mut arguments: Vec<String> = options.iter().map(|option| (*option).into()).collect();
    arguments.extend(["-p", &publish, "-v", &volume, &image.display().to_string()].map(String::from));
    instances.start(name.into(), &arguments)?;
    Ok(port)
}

/// What the loader reaches.
fn control(queries: &[Query], options: &Options) -> Result<(), BenchError> {
    let place = Place::new()?;
    let port = free_port()?;
    let nsd = peer::nsd(&place, &zone_folder(&place)?, port)?.start()?;
    let responder = Control::start(queries, SERVERS).map_err(BenchError::io("the control"))?;
    let mut servers = [
        Server::new("control", responder.address, queries, || responder.cpu_time()),
        server("NSD", port, queries, cpu::family(nsd.pid()))?,
    ];
    alternate(&mut servers, options)?;
    for server in servers {
        let (rate, per_core) = (server.rate(), server.per_core());
        println!("{}: {rate:.0} answers a second, {per_core:.0} per core", server.name);
    }
    Ok(())
}

fn alternate(servers: &mut [Server<'_>], options: &Options) -> Result<(), BenchError> {
    let duration = Duration::from_secs_f64(options.seconds);
    let load = Load { sockets: options.sockets.max(1), window: options.window, duration, echo: false };
    cpu::pin(0, cpu::count() - 1).map_err(BenchError::io("binding the loader to a processor"))?;
    for round in 0..options.rounds.max(1) {
        for server in &mut *servers {
            server.load(round, load)?;
        }
    }
    for server in servers.iter().filter(|server| server.lost > 0) {
        eprintln!("bench: {}: {} queries were lost", server.name, server.lost);
    }
    Ok(())
}

impl<'a> Server<'a> {
    fn new(
        name: &'static str,
        address: SocketAddr,
        queries: &'a [Query],
        time: impl Fn() -> Duration + 'a,
    ) -> Self {
        let (rates, per_core) = (vec![], vec![]);
        Self { name, address, queries, echo: false, time: Box::new(time), rates, per_core, lost: 0 }
    }

    /// Answers per second, the median.
    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// Answers per second of its processor time, the median.
    fn per_core(&self) -> f64 {
        median(self.per_core.clone())
    }

    fn load(&mut self, round: usize, load: Load) -> Result<(), BenchError> {
        let before = (self.time)();
        let outcome = loader::run(self.address, self.queries, Load { echo: self.echo, ..load });
        let outcome = outcome.map_err(|source| BenchError::Load { server: self.name, source })?;
        let busy = ((self.time)() - before).as_secs_f64();
        self.rates.push(outcome.rate());
        self.per_core.push(outcome.answers as f64 / busy);
        self.lost += outcome.lost;
        eprintln!(
            "round {round}: {:<8} {:>8.0} answers/s {:>8.0} per core, busy {:.2} s, lost {}",
            self.name,
            outcome.rate(),
            outcome.answers as f64 / busy,
            busy,
            outcome.lost
        );
        Ok(())
    }
}

/// A server that answers, on its processor.
fn server<'a>(
    name: &'static str,
    port: u16,
    queries: &'a [Query],
    processes: Vec<i32>,
) -> Result<Server<'a>, BenchError> {
    server_at(name, (Ipv4Addr::LOCALHOST, port).into(), queries, processes)
}

fn server_at<'a>(
    name: &'static str,
    address: SocketAddr,
    queries: &'a [Query],
    processes: Vec<i32>,
) -> Result<Server<'a>, BenchError> {
    let failed = || BenchError::io(format!("asking {name}"));
    first::answer_within(address, queries, Instant::now(), LOADED)
        .map_err(failed())?
        .ok_or_else(|| BenchError::Silent(name.into()))?;
    // NSD has its processes when it answers; an instance has them when it was entered.
    let processes: Vec<i32> = processes.iter().flat_map(|&pid| cpu::family(pid)).collect();
    let processes = std::collections::BTreeSet::from_iter(processes).into_iter().collect::<Vec<_>>();
    cpu::pin_all(&processes, SERVERS).map_err(failed())?;
    Ok(Server::new(name, address, queries, move || cpu::time(&processes)))
}

/// A port, for one server of this run.
pub fn free_port() -> Result<u16, BenchError> {
    first::free_port().map_err(BenchError::io("a port"))
}

/// A folder with the zone.
pub fn zone_folder(place: &Place) -> Result<String, BenchError> {
    let folder = place.create_dir("zones")?;
    place.write(&format!("zones/{}.zone", zone::ORIGIN), &zone::master_file(zone::NAMES))?;
    Ok(folder.display().to_string())
}
