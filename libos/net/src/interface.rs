//! What this instance's network looks like from inside.

use crate::stack;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network interface and its addresses now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `lo`, or `eth0` for the Ethernet device.
    pub name: &'static str,
    /// The MAC address; loopback has none.
    pub mac: Option<[u8; 6]>,
    /// The largest IP packet, in bytes.
    pub mtu: usize,
    /// The addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The default routers, at most one for each family.
    pub routers: Vec<IpAddr>,
}

/// The interfaces: loopback and the Ethernet device, if there is one. Starts the network if nothing has yet.
pub fn interfaces() -> Vec<Interface> {
    let loopback = Interface {
        name: "lo",
        mac: None,
        mtu: 65536,
        addresses: alloc::vec![(Ipv4Addr::LOCALHOST.into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)],
        routers: Vec::new(),
    };
    let ethernet = stack::get().map(|s| s.interface());
    core::iter::once(loopback).chain(ethernet).collect()
}

/// Waits until the Ethernet device has an address beyond its link-local one (by DHCP, from a router, or because it was
/// told); returns at once when there is no device. A server need not wait: it is reachable as soon as an address is
/// there.
pub async fn configured() {
    if let Some(stack) = stack::get() {
        stack.configured().await;
    }
}
