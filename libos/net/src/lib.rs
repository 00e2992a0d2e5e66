//! Sockets: one interface over the own TCP/IP stack, host sockets and loopback.
