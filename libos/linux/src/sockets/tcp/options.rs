//! What options do to a connection or a listener, and how a connection does (TCP_INFO).

use super::{Common, State, Tcp};
use kernlet_net::ready;

/// IPPROTO_TCP with TCP_DEFER_ACCEPT.
const DEFER_ACCEPT: (u32, u32) = (6, 9);
/// Bytes of a `struct tcp_info` up to its counters, which only the host keeps.
const INFORMATION: usize = 104;

/// States (include/net/tcp_states.h).
mod state {
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const FIN_WAIT_2: u8 = 5;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LISTEN: u8 = 10;
}

impl Tcp {
    /// Sets an option of the connection, or of the published port at which it listens, as far as they have it.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        match &*self.state.borrow() {
            // It is a wish: a connection that is gone has none.
            State::Connected(stream) => drop(stream.set_option(level, name, value)),
            State::Listening(listener, _) if (level, name) == DEFER_ACCEPT => {
                listener.set_option(level, name, value);
            }
            _ => {}
        }
    }

    /// See [`TcpStream::keep_alive`].
    pub fn keep_alive(&self, after: Option<[u32; 2]>) {
        if let State::Connected(stream) = &*self.state.borrow() {
            stream.keep_alive(after);
        }
    }

    /// See [`TcpStream::break_off`].
    pub fn break_off(&self) {
        if let State::Connected(stream) = &*self.state.borrow() {
            stream.break_off();
        }
    }

    /// How it does, as a `struct tcp_info` (linux/tcp.h) whose length it tells: of a connection of the host's what the host
    /// says, else no more than the state.
    pub fn information(&self, common: &Common, into: &mut [u8]) -> usize {
        let state = match &*self.state.borrow() {
            State::Fresh | State::Bound(_) | State::Failed => state::CLOSE,
            State::Listening(..) => state::LISTEN,
            State::Connecting { .. } => state::SYN_SENT,
            State::Connected(stream) => {
                if let Ok(length) = stream.information(into) {
                    return length;
                }
                let (reads, writes) = (common.relay.readable(), common.relay.writable());
                let ended = stream.readiness(reads, writes) & ready::READ_HANG_UP != 0;
                match (stream.is_closed() || self.broken.get(), self.shut.get()[1], ended) {
                    (true, ..) => state::CLOSE,
                    (_, true, _) => state::FIN_WAIT_2,
                    (_, _, true) => state::CLOSE_WAIT,
                    _ => state::ESTABLISHED,
                }
            }
        };
        into[0] = state;
        into.len().min(INFORMATION)
    }
}
