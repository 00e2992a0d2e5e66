//! What stays inside the instance: datagrams as bounded queues, streams as pairs of bounded pipes. No packets.

pub mod pipe;
mod program;
pub mod tcp;
pub mod udp;
