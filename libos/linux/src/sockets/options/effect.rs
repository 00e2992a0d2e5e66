//! Options that have an effect on what carries a socket: the host's socket, or a connection of the own stack.

use super::set::{LINGER, RECEIVE_BUFFER, SEND_BUFFER};
use super::{Options, SOCKET, TCP};
use crate::sockets::socket::{Socket, Speech};
use crate::sockets::tcp::Tcp;
use kernlet_wire::options::is_listed;

/// SO_KEEPALIVE; TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT with what they are as long as they are not set.
const KEEP_ALIVE: i32 = 9;
const KEEPING: [(i32, i32); 3] = [(4, 7200), (5, 75), (6, 9)];

/// An option was set.
pub fn set(socket: &Socket, level: i32, option: i32) {
    if !is_listed(level as u32, option as u32) {
        return;
    }
    let options = &socket.common.options;
    match &socket.speech {
        Speech::Tcp(tcp) => {
            tcp.set_option(level as u32, option as u32, options.words(level, option));
            if (level, option) == (SOCKET, KEEP_ALIVE)
                || level == TCP && KEEPING.iter().any(|(known, _)| *known == option)
            {
                options.keep_alive(tcp);
            }
        }
        Speech::Udp(udp) => udp.set_option(level as u32, option as u32, options.words(level, option)),
        Speech::Unix(_) | Speech::Netlink(_) => {}
    }
}

impl Options {
    /// An option's value as the host takes it.
    fn words(&self, level: i32, option: i32) -> [u32; 2] {
        if (level, option) == (SOCKET, LINGER) {
            // Closing does not wait here; what is set is whether it breaks the connection off.
            return [u32::from(self.breaks_off()), 0];
        }
        let value = self.number(level, option).unwrap_or(0);
        let doubled = level == SOCKET && matches!(option, SEND_BUFFER | RECEIVE_BUFFER);
        [if doubled { value / 2 } else { value } as u32, 0]
    }

    /// Whether closing breaks the connection off (SO_LINGER with no time).
    pub fn breaks_off(&self) -> bool {
        self.linger.get() == Some(0)
    }

    /// Has the own stack keep a connection alive, if it is to.
    pub fn keep_alive(&self, tcp: &Tcp) {
        // Each is at most 32,767, and the last 127.
        let [idle, interval, count] =
            KEEPING.map(|(option, first)| self.number(TCP, option).unwrap_or(first) as u32);
        tcp.keep_alive(self.is_set(SOCKET, KEEP_ALIVE).then_some([idle, idle + interval * count]));
    }

    /// Hands over what was set and has an effect: for a socket's new connection or port.
    pub fn each(&self, mut set: impl FnMut(u32, u32, [u32; 2])) {
        for (&(level, option), _) in self.numbers.borrow().iter() {
            if is_listed(level as u32, option as u32) {
                set(level as u32, option as u32, self.words(level, option));
            }
        }
        if self.breaks_off() {
            set(SOCKET as u32, LINGER as u32, [1, 0]);
        }
    }
}
