//! Sockets: one interface over three providers at once.
//!
//! 1. *Loopback* inside the instance is always there: 127.0.0.0/8, `::1` and the instance's
//!    own addresses. *Host sockets* are the ports that the monitor published on the process door. The *own stack*
//!    speaks TCP/IP on the Ethernet device. A socket bound to `0.0.0.0` or `[::]` is served by all of them.
//! 2. Each provider offers attempts that never wait (EAGAIN) and a way to leave a waker. Waiting is composed of
//!    these in one place, the socket. Readiness is confirmed by an attempt, never only remembered.
//! 3. One task at a time waits in each direction of a socket; others queue before it. A task that
//!    never has to wait lets others run now and then.
//! 4. Everything starts when a socket is first used. A program without sockets links none of this.
//! 5. Every queue is bounded, and what comes from outside is parsed into checked types at the edge.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, not(kernlet_image)))]
extern crate std;

mod addr;
mod host;
mod interface;
mod loopback;
mod memory;
mod ports;
pub mod ready;
mod stack;
mod tcp;
mod turn;
mod udp;

pub use addr::{canonical, destination, mapped};
pub use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(not(kernlet_image))]
pub use host::publish;
pub use host::resolve;
pub use interface::{Interface, configured, interfaces};
pub use kernlet_platform::Errno;
pub use kernlet_platform::socket::Shutdown;
pub use memory::{Memory, PIECES};
pub use ports::Share;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use stack::fuzz::exercise;
pub use tcp::{ReadHalf, TcpBinding, TcpListener, TcpStream, WriteHalf};
pub use tcp::{nobody_at, source};
pub use udp::{Batch, Next, UdpSocket};
