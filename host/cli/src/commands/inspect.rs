//! `kernlet inspect`: what is in an image, or everything about an instance.

use super::ps::{port, timestamp};
use crate::report::Failure;
use crate::show::{print, size, span};
use crate::what::Of;
use clap::ArgMatches;
use kernlet_image::{Image, inspect::Inspection};
use kernlet_monitor::usage::Usage;
use kernlet_monitor::{Home, State};
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

/// An instance in `inspect --json`. The shape is stable: fields are added, never changed.
#[derive(Serialize)]
struct Instance<'a> {
    #[serde(flatten)]
    state: &'a State,
    usage: Option<Used>,
    capabilities: Vec<Capability>,
}

#[derive(Serialize)]
struct Used {
    memory_bytes: u64,
    rss_bytes: u64,
    cpu_seconds: f64,
}

/// Something that the instance can reach outside of itself.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Capability {
    kind: &'static str,
    what: String,
    means: String,
}

/// Shows what was named: an existing path comes first.
pub fn execute(matches: &ArgMatches) -> Result<u8, Failure> {
    let what = matches.get_one::<OsString>("what").cloned().unwrap_or_default();
    let json = matches.get_flag("json");
    let path = Path::new(&what);
    if path.is_file() {
        let image = Image::open(path).map_err(|error| Of(path.into(), error))?;
        let inspection = Inspection::of(&image)?;
        print(&if json { to_json(&inspection)? } else { inspection.to_string() });
        return Ok(0);
    }
    let name = what.to_string_lossy();
    if path.exists() {
        return Err(Failure::new(format!("{name} is not an image"), "name an image's file or an instance"));
    }
    let state = Home::from_environment()?.find(&name)?.state()?;
    let usage = state.pid.and_then(Usage::of);
    let capabilities = capabilities(&state);
    if json {
        let usage = usage.map(|usage| Used {
            memory_bytes: usage.memory(),
            rss_bytes: usage.rss,
            cpu_seconds: usage.cpu.as_secs_f64(),
        });
        print(&to_json(&Instance { state: &state, usage, capabilities })?);
    } else {
        print(&text(&state, usage, &capabilities));
    }
    Ok(0)
}

fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::bare(error.to_string()))?;
    Ok(text + "\n")
}

/// Everything outside of the instance that it can act on: what is not in this list does not exist for it.
fn capabilities(state: &State) -> Vec<Capability> {
    let capability = |kind, what: &str, means: String| Capability { kind, what: what.into(), means };
    let mut list = Vec::new();
    if state.terminal {
        list.push(capability("stdio", "a terminal of the monitor's", "reading and writing".into()));
    } else {
        list.push(capability(
            "stdio",
            "pipes to the monitor",
            "reading stdin, writing stdout and stderr".into(),
        ));
    }
    list.push(capability("control", "a socket to the monitor", "telling its end, being told signals".into()));
    for published in &state.ports {
        let means = match published.protocol.as_str() {
            "udp" if state.backend == "process" => {
                "receiving datagrams; a UDP socket can also send to any address that the host reaches"
            }
            "udp" => "receiving datagrams and answering them",
            _ => "accepting connections",
        };
        list.push(capability("port", &port(published), means.into()));
    }
    for volume in &state.volumes {
        let means = if volume.read_only { "reading" } else { "reading and writing" };
        list.push(capability("volume", &volume.guest, format!("{means} {}", volume.host)));
    }
    for connect in &state.allow_connect {
        list.push(capability("connect", connect, "connecting to it, through the monitor".into()));
    }
    if state.net.starts_with("tap=") {
        list.push(capability("ethernet", &state.net, "sending and receiving any frame there".into()));
    }
    let clock = "the host's clock and random numbers";
    list.push(capability("host", clock, "reading them".into()));
    list.push(capability("memory", &size(state.memory), "at most so much".into()));
    list
}

fn text(state: &State, usage: Option<Usage>, capabilities: &[Capability]) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<14}{value}");
    };
    line("Name", state.name.clone());
    line("Id", state.id.clone());
    line("Image", state.image.clone());
    line("Build id", state.build_id.clone());
    line("Program", [std::slice::from_ref(&state.program), &state.args[..]].concat().join(" "));
    line("Backend", format!("{}, {} CPU", state.backend, state.cpus));
    let ended = state.exit_code.filter(|_| state.pid.is_none()).map(|code| format!(", status {code}"));
    let reason = state.reason.as_ref().map(|reason| format!(": {reason}"));
    line(
        "State",
        format!("{}{}{}", state.phase.name(), ended.unwrap_or_default(), reason.unwrap_or_default()),
    );
    let pid = state.pid.map(|pid| format!("{pid}, ")).unwrap_or_default();
    line("Processes", format!("{pid}monitor {}", state.monitor_pid));
    let age =
        SystemTime::now().duration_since(kernlet_monitor::state::time(state.created)).unwrap_or_default();
    line("Created", format!("{} ({} ago)", timestamp(state.created), span(age)));
    line("Started", timestamp(state.started));
    if let Some(finished) = state.finished {
        line("Finished", timestamp(finished));
    }
    line("Restarts", format!("{} (policy: {})", state.restarts, state.restart));
    if let Some(usage) = usage {
        let pss = usage.pss.map(|pss| format!("{} (PSS), ", size(pss))).unwrap_or_default();
        line("Memory", format!("{pss}{} (RSS), {} at most", size(usage.rss), size(state.memory)));
        line("CPU", format!("{:.2} s", usage.cpu.as_secs_f64()));
    }
    line("Network", state.net.clone());
    text.push_str("Capabilities\n");
    for capability in capabilities {
        let _ = writeln!(text, "  {:<10}{}: {}", capability.kind, capability.what, capability.means);
    }
    text
}
