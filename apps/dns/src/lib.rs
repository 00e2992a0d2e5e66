//! The logic of an authoritative DNS server: zone files, answers, and the framing of TCP.
//!
//! 1. *No system*: bytes come in, bytes go out. Sockets, files and timers belong to the program on top.
//! 2. *No allocation* once a zone is loaded: an answer is written in one pass into the caller's buffer.
//! 3. *Hostile text and packets* cost time and memory in proportion to their length, and never panic.
//! 4. *A zone is served whole or not at all*: what is wrong with it is said with file and line.
//! 5. Where the standards leave room, answers are those of NSD 4; the tests compare the two.
//! 6. *Nobody waits long*: zones are read in steps of microseconds, between which queries are answered.
//!
//! Start with [`Zones`]: it reads zones ([`Zones::load`], or piece by piece with [`Zones::reader`]), replaces them one at
//! a time ([`Zones::insert`]), and answers queries ([`Zones::respond`]) as a [`Policy`] says. [`Transfer`] sends a whole
//! zone, [`Limiter`] bounds replies, [`Counters`] count them, and [`Frames`] cuts a TCP stream into queries.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod answer;
mod counters;
mod hash;
mod limit;
mod name;
mod rtype;
mod tcp;
mod text;
mod zone;
mod zones;

pub use answer::{
    Any, Asker, Cookies, Kind, Network, Networks, NotANetwork, Policy, Reply, Transfer, Transport,
};
pub use counters::Counters;
pub use limit::{Limiter, Verdict, truncate};
pub use name::Name;
pub use tcp::{FrameError, Frames};
pub use text::{Loader, Source};
pub use zone::{Problem, Zone, ZoneError, ZoneErrors};
pub use zones::{ZoneReader, Zones};
