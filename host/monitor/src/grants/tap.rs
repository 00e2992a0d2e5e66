//! Taps: Ethernet devices of the host that exist already and belong to the user.

use miette::Diagnostic;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::os::fd::OwnedFd;
use thiserror::Error;

/// Why an Ethernet device cannot be granted.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum TapError {
    /// There is no such interface.
    #[error("the tap {0} does not exist")]
    #[diagnostic(help(
        "make it first: `sudo ip tuntap add dev {0} mode tap vnet_hdr user $USER && sudo ip link set {0} up`"
    ))]
    Missing(String),
    /// The interface is something else.
    #[error(
        "the interface {0} is no tap that can be used: it must have been made as one, with a single queue"
    )]
    #[diagnostic(help(
        "`ip tuntap` lists the taps; `sudo ip tuntap add dev NAME mode tap vnet_hdr user $USER && sudo ip link set NAME up` makes one"
    ))]
    Unfit(String),
    /// It belongs to somebody else.
    #[error("the tap {0} may not be opened: it belongs to another user")]
    #[diagnostic(help(
        "make it anew as yours: `sudo ip tuntap del dev {0} mode tap && sudo ip tuntap add dev {0} mode tap vnet_hdr user $USER && sudo ip link set {0} up`"
    ))]
    NotYours(String),
    /// Somebody has it open.
    #[error("the tap {0} is in use by another program")]
    #[diagnostic(help(
        "end that program (`kernlet ps` lists instances), or make another tap: `sudo ip tuntap add dev NAME mode tap vnet_hdr user $USER && sudo ip link set NAME up`"
    ))]
    Busy(String),
    /// Taps cannot be opened at all.
    #[error("the tap {interface} cannot be opened: /dev/net/tun: {source}")]
    #[diagnostic(help(
        "the module `tun` makes it (`sudo modprobe tun`), and users need to read and write it: `sudo chmod 666 /dev/net/tun` (who may use which tap is decided by its owner)"
    ))]
    NoDevice {
        /// The interface.
        interface: String,
        /// What the host said.
        source: io::Error,
    },
    /// Another call of the host's failed.
    #[error("the tap {interface} cannot be opened: {source}")]
    Host {
        /// The interface.
        interface: String,
        /// What the host said.
        source: io::Error,
    },
}

/// Opens the tap of that name. It must exist: making one needs a privilege, and one that was made in passing would not
/// be connected.
pub(super) fn open(interface: &str) -> Result<OwnedFd, TapError> {
    let name = || interface.to_string();
    let failed = |error: Errno| TapError::Host { interface: name(), source: error.into() };
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let found = rustix::net::netdevice::name_to_index(socket.map_err(failed)?, interface);
    found.map_err(|error| if error == Errno::NODEV { TapError::Missing(name()) } else { failed(error) })?;
    kernlet_sandbox::open_tap(interface).map_err(|source| match Errno::from_io_error(&source) {
        Some(Errno::INVAL) => TapError::Unfit(name()),
        Some(Errno::PERM) => TapError::NotYours(name()),
        Some(Errno::BUSY) => TapError::Busy(name()),
        Some(Errno::NOENT | Errno::ACCESS | Errno::NODEV | Errno::NXIO) => {
            TapError::NoDevice { interface: name(), source }
        }
        _ => TapError::Host { interface: name(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_must_be_there_and_be_one() {
        assert!(matches!(open("no-such-tap").unwrap_err(), TapError::Missing(_)));
        // Who may not open /dev/net/tun is told so first.
        let error = open("lo").unwrap_err();
        assert!(matches!(error, TapError::Unfit(_) | TapError::NoDevice { .. }), "{error}");
    }
}
