//! IP fragments (RFC 791; RFC 8200, 4.5): packets beyond the link's MTU on their way out, and those that came in pieces.
//!
//! smoltcp sees neither. What is whole is taken as if it had come in one frame, so that it finds its socket the usual
//! way and is summed.

mod receive;
mod send;

pub use receive::Assembler;
pub use send::Outgoing;
