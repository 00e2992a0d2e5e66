//! TCP listeners and streams.

mod binding;
mod listener;
mod program;
mod stream;

pub use binding::{TcpBinding, nobody_at, source};
pub use listener::TcpListener;
pub use stream::{ReadHalf, TcpStream, WriteHalf};
