//! NSD, the peer of the DNS server.

use crate::dns::zone::ORIGIN;
use crate::error::BenchError;
use crate::place::{Place, Running, tool};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is needed to start NSD.
#[derive(Debug)]
pub struct Nsd {
    program: PathBuf,
    config: PathBuf,
}

impl Nsd {
    /// One server process on a loopback port, without rate limits, for the zone files in `zones`.
    pub fn new(place: &Place, zones: &str, port: u16) -> Result<Self, BenchError> {
        let program = tool("nsd", "nsd")?;
        let folder = place.create_dir(&format!("nsd-{port}"))?;
        let folder = folder.display();
        let user = if nix::unistd::geteuid().is_root() { "nobody" } else { "" };
        let config = format!(
            r#"server:
    server-count: 1
    ip-address: 127.0.0.1@{port}
    username: "{user}"
    chroot: ""
    zonesdir: "{zones}"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    logfile: "{folder}/log"
    database: ""
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ORIGIN}
    zonefile: {ORIGIN}.zone
"#
        );
        Ok(Self { program, config: place.write(&format!("nsd-{port}.conf"), &config)? })
    }

    /// The arguments of a server in the foreground.
    pub fn arguments(&self) -> Vec<String> {
        vec![self.program.display().to_string(), "-d".into(), "-c".into(), self.config.display().to_string()]
    }

    /// Starts it as its package does: by root, if that is who calls, so that it may take larger socket buffers
    /// than an ordinary user's before it becomes another user.
    pub fn start(&self) -> Result<Running, BenchError> {
        let arguments = self.arguments();
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running(command.spawn().map_err(BenchError::io("nsd"))?))
    }
}
