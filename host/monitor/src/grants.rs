//! Opening what an instance is granted, once: a restarted instance gets the same sockets and volumes.

mod tap;

pub use tap::TapError;

use crate::home::Home;
use crate::options::{Net, Options, Publish, protocol_name};
use crate::state::PortState;
use kernlet_wire::boot::Protocol;
use miette::Diagnostic;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use thiserror::Error;

/// How many connections may wait to be accepted; the host's own limit (somaxconn) cuts it down.
const BACKLOG: i32 = 4096;

/// How many bytes of datagrams may wait, each way; the host's own limits (rmem_max, wmem_max) cut it down.
const DATAGRAM_BUFFER: usize = 1 << 20;

/// Why something cannot be granted.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum GrantError {
    /// Somebody else has the port.
    #[error("port {port} cannot be bound: it is in use")]
    #[diagnostic(help("{holder}; publish another port, as in -p 0:{inside} for a free one"))]
    PortInUse {
        /// The host's side.
        port: String,
        /// The program's side.
        inside: String,
        /// Who has it.
        holder: String,
    },
    /// The port is reserved for root.
    #[error("port {port} cannot be bound: permission denied")]
    #[diagnostic(help(
        "ports below {first} need a privilege: allow this one with `sysctl net.ipv4.ip_unprivileged_port_start={number}`, or give `kernlet` the privilege with `setcap cap_net_bind_service=ep $(command -v kernlet)`, or publish a higher port: -p {higher}"
    ))]
    PortPrivileged {
        /// The host's side.
        port: String,
        /// Its number.
        number: u16,
        /// The first port that needs no privilege.
        first: u16,
        /// A port that would do.
        higher: String,
    },
    /// The host has no such address.
    #[error("port {port} cannot be bound: this machine has no such address")]
    #[diagnostic(help("`ip address` shows the addresses; without one it is 127.0.0.1, and 0.0.0.0 is all"))]
    NoSuchAddress {
        /// The host's side.
        port: String,
    },
    /// The port cannot be bound for another reason.
    #[error("port {port} cannot be bound: {source}")]
    Port {
        /// The host's side.
        port: String,
        /// Why not.
        source: io::Error,
    },
    /// A port was published twice, or without a network.
    #[error("-p {0}: {1}")]
    #[diagnostic(help("{2}"))]
    Publish(String, &'static str, &'static str),
    /// There is nothing at the path.
    #[error("the volume {} does not exist", .0.display())]
    #[diagnostic(help("make it first: mkdir -p {}", .0.display()))]
    NoSuchVolume(PathBuf),
    /// The volume cannot be opened.
    #[error("the volume {} cannot be used: {source}", path.display())]
    #[diagnostic(help(
        "the user who runs kernlet must be able to read it, and to write it unless it ends in :ro"
    ))]
    Volume {
        /// On the host.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The Ethernet device cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tap(#[from] TapError),
    /// Only files and directories can be volumes.
    #[error("the volume {} is neither a file nor a directory", .0.display())]
    #[diagnostic(help("name a directory, or a regular file"))]
    OddVolume(PathBuf),
}

/// A published port that is bound.
#[derive(Debug)]
pub(crate) struct BoundPort {
    pub protocol: Protocol,
    pub port: u16,
    pub host: SocketAddr,
    /// The socket; `None` once it was given away.
    pub socket: Option<OwnedFd>,
}

/// An open volume.
#[derive(Debug)]
pub(crate) struct OpenVolume {
    pub guest: String,
    pub read_only: bool,
    pub file: bool,
    pub descriptor: OwnedFd,
}

/// Everything granted, open.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub ports: Vec<BoundPort>,
    pub volumes: Vec<OpenVolume>,
    pub tap: Option<OwnedFd>,
}

