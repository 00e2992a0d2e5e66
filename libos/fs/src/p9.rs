//! An own client of 9P2000.L, the protocol by which a VM reaches its volumes.
//!
//! 1. `message` writes requests and takes replies apart; the server is not trusted, and no reply makes this panic.
//! 2. `Session` is one connection to one server: it matches replies to requests by their tags, and owns the numbers
//!    by which the server knows files (fids). A `Fid` is given back when dropped.
//! 3. `OpenFile` is an open file. Paths are the business of `volume::remote`: a server follows no links.

mod file;
mod message;
mod session;

pub(crate) use file::{Attributes, OpenFile};
pub(crate) use message::{Message, Qid, kind};
pub(crate) use session::{Fid, STEP, Session};

/// Reads a reply as each kind of request would: what a fuzzer calls.
#[doc(hidden)]
pub fn exercise(bytes: &[u8]) {
    for kind in 0..=255 {
        let Ok(body) = message::reply(bytes, kind, 1) else { continue };
        let _ = file::attributes(&mut body.clone());
        let _ = file::space(&mut body.clone());
        let _ = file::names(&mut body.clone(), &mut alloc::vec::Vec::new());
        let _ = session::qids(&mut body.clone(), 16);
        let _ = body.clone().text();
        let _ = body.clone().data();
    }
}
