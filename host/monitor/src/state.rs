//! What is known of an instance: one JSON file, replaced whole.

use crate::options::{Options, protocol_name};
use kernlet_image::{Image, manifest::BuildId};
use kernlet_wire::boot::Protocol;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// The version of the file's shape.
const VERSION: u32 = 1;
/// The status of an instance whose monitor was killed before it could say more: both end by SIGKILL.
pub const KILLED_WITH_MONITOR: u8 = 137;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Started and not ended.
    Running,
    /// Ended, to be started again after a pause.
    Restarting,
    /// Ended.
    Exited,
}

impl Phase {
    /// Its name, as in Docker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }
}

/// A published port as it is bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Where the host listens, with the port that was picked.
    pub host: SocketAddr,
    /// The program's port.
    pub port: u16,
}

impl PortState {
    /// A port that was bound.
    #[must_use]
    pub fn new(protocol: Protocol, host: SocketAddr, port: u16) -> Self {
        Self { protocol: protocol_name(protocol).into(), host, port }
    }
}

/// A granted volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeState {
    /// On the host.
    pub host: String,
    /// Inside.
    pub guest: String,
    /// The program cannot change it.
    pub read_only: bool,
}

/// Everything that is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// A random number that no other instance has had.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image's path when it was started.
    pub image: String,
    /// The image's name for itself.
    pub build_id: String,
    /// The program's name.
    pub program: String,
    /// Its arguments, the program's name not among them.
    pub args: Vec<String>,
    /// Where it is in its life.
    #[serde(rename = "state")]
    pub phase: Phase,
    /// The status by which it ended last.
    pub exit_code: Option<u8>,
    /// Why it ended, when its program did not simply exit.
    pub reason: Option<String>,
    /// `process` or `qemu`.
    pub backend: String,
    /// The process that watches over it.
    pub monitor_pid: u32,
    /// The process that it is, while it runs.
    pub pid: Option<u32>,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// When it was started last.
    pub started: u64,
    /// When it ended last.
    pub finished: Option<u64>,
    /// How many times it was started again.
    pub restarts: u32,
    /// The restart policy.
    pub restart: String,
    /// It is forgotten when it has ended.
    pub remove: bool,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its virtual CPUs.
    pub cpus: u32,
    /// Its standard streams are a terminal.
    pub terminal: bool,
    /// Published ports.
    pub ports: Vec<PortState>,
    /// Its network, as on the command line.
    pub net: String,
    /// Outgoing connections that it may make.
    pub allow_connect: Vec<String>,
    /// Host files that it sees.
    pub volumes: Vec<VolumeState>,
}

/// What an image says of itself, as far as state keeps it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub build_id: BuildId,
    pub program: String,
}

impl About {
    pub(crate) fn of(image: &Image) -> Self {
        let manifest = image.manifest();
        Self { build_id: manifest.build_id, program: manifest.name.into() }
    }
}

impl State {
    pub(crate) fn new(name: String, id: String, options: &Options, about: About) -> Self {
        let now = milliseconds(SystemTime::now());
        let volumes = options.volumes.iter().map(|volume| VolumeState {
            host: volume.host.to_string_lossy().into_owned(),
            guest: volume.guest.clone(),
            read_only: volume.read_only,
        });
        Self {
            version: VERSION,
            id,
            name,
            image: options.image.to_string_lossy().into_owned(),
            build_id: about.build_id.to_string(),
            program: about.program,
            args: options.args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect(),
            phase: Phase::Running,
            exit_code: None,
            reason: None,
            backend: options.backend.name().into(),
            monitor_pid: std::process::id(),
            pid: None,
            created: now,
            started: now,
            finished: None,
            restarts: 0,
            restart: options.restart.to_string(),
            remove: options.remove,
            memory: options.memory,
            cpus: 1,
            terminal: options.terminal,
            ports: Vec::new(),
            net: options.net.to_string(),
            allow_connect: options.connect.iter().map(ToString::to_string).collect(),
            volumes: volumes.collect(),
        }
    }

    /// The instance has ended.
    pub(crate) fn ended(&mut self, phase: Phase, status: u8, reason: Option<String>) {
        self.phase = phase;
        self.exit_code = Some(status);
        self.reason = reason;
        self.pid = None;
        self.finished = Some(milliseconds(SystemTime::now()));
    }

    /// What is true when nobody watches any more: the instance ended with its monitor.
    pub(crate) fn without_monitor(&mut self) {
        if self.phase != Phase::Exited {
            self.phase = Phase::Exited;
            self.exit_code = Some(KILLED_WITH_MONITOR);
            self.reason = Some("its monitor was killed".into());
        }
        self.pid = None;
    }

    /// Its monitor is alive, and with it the instance or the intention to start it again.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.phase != Phase::Exited
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The reverse of [`milliseconds`].
#[must_use]
pub fn time(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
impl About {
    pub(crate) fn example() -> Self {
        Self { build_id: kernlet_image::manifest::Digest([7; 32]), program: "hello".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> State {
        let options = Options::new("/images/hello.img".into());
        State::new("calm-fern".into(), "00ff".into(), &options, About::example())
    }

    #[test]
    fn state_survives_the_round_trip() {
        let mut state = example();
        state.ports.push(PortState::new(Protocol::Udp, "[::1]:53".parse().unwrap(), 53));
        let text = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<State>(&text).unwrap(), state);
    }

    #[test]
    fn an_instance_whose_monitor_is_gone_has_ended() {
        let mut state = example();
        state.phase = Phase::Running;
        state.pid = Some(7);
        state.without_monitor();
        assert_eq!((state.phase, state.exit_code, state.pid), (Phase::Exited, Some(137), None));
        let mut state = example();
        state.ended(Phase::Exited, 3, None);
        state.without_monitor();
        assert_eq!((state.exit_code, state.reason), (Some(3), None));
    }
}
