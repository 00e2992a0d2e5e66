//! Measures kernlet against its peers, and against the numbers that it is to reach.
//!
//! 1. *Alternating*: kernlet and its peer take turns in one run, so that both meet the same machine.
//! 2. *Medians*: one disturbed round moves nothing.
//! 3. *The default path*: the command as users type it, as an ordinary user, with sandbox, log and state.
//! 4. *Nothing unchecked*: a wrong answer ends a measurement, and what is lost is counted.
//!
//! `goals` has the numbers to reach, `report` prints them with what was measured.
#![forbid(unsafe_code)]

mod cpu;
mod debian;
mod density;
mod dns;
mod error;
mod goals;
mod http;
mod kernlet;
mod latency;
mod linux;
mod nginx;
mod peer;
mod place;
mod report;
mod size;
mod tap;
mod vm;

use clap::{Parser, Subcommand};
use error::BenchError;
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures kernlet against its peers")]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// The kernlet to measure, instead of the workspace's target/release/kernlet
    #[arg(long, global = true, value_name = "PATH")]
    kernlet: Option<PathBuf>,
    /// Fail when a goal is missed
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// DNS answers per core and per second, against NSD and Knot
    Dns(dns::Options),
    /// What signatures, a million names and missing names cost the DNS server
    DnsVariants(dns::Options),
    /// DNS answers on a tap with the own stack, against NSD on sockets and a bare echo (root)
    DnsTap(dns::Options),
    /// The DNS server in a VM, against NSD in a guest with Debian's kernel (root)
    VmGuest(dns::guest::Options),
    /// A zone of a million names: load time and memory, against NSD
    DnsLarge {
        /// How often each is started
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// HTTP answers per core and per second, against nginx
    Http(http::Options),
    /// Spawn to first byte of hello, against a static glibc program
    Start {
        /// How often each is started
        #[arg(long, default_value_t = 300)]
        rounds: usize,
    },
    /// Spawn to first byte of hello with a root of 300 MB, against the same with a small one
    StartLarge {
        /// How often each is started
        #[arg(long, default_value_t = 100)]
        rounds: usize,
    },
    /// Spawn to first DNS answer, against NSD and Knot
    FirstAnswer {
        /// How often each is started
        #[arg(long, default_value_t = 25)]
        rounds: usize,
    },
    /// Guest instructions from the VM's entry to main
    VmStart,
    /// Guest instructions from the VM's entry to the first packet that it sends
    VmNetwork,
    /// The least memory of a VM
    Memory,
    /// The size of images
    ImageSize,
    /// The memory of many idle instances
    Density {
        /// How many
        #[arg(long, default_value_t = 1000)]
        count: usize,
    },
    /// Linux programs: spawn to first byte, against native
    LinuxStart {
        /// How often each is started
        #[arg(long, default_value_t = 100)]
        rounds: usize,
    },
    /// Linux programs: the cost of a system call, against native
    LinuxCalls {
        /// How often
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// redis, nginx and memcached under load, against native
    LinuxServers(linux::Options),
    /// Python, openssl and sqlite3 computing, against native
    LinuxLoops {
        /// How often each
        #[arg(long, default_value_t = 40)]
        rounds: usize,
    },
    /// Resident memory of waiting Linux servers, against native
    LinuxResident,
    /// The least memory of a VM with a Linux program
    LinuxVm,
    /// The size of the library OS for Linux programs
    LinuxSize,
    /// Everything
    All,
    #[command(hide = true)]
    LatencyLoop(latency::Loop),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::default();
    let all = matches!(cli.what, What::All);
    let mut failed = false;
    for what in if all { everything() } else { vec![cli.what] } {
        if let Err(error) = measure(&what, cli.kernlet.as_deref(), &mut report) {
            eprintln!("bench: {error}");
            failed = true;
        }
    }
    let missed = report.missed();
    if cli.check && !missed.is_empty() {
        eprintln!("bench: missed: {}", missed.join(", "));
        failed = true;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Each measurement, as it is without options.
fn everything() -> Vec<What> {
    let commands: [&[&'static str]; 22] = [
        &["image-size"],
        &["vm-start"],
        &["vm-network"],
        &["memory"],
        &["start"],
        &["start-large"],
        &["first-answer"],
        &["density"],
        &["dns"],
        &["dns", "--missing", "90"],
        &["dns-variants"],
        &["dns-tap"],
        &["dns-large"],
        &["vm-guest"],
        &["http"],
        &["linux-size"],
        &["linux-calls"],
        &["linux-start"],
        &["linux-loops"],
        &["linux-resident"],
        &["linux-vm"],
        &["linux-servers"],
    ];
    let with_name = |command: &&[&'static str]| [&["bench"], *command].concat();
    let parsed = commands.iter().map(with_name).filter_map(|words| Cli::try_parse_from(words).ok());
    parsed.map(|cli| cli.what).collect()
}

fn measure(what: &What, kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    match what {
        What::Dns(options) => dns::measure(kernlet, options, report),
        What::DnsVariants(options) => dns::variants::measure(kernlet, options, report),
        What::DnsTap(options) => dns::tap::measure(kernlet, options, report),
        What::VmGuest(options) => dns::guest::measure(kernlet, options, report),
        What::DnsLarge { rounds } => dns::large::measure(kernlet, *rounds, report),
        What::Http(options) => http::measure(kernlet, options, report),
        What::Start { rounds } => latency::start(kernlet, *rounds, report),
        What::StartLarge { rounds } => latency::start_large(kernlet, *rounds, report),
        What::FirstAnswer { rounds } => latency::first_answer(kernlet, *rounds, report),
        What::VmStart => vm::start(kernlet, report),
        What::VmNetwork => vm::network(kernlet, report),
        What::Memory => vm::memory(kernlet, report),
        What::ImageSize => size::measure(kernlet, report),
        What::Density { count } => density::measure(kernlet, *count, report),
        What::LinuxStart { rounds } => linux::start(kernlet, *rounds, report),
        What::LinuxCalls { rounds } => linux::calls(kernlet, *rounds, report),
        What::LinuxServers(options) => linux::servers(kernlet, options, report),
        What::LinuxLoops { rounds } => linux::loops(kernlet, *rounds, report),
        What::LinuxResident => linux::resident(kernlet, report),
        What::LinuxVm => linux::vm(kernlet, report),
        What::LinuxSize => linux::size(kernlet, report),
        What::LatencyLoop(options) => latency::run(options),
        What::All => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_all_is_all() {
        Cli::command().debug_assert();
        assert_eq!(everything().len(), 22);
    }
}
