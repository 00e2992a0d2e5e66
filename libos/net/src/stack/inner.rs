//! What one call into the stack borrows: the link, smoltcp's interface, the configuration.

use super::config::Config;
use super::device::Pass;
use super::fragments::{Assembler, Outgoing};
use super::link::Link;
use super::neighbours::Neighbours;
use super::{PATIENCE, instant, moment, slaac};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::IpAddr;
use kernlet_platform::nic::Offload;
use kernlet_time::Instant;
use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::wire::IpAddress;

/// What one call into the stack borrows.
pub struct Inner {
    pub link: Rc<dyn Link>,
    pub iface: Box<Interface>,
    pub config: Config,
    pub neighbours: Neighbours,
    /// For frames that belong to no socket.
    pub nobody: SocketSet<'static>,
    /// Packets that came in part.
    pub fragments: Assembler,
    /// Packets that were sent in part.
    pub outgoing: Outgoing,
    /// The frame that is looked at.
    pub frame: Vec<u8>,
}

impl Inner {
    /// Whether `address` is this interface's.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.iface.ip_addrs().iter().any(|cidr| IpAddr::from(cidr.address()) == address)
    }

    /// Gives smoltcp a frame and the sockets that it may concern.
    pub fn ingress(&mut self, frame: &[u8], sockets: &mut SocketSet<'static>, now: Instant) {
        let mut pass = Pass { link: &*self.link, frame: Some(frame) };
        self.iface.poll_ingress_single(instant(now), &mut pass, sockets);
    }

    /// Lets each socket of a set send one packet.
    pub fn egress(&mut self, sockets: &mut SocketSet<'static>, now: Instant) -> PollResult {
        let mut pass = Pass { link: &*self.link, frame: None };
        self.iface.poll_egress(instant(now), &mut pass, sockets)
    }

    /// Sends what the configuration has to send and notes what changed; tells whether the addresses did.
    pub fn configure(&mut self, now: Instant) -> bool {
        let mut changed = false;
        if let Some((mut set, handle)) = self.config.dhcp.take() {
            while self.egress(&mut set, now) == PollResult::SocketStateChanged {}
            self.config.dhcp = Some((set, handle));
            changed = self.config.poll_dhcp(now);
        }
        if let Some(slaac) = &mut self.config.slaac {
            changed |= slaac.expire(now);
            if slaac.solicit(now) {
                let write = &mut |frame: &mut [u8]| {
                    slaac.write_solicitation(frame);
                    Offload::None
                };
                // One that finds no room is repeated.
                let _ = self.link.transmit(slaac::SOLICITATION, write);
            }
        }
        if changed {
            self.config.apply(&mut self.iface);
        }
        changed
    }

    /// When the configuration has something to do.
    pub fn configuration_deadline(&mut self, now: Instant) -> Option<Instant> {
        let dhcp = self.config.dhcp.as_ref();
        let dhcp = dhcp.and_then(|(set, _)| self.iface.poll_at(instant(now), set)).map(moment);
        let slaac = self.config.slaac.as_ref().and_then(slaac::Slaac::deadline);
        // What is asked for at once has just been done or found no room.
        [dhcp, slaac].into_iter().flatten().min().map(|at| at.max(now + PATIENCE))
    }
}

impl Inner {
    /// Whether `address` is in a network that this interface is in.
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        let address = IpAddress::from(address);
        self.iface.ip_addrs().iter().any(|cidr| cidr.contains_addr(&address))
    }

    pub fn leads_to(&self, address: IpAddr) -> bool {
        let (four, six) = self.config.routers();
        let has_address = match address {
            IpAddr::V4(_) => self.iface.ipv4_addr().is_some(),
            IpAddr::V6(_) => true,
        };
        let routed = if address.is_ipv4() { four.is_some() } else { six.is_some() };
        has_address && (self.is_on_link(address) || routed || is_group(&self.iface, address))
    }
}

/// Whether `address` is a group's or a broadcast that this interface takes part in.
pub fn is_group(iface: &Interface, address: IpAddr) -> bool {
    let subnet = |v4| {
        iface.ip_addrs().iter().any(|cidr| match cidr {
            smoltcp::wire::IpCidr::Ipv4(cidr) => cidr.broadcast() == Some(v4),
            smoltcp::wire::IpCidr::Ipv6(_) => false,
        })
    };
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || subnet(v4),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

pub fn is_for_us(iface: &Interface, address: IpAddr) -> bool {
    iface.ip_addrs().iter().any(|cidr| IpAddr::from(cidr.address()) == address) || is_group(iface, address)
}
