//! `kernlet ps`.

use crate::arguments::Common;
use crate::report::Failure;
use crate::show::{print, size, span, table};
use clap::ArgMatches;
use kernlet_monitor::state::{PortState, time};
use kernlet_monitor::usage::Usage;
use kernlet_monitor::{Home, Phase, State};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// An instance in `ps --json`. The shape is stable: fields are added, never changed.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    id: &'a str,
    image: &'a str,
    program: &'a str,
    backend: &'a str,
    state: Phase,
    exit_code: Option<u8>,
    reason: Option<&'a str>,
    pid: Option<u32>,
    created: String,
    started: String,
    finished: Option<String>,
    restarts: u32,
    memory_bytes: Option<u64>,
    memory_limit_bytes: u64,
    cpu_seconds: Option<f64>,
    ports: &'a [PortState],
}

/// A time as it stands in JSON: RFC 3339, in UTC.
pub fn timestamp(milliseconds: u64) -> String {
    humantime::format_rfc3339_millis(time(milliseconds)).to_string()
}

/// Lists instances.
pub fn execute(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let home = Home::from_environment()?;
    let all = matches.get_flag("all");
    // One that was removed meanwhile, or has no state yet, is none.
    let states = home.all()?.into_iter().filter_map(|directory| directory.state().ok());
    let mut states: Vec<State> = states.filter(|state| all || state.alive()).collect();
    states.sort_by_key(|state| std::cmp::Reverse(state.created));
    if common.quiet {
        states.iter().for_each(|state| print(&format!("{}\n", state.name)));
        return Ok(0);
    }
    let usages: Vec<Option<Usage>> = states.iter().map(|state| state.pid.and_then(Usage::of)).collect();
    if matches.get_flag("json") {
        let rows: Vec<Row<'_>> =
            states.iter().zip(&usages).map(|(state, usage)| row(state, *usage)).collect();
        print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&rows).map_err(|e| Failure::bare(e.to_string()))?
        ));
        return Ok(0);
    }
    let now = SystemTime::now();
    let rows: Vec<_> = states.iter().zip(&usages).map(|(state, usage)| cells(state, *usage, now)).collect();
    print(&table(["NAME", "IMAGE", "BACKEND", "STATE", "AGE", "MEMORY", "CPU", "PORTS"], &rows));
    Ok(0)
}

fn row(state: &State, usage: Option<Usage>) -> Row<'_> {
    Row {
        name: &state.name,
        id: &state.id,
        image: &state.image,
        program: &state.program,
        backend: &state.backend,
        state: state.phase,
        exit_code: state.exit_code.filter(|_| state.phase != Phase::Running),
        reason: state.reason.as_deref(),
        pid: state.pid,
        created: timestamp(state.created),
        started: timestamp(state.started),
        finished: state.finished.map(timestamp),
        restarts: state.restarts,
        memory_bytes: usage.map(|usage| usage.memory()),
        memory_limit_bytes: state.memory,
        cpu_seconds: usage.map(|usage| usage.cpu.as_secs_f64()),
        ports: &state.ports,
    }
}

fn cells(state: &State, usage: Option<Usage>, now: SystemTime) -> [String; 8] {
    let ago = |since: u64| span(now.duration_since(time(since)).unwrap_or_default());
    let image =
        Path::new(&state.image).file_name().map_or(state.image.clone().into(), |n| n.to_string_lossy());
    let phase = match (state.phase, state.exit_code) {
        (Phase::Running, _) => "running".to_string(),
        (phase, Some(code)) => format!("{} ({code})", phase.name()),
        (phase, None) => phase.name().to_string(),
    };
    let ports: Vec<String> = state.ports.iter().map(port).collect();
    [
        state.name.clone(),
        image.into_owned(),
        state.backend.clone(),
        phase,
        ago(state.created),
        usage.map(|usage| size(usage.memory())).unwrap_or_default(),
        usage.map(|usage| cpu(usage.cpu)).unwrap_or_default(),
        ports.join(", "),
    ]
}

fn cpu(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A port, as Docker shows it.
pub fn port(port: &PortState) -> String {
    format!("{}->{}/{}", port.host, port.port, port.protocol)
}
