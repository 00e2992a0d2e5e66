//! Ethernet devices between this machine and a guest, which root may make.

use crate::error::BenchError;
use crate::place::{output, tool};
use std::net::Ipv4Addr;
use std::process::Command;

/// The third octet of the first device's network; 198.18.0.0/15 is for measurements (RFC 2544). The host is .1 in each.
const NETWORK: u8 = 70;

/// A tap, which goes with its owner.
#[derive(Debug)]
pub struct Tap {
    /// The name of the device.
    pub name: String,
    /// The address that is left to what is behind it, in a network of 24 bits.
    pub guest: Ipv4Addr,
}

impl Tap {
    /// The device of this number, with the host's address on it.
    pub fn make(number: u8) -> Result<Self, BenchError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(BenchError::failed("making a tap", "only root can"));
        }
        let name = format!("kernletbench{number}");
        let network = NETWORK + number;
        ip(&["tuntap", "add", "dev", &name, "mode", "tap", "vnet_hdr"])?;
        let tap = Self { name, guest: Ipv4Addr::new(198, 18, network, 2) };
        ip(&["address", "add", &format!("198.18.{network}.1/24"), "dev", &tap.name])?;
        ip(&["link", "set", &tap.name, "up"])?;
        Ok(tap)
    }

    /// Tells the host the guest's Ethernet address, so that it need not ask, which it repeats once a second only.
    pub fn known_as(&self, mac: &str) -> Result<(), BenchError> {
        let guest = self.guest.to_string();
        ip(&["neighbour", "replace", &guest, "lladdr", mac, "dev", &self.name, "nud", "permanent"])
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), BenchError> {
    output("ip", Command::new(tool("ip", "iproute2")?).args(arguments)).map(drop)
}
