//! NSD and Knot, the peers of the DNS server: each with one process that answers, without rate limits.

use crate::dns::zone::ORIGIN;
use crate::error::BenchError;
use crate::place::{Place, Running, tool};
use std::process::{Command, Stdio};

/// A server in the foreground.
#[derive(Debug)]
pub struct Peer {
    /// What it is called in reports.
    pub name: &'static str,
    arguments: Vec<String>,
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// NSD on a loopback port, for the zone file in the folder `zones`.
pub fn nsd(place: &Place, zones: &str, port: u16) -> Result<Peer, BenchError> {
    let program = tool("nsd", "nsd")?.display().to_string();
    let folder = place.create_dir(&format!("nsd-{port}"))?;
    let user = if is_root() { "nobody" } else { "" };
    let folder = folder.display().to_string();
    let more = format!("username: \"{user}\"\n    logfile: \"{folder}/log\"");
    let config = nsd_config(&format!("127.0.0.1@{port}"), zones, &folder, &more);
    let config = place.write(&format!("nsd-{port}.conf"), &config)?.display().to_string();
    Ok(Peer { name: "NSD", arguments: vec![program, "-d".into(), "-c".into(), config] })
}

/// NSD's configuration: one process that answers, no rate limits, the zone in the folder `zones`, its own files in `folder`,
/// and more lines.
pub fn nsd_config(address: &str, zones: &str, folder: &str, more: &str) -> String {
    format!(
        r#"server:
    server-count: 1
    ip-address: {address}
    chroot: ""
    zonesdir: "{zones}"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    {more}
    database: ""
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ORIGIN}
    zonefile: {ORIGIN}.zone
"#
    )
}

/// Knot on a loopback port, for the zone file in the folder `zones`.
pub fn knot(place: &Place, zones: &str, port: u16) -> Result<Peer, BenchError> {
    let program = tool("knotd", "knot")?.display().to_string();
    let folder = place.create_dir(&format!("knot-{port}"))?;
    let folder = folder.display();
    let user = if is_root() { "    user: nobody:nogroup\n" } else { "" };
    let config = format!(
        r#"server:
    rundir: "{folder}"
{user}    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
log:
  - target: "{folder}/log"
    any: warning
template:
  - id: default
    storage: "{zones}"
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {ORIGIN}
    file: {ORIGIN}.zone
"#
    );
    let config = place.write(&format!("knot-{port}.conf"), &config)?.display().to_string();
    Ok(Peer { name: "Knot", arguments: vec![program, "-c".into(), config] })
}

impl Peer {
    /// Its command line.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Starts it as its package does: by root, if that is who calls, so that it may take larger socket buffers
    /// than an ordinary user's before it becomes another user.
    pub fn start(&self) -> Result<Running, BenchError> {
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running(command.spawn().map_err(BenchError::io(self.name))?))
    }
}