impl Grants {
    /// Opens what `options` ask for.
    pub(crate) fn open(options: &Options, home: &Home) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for (index, publish) in options.publish.iter().enumerate() {
            if options.net == Net::None {
                let (what, mend) = ("--net none has no ports", "leave out one of the two");
                return Err(GrantError::Publish(publish.to_string(), what, mend));
            }
            if options.publish[..index].iter().any(|p| p == publish && p.host.port() != 0) {
                let (what, mend) = ("it is published already", "leave out one of the two");
                return Err(GrantError::Publish(publish.to_string(), what, mend));
            }
            grants.ports.push(bind(publish, home)?);
        }
        if let Net::Tap(tap) = &options.net {
            grants.tap = Some(tap::open(&tap.interface)?);
        }
        for volume in &options.volumes {
            grants.volumes.push(open_volume(volume)?);
        }
        Ok(grants)
    }

    /// The ports as they are bound.
    pub(crate) fn port_states(&self) -> Vec<PortState> {
        self.ports.iter().map(|p| PortState::new(p.protocol, p.host, p.port)).collect()
    }
}

pub(crate) fn bind(publish: &Publish, home: &Home) -> Result<BoundPort, GrantError> {
    let bound = || -> Result<(OwnedFd, SocketAddr), Errno> {
        let family = if publish.host.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = if publish.protocol == Protocol::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        if publish.protocol == Protocol::Tcp {
            // A server that is started anew takes its port although old connections linger.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        if publish.host.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        if publish.protocol == Protocol::Udp {
            prepare_for_datagrams(&socket, publish.host.ip())?;
        }
        rustix::net::bind(&socket, &publish.host)?;
        if publish.protocol == Protocol::Tcp {
            rustix::net::listen(&socket, BACKLOG)?;
        }
        let host = match publish.host.port() {
            0 => rustix::net::getsockname(&socket)?.try_into().map_err(|_| Errno::AFNOSUPPORT)?,
            _ => publish.host,
        };
        Ok((socket, host))
    };
    let (socket, host) = bound().map_err(|error| explain(publish, error, home))?;
    Ok(BoundPort { protocol: publish.protocol, port: publish.port, host, socket: Some(socket) })
}

/// Room for bursts; and with a wildcard address each datagram tells which address was asked, so that the answer can
/// leave from there.
fn prepare_for_datagrams(socket: &OwnedFd, address: IpAddr) -> Result<(), Errno> {
    use nix::sys::socket::{setsockopt, sockopt as more};
    sockopt::set_socket_recv_buffer_size(socket, DATAGRAM_BUFFER)?;
    sockopt::set_socket_send_buffer_size(socket, DATAGRAM_BUFFER)?;
    let set = match address {
        IpAddr::V4(address) if address.is_unspecified() => setsockopt(socket, more::Ipv4PacketInfo, &true),
        IpAddr::V6(address) if address.is_unspecified() => {
            setsockopt(socket, more::Ipv6RecvPacketInfo, &true)
        }
        _ => Ok(()),
    };
    set.map_err(|error| Errno::from_raw_os_error(error as i32))
}

fn explain(publish: &Publish, error: Errno, home: &Home) -> GrantError {
    let protocol = protocol_name(publish.protocol);
    let port = format!("{}/{protocol}", publish.host);
    let number = publish.host.port();
    match error {
        Errno::ADDRINUSE => {
            let holder = holder(publish, home);
            GrantError::PortInUse { port, inside: format!("{}/{protocol}", publish.port), holder }
        }
        Errno::ACCESS => {
            let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
            let first = setting.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
            let higher = number.saturating_add(first);
            let higher = format!("{higher}:{}/{protocol}", publish.port);
            GrantError::PortPrivileged { port, number, first, higher }
        }
        Errno::ADDRNOTAVAIL => GrantError::NoSuchAddress { port },
        _ => GrantError::Port { port, source: error.into() },
    }
}

/// Who has a port: an instance of ours, or how to find out.
fn holder(publish: &Publish, home: &Home) -> String {
    let protocol = protocol_name(publish.protocol);
    let number = publish.host.port();
    let ours = home.all().unwrap_or_default().into_iter().find(|directory| {
        let same = |p: &PortState| p.protocol == protocol && p.host.port() == number;
        directory.state().is_ok_and(|state| state.alive() && state.ports.iter().any(same))
    });
    match ours {
        Some(directory) => format!("the instance {0} has it (`kernlet stop {0}` ends it)", directory.name()),
        None => {
            let letter = if publish.protocol == Protocol::Tcp { 't' } else { 'u' };
            format!("`ss -ln{letter}p 'sport = :{number}'` shows which program has it")
        }
    }
}

