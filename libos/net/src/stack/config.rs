//! The interface's addresses and routers: fixed ones from the boot blob, else by DHCPv4 and SLAAC.

use super::slaac::{self, Slaac};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use kernlet_platform::boot::{Address, NicConfig};
use kernlet_time::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{DhcpOption, IpCidr};

/// DHCP option 12: the client's name (RFC 2132).
const HOST_NAME: u8 = 12;

/// How often a DHCP server is looked for: eagerly at first, as a virtual link is often up a moment later than the
/// machine, and calmly when there seems to be none.
const EAGER: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(16);
/// How long the eagerness lasts.
const EAGERNESS: Duration = Duration::from_secs(12);

fn set_interval(socket: &mut dhcpv4::Socket<'_>, interval: Duration) {
    let mut retries = socket.get_retry_config();
    retries.discover_timeout = interval.into();
    socket.set_retry_config(retries);
}

/// Where the addresses come from, and which they are now.
pub struct Config {
    mac: [u8; 6],
    fixed: Vec<IpCidr>,
    routers: Vec<IpAddr>,
    pub dhcp: Option<(SocketSet<'static>, SocketHandle)>,
    pub slaac: Option<Slaac>,
    /// Until when DHCP is eager.
    eager: Option<Instant>,
    lease: Option<(IpCidr, Option<Ipv4Addr>)>,
}

fn convert(address: Address) -> (IpAddr, u8) {
    match address {
        Address::V4(bytes, prefix) => (Ipv4Addr::from(bytes).into(), prefix),
        Address::V6(bytes, prefix) => (Ipv6Addr::from(bytes).into(), prefix),
    }
}

impl Config {
    /// What the blob says, for the interface with `mac`; nothing fixed means DHCPv4 and SLAAC.
    pub fn new(mac: [u8; 6], nic: &NicConfig, hostname: Option<&'static str>, now: Instant) -> Self {
        let fixed: Vec<IpCidr> = nic
            .addresses
            .iter()
            .map(|&a| convert(a))
            .map(|(address, prefix)| IpCidr::new(address.into(), prefix))
            .filter(|cidr| cidr.address().is_unicast())
            .collect();
        let routers = nic.gateways.iter().map(|&a| convert(a).0).collect();
        let automatic = fixed.is_empty();
        Self {
            mac,
            routers,
            dhcp: automatic.then(|| dhcp(hostname)),
            slaac: automatic.then(|| Slaac::new(mac, now)),
            eager: automatic.then(|| now + EAGERNESS),
            fixed,
            lease: None,
        }
    }

    /// Takes in what the DHCP client has found out; tells whether something changed.
    pub fn poll_dhcp(&mut self, now: Instant) -> bool {
        let Some((set, handle)) = &mut self.dhcp else { return false };
        let socket = set.get_mut::<dhcpv4::Socket<'_>>(*handle);
        if self.eager.is_some_and(|until| until <= now) {
            self.eager = None;
            set_interval(socket, CALM);
        }
        let lease = match socket.poll() {
            None => return false,
            Some(dhcpv4::Event::Deconfigured) => None,
            Some(dhcpv4::Event::Configured(config)) => Some((IpCidr::Ipv4(config.address), config.router)),
        };
        let lease = lease.filter(|(cidr, _)| cidr.address().is_unicast());
        let changed = lease != self.lease;
        self.lease = lease;
        changed
    }

    fn addresses(&self) -> Vec<IpCidr> {
        let six = |address: Ipv6Addr| IpCidr::new(address.into(), 64);
        let mut all = alloc::vec![six(slaac::link_local(self.mac))];
        all.extend(self.fixed.iter().copied());
        all.extend(self.lease.iter().map(|(cidr, _)| *cidr));
        all.extend(self.slaac.iter().flat_map(Slaac::addresses).map(six));
        all
    }

    /// The default routers, at most one for each family.
    pub fn routers(&self) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let leased = self.lease.and_then(|(_, router)| router);
        let four = self.routers.iter().find_map(|r| if let IpAddr::V4(r) = r { Some(*r) } else { None });
        let six = self.routers.iter().find_map(|r| if let IpAddr::V6(r) = r { Some(*r) } else { None });
        (four.or(leased), six.or_else(|| self.slaac.as_ref().and_then(Slaac::router)))
    }

    /// Whether there is an address that reaches beyond the link, or has been given for it.
    pub fn is_configured(&self) -> bool {
        self.addresses().len() > 1
    }

    /// Gives the interface its addresses and routes.
    pub fn apply(&self, iface: &mut Interface) {
        let addresses = self.addresses();
        iface.update_ip_addrs(|list| {
            list.clear();
            for address in addresses {
                // More than smoltcp holds: the first ones count.
                let _ = list.push(address);
            }
        });
        let (four, six) = self.routers();
        let routes = iface.routes_mut();
        routes.update(|list| list.clear());
        // The table, just emptied, holds two.
        let _ = four.map(|router| routes.add_default_ipv4_route(router));
        let _ = six.map(|router| routes.add_default_ipv6_route(router));
    }
}

fn dhcp(hostname: Option<&'static str>) -> (SocketSet<'static>, SocketHandle) {
    let mut socket = dhcpv4::Socket::new();
    set_interval(&mut socket, EAGER);
    if let Some(name) = hostname.filter(|n| (1..=63).contains(&n.len())) {
        let options = alloc::vec![DhcpOption { kind: HOST_NAME, data: name.as_bytes() }];
        // Lives as long as the stack, which is for ever.
        socket.set_outgoing_options(Box::leak(options.into_boxed_slice()));
    }
    let mut set = SocketSet::new(Vec::with_capacity(1));
    let handle = set.add(socket);
    (set, handle)
}
