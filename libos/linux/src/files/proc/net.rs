//! What is told of the network: /proc/net, as netstat(8) and its like read it.

use super::super::description::Kind;
use super::{Made, Table, hexadecimal, put};
use crate::Errno;
use crate::process::Process;
use crate::sockets::Speech;
use alloc::string::String;
use core::fmt::Write;
use kernlet_net::{IpAddr, SocketAddr, interfaces};

pub(super) static FILES: Table = Table {
    made: &[
        Made::new("dev", devices),
        Made::new("if_inet6", addresses),
        Made::new("route", routes),
        Made::new("tcp", |process, _, text| sockets(process, text, "tcp", false)),
        Made::new("tcp6", |process, _, text| sockets(process, text, "tcp", true)),
        Made::new("udp", |process, _, text| sockets(process, text, "udp", false)),
        Made::new("udp6", |process, _, text| sockets(process, text, "udp", true)),
        Made::new("unix", unix),
    ],
    constants: b"arp\x01IP address       HW type     Flags       HW address            Mask     Device\n\0raw\x01\0packet\x01\0",
};

/// Nothing is counted.
fn devices(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    text.push_str("Inter-|   Receive                                                |  Transmit\n");
    text.push_str(" face |bytes    packets errs drop fifo frame compressed multicast|");
    text.push_str("bytes    packets errs drop fifo colls carrier compressed\n");
    for one in interfaces() {
        put!(text, "{:>6}:", one.name);
        (0..16).for_each(|_| text.push_str(" 0"));
        text.push('\n');
    }
    Ok(())
}

fn addresses(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    for (index, one) in (1..).zip(interfaces()) {
        for (ip, prefix) in &one.addresses {
            let IpAddr::V6(six) = ip else { continue };
            let scope = match () {
                () if six.is_loopback() => 0x10,
                () if six.is_unicast_link_local() => 0x20,
                () => 0,
            };
            put!(text, "{:032x} {index:02x} {prefix:02x} {scope:02x} 80 {:>8}\n", six.to_bits(), one.name);
        }
    }
    Ok(())
}

fn routes(_: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    text.push_str("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    for one in interfaces().iter().filter(|one| one.name != "lo") {
        let mut line = |to: u32, by: u32, flags: u32, mask: u32| {
            text.push_str(one.name);
            for (value, digits) in [(to.swap_bytes(), 8), (by.swap_bytes(), 8), (flags, 4)] {
                text.push('\t');
                hexadecimal(text, value.into(), digits);
            }
            text.push_str("\t0\t0\t0\t");
            hexadecimal(text, mask.swap_bytes().into(), 8);
            text.push_str("\t0\t0\t0\n");
        };
        // RTF_UP, RTF_GATEWAY.
        for router in &one.routers {
            if let IpAddr::V4(router) = router {
                line(0, router.to_bits(), 3, 0);
            }
        }
        for (ip, prefix) in &one.addresses {
            if let IpAddr::V4(ip) = ip {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                line(ip.to_bits() & mask, 0, 1, mask);
            }
        }
    }
    Ok(())
}

/// An address: in words of the machine, and the port.
fn address(text: &mut String, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hexadecimal(text, ip.to_bits().swap_bytes().into(), 8),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            let (words, _) = octets.as_chunks::<4>();
            words.iter().for_each(|word| hexadecimal(text, u32::from_le_bytes(*word).into(), 8));
        }
    }
    text.push(':');
    hexadecimal(text, address.port().into(), 4);
    text.push(' ');
}

fn sockets(process: &Process, text: &mut String, kind: &str, six: bool) -> Result<(), Errno> {
    text.push_str(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    );
    let user = process.credentials.borrow().users[1];
    for (descriptor, slot) in process.files.table.borrow().open() {
        let Kind::Socket(socket) = &slot.description.kind else { continue };
        let is = match &socket.speech {
            Speech::Tcp(_) => "tcp",
            Speech::Udp(_) => "udp",
            _ => continue,
        };
        let Some((local, peer, state)) = socket.ends() else { continue };
        if is != kind || local.is_ipv6() != six {
            continue;
        }
        put!(text, "{descriptor:4}: ");
        address(text, local);
        address(text, peer);
        hexadecimal(text, state.into(), 2);
        text.push(' ');
        hexadecimal(text, socket.unsent() as u64, 8);
        text.push(':');
        hexadecimal(text, socket.available().unwrap_or(0) as u64, 8);
        put!(text, " 00:00000000 00000000 {user:5} 0 {} 1 0\n", socket.number());
    }
    Ok(())
}

fn unix(process: &Process, _: u32, text: &mut String) -> Result<(), Errno> {
    text.push_str("Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (_, slot) in process.files.table.borrow().open() {
        let Kind::Socket(socket) = &slot.description.kind else { continue };
        let Speech::Unix(_) = &socket.speech else { continue };
        let connected = socket.peer().is_ok();
        text.push_str("0000000000000000: 00000002 00000000 ");
        hexadecimal(text, if socket.listens() { 0x10000 } else { 0 }, 8);
        text.push(' ');
        hexadecimal(text, socket.common.kind.into(), 4);
        put!(text, " 0{} {}", if connected { 3 } else { 1 }, socket.number());
        if let Some(path) = socket.path() {
            text.push(' ');
            super::lossy(text, &path);
        }
        text.push('\n');
    }
    Ok(())
}
