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
mod density;
mod dns;
mod error;
mod goals;
mod http;
mod kernlet;
mod latency;
mod nginx;
mod nsd;
mod place;
mod report;
mod size;
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
    /// DNS answers per core and per second, against NSD
    Dns(dns::Options),
    /// HTTP answers per core and per second, against nginx
    Http(http::Options),
    /// Spawn to first byte of hello, against a static glibc program
    Start {
        /// How often each is started
        #[arg(long, default_value_t = 300)]
        rounds: usize,
    },
    /// Spawn to first DNS answer, against NSD
    FirstAnswer {
        /// How often each is started
        #[arg(long, default_value_t = 25)]
        rounds: usize,
    },
    /// Guest instructions from the VM's entry to main
    VmStart,
    /// The least memory of a VM
    Memory,
    /// The size of images
    ImageSize,
    /// The memory of many idle instances
    Density {
        /// How many
        #[arg(long, default_value_t = 100)]
        count: usize,
    },
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
    let names = ["image-size", "vm-start", "memory", "start", "first-answer", "density", "dns", "http"];
    let parsed = names.iter().filter_map(|name| Cli::try_parse_from(["bench", name]).ok());
    parsed.map(|cli| cli.what).collect()
}

fn measure(what: &What, kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    match what {
        What::Dns(options) => dns::measure(kernlet, options, report),
        What::Http(options) => http::measure(kernlet, options, report),
        What::Start { rounds } => latency::start(kernlet, *rounds, report),
        What::FirstAnswer { rounds } => latency::first_answer(kernlet, *rounds, report),
        What::VmStart => vm::start(kernlet, report),
        What::Memory => vm::memory(kernlet, report),
        What::ImageSize => size::measure(kernlet, report),
        What::Density { count } => density::measure(kernlet, *count, report),
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
        assert_eq!(everything().len(), 8);
    }
}
