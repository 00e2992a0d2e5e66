//! Connections that the monitor makes for this instance, as far as `--allow-connect` grants them.

use super::tcp::Stream;
use crate::addr;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use kernlet_fs::broker::{Reply, Request, ask};
use kernlet_platform::Errno;
use kernlet_platform::boot::Protocol;
use kernlet_platform::broker::Granted;
use kernlet_platform::socket::HostRelay;

/// There is no broker here, so nothing leads outside.
fn unreachable(error: Errno) -> Errno {
    if error == Errno::ENODEV { Errno::ENETUNREACH } else { error }
}

/// Connects to `to`.
///
/// # Errors
/// EACCES when it was not granted, ENETUNREACH without a broker, the host's others.
pub async fn connect(to: SocketAddr) -> Result<Stream, Errno> {
    let (granted, peer) = request(to, Protocol::Tcp).await?;
    Ok(Stream::new(granted.into_stream(), peer))
}

/// Makes a connection that exchanges datagrams with `to`.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_datagram(to: SocketAddr) -> Result<HostRelay, Errno> {
    request(to, Protocol::Udp).await.map(|(granted, _)| granted.into_relay())
}

async fn request(to: SocketAddr, protocol: Protocol) -> Result<(Granted, SocketAddr), Errno> {
    let host = to.ip().to_string();
    let request = Request::Connect { host: &host, port: to.port(), protocol };
    let answer = ask(&request).await.map_err(unreachable)?;
    let Reply::Connected { peer, .. } = answer.reply()? else { return Err(Errno::EIO) };
    Ok((answer.granted()?, addr::canonical(peer)))
}

/// The addresses of `host`.
///
/// # Errors
/// EACCES when no connection to it was granted, ENETUNREACH without a broker, ENOENT when there is no such host.
pub async fn resolve(host: &str) -> Result<Vec<IpAddr>, Errno> {
    if let Ok(address) = host.parse() {
        return Ok(alloc::vec![address]);
    }
    let answer = ask(&Request::Resolve { host }).await.map_err(unreachable)?;
    match answer.reply()? {
        Reply::Addresses(addresses) => Ok(addresses.iter().collect()),
        _ => Err(Errno::EIO),
    }
}