fn open_volume(volume: &crate::options::Volume) -> Result<OpenVolume, GrantError> {
    let path = std::path::absolute(&volume.host)
        .map_err(|source| GrantError::Volume { path: volume.host.clone(), source })?;
    let failed = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR => GrantError::NoSuchVolume(path.clone()),
        _ => GrantError::Volume { path: path.clone(), source: error.into() },
    };
    let descriptor =
        rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let about = rustix::fs::fstat(&descriptor).map_err(failed)?;
    let file = match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory => false,
        FileType::RegularFile => true,
        _ => return Err(GrantError::OddVolume(path)),
    };
    Ok(OpenVolume { guest: volume.guest.clone(), read_only: volume.read_only, file, descriptor })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home::at("/nonexistent".into())
    }

    fn options(publish: &[&str], volumes: &[&str]) -> Options {
        let mut options = Options::new("/i".into());
        options.publish = publish.iter().map(|p| p.parse().unwrap()).collect();
        options.volumes = volumes.iter().map(|v| v.parse().unwrap()).collect();
        options
    }

    #[test]
    fn port_0_picks_one_and_tells_which() {
        let grants = Grants::open(&options(&["0:80", "0:53/udp", "[::1]:0:81"], &[]), &home()).unwrap();
        let ports = grants.port_states();
        assert!(ports.iter().all(|p| p.host.port() != 0), "{ports:?}");
        assert_eq!((ports[1].protocol.as_str(), ports[1].port), ("udp", 53));
    }

    #[test]
    fn a_port_of_the_program_can_be_published_at_several_addresses() {
        let all = ["0:53/udp", "[::1]:0:53/udp", "127.0.0.2:0:53/udp", "0:53/tcp", "0:53/tcp"];
        let grants = Grants::open(&options(&all, &[]), &home()).unwrap();
        let ports = grants.port_states();
        assert!(ports.len() == 5 && ports.iter().all(|p| p.port == 53));
        assert_ne!(ports[3].host, ports[4].host);
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = std::net::TcpListener::bind(taken).unwrap();
        let publish = format!("{}:80", taken.port());
        let error = Grants::open(&options(&[&publish], &[]), &home()).unwrap_err();
        assert_eq!(error.to_string(), format!("port {taken}/tcp cannot be bound: it is in use"));
        let help = error.help().unwrap().to_string();
        assert!(help.contains("ss -lntp") && help.contains("-p 0:80/tcp"), "{help}");
        drop(listener);
    }

    #[test]
    fn the_privileged_port_says_which_setting_allows_it() {
        let error = explain(&"53:53/udp".parse().unwrap(), Errno::ACCESS, &home());
        let help = error.help().unwrap().to_string();
        assert!(help.contains("ip_unprivileged_port_start=53") && help.contains("53/udp"), "{help}");
    }

    #[test]
    fn other_port_mistakes_are_explained() {
        let error = Grants::open(&options(&["203.0.113.1:0:80"], &[]), &home()).unwrap_err();
        assert!(matches!(error, GrantError::NoSuchAddress { .. }), "{error}");
        let error = Grants::open(&options(&["0:81", "39271:80", "39271:80"], &[]), &home()).unwrap_err();
        assert!(error.to_string().contains("published already"));
        let mut none = options(&["0:80"], &[]);
        none.net = Net::None;
        assert!(Grants::open(&none, &home()).is_err());
    }

    #[test]
    fn volumes_are_files_or_directories_that_exist() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        std::fs::write(folder.path().join("f"), "").unwrap();
        let grants =
            Grants::open(&options(&[], &[&format!("{path}:/d:ro"), &format!("{path}/f:/f")]), &home())
                .unwrap();
        assert!(!grants.volumes[0].file && grants.volumes[0].read_only && grants.volumes[1].file);
        let error = Grants::open(&options(&[], &[&format!("{path}/no:/d")]), &home()).unwrap_err();
        assert!(matches!(error, GrantError::NoSuchVolume(_)));
        let error = Grants::open(&options(&[], &["/dev/null:/d"]), &home()).unwrap_err();
        assert!(matches!(error, GrantError::OddVolume(_)));
    }
}
