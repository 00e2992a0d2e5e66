//! Datagrams to where the monitor lets this instance send (`--allow-connect HOST:PORT/udp`): a connection for each
//! destination, which the broker relays.

use super::connect::connect_datagram;
use super::{Watch, Watched};
use alloc::rc::Rc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_platform::socket::HostRelay;
use kernlet_sync::SmallMap;

/// How many destinations one socket keeps; with one more all are forgotten, as one that is still used is soon made
/// again.
const MOST: usize = 32;

impl Watch for HostRelay {
    fn watch(&self, token: u32) -> Result<(), Errno> {
        HostRelay::watch(self, token)
    }
}

/// The connections of one socket.
#[derive(Default)]
pub struct Outgoing(RefCell<SmallMap<SocketAddr, Rc<Watched<HostRelay>>>>);

impl Outgoing {
    /// The connection towards `to`.
    ///
    /// # Errors
    /// EACCES when it was not granted, ENETUNREACH without a broker.
    pub async fn towards(&self, to: SocketAddr) -> Result<Rc<Watched<HostRelay>>, Errno> {
        let known = self.0.borrow().get(&to).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Rc::new(Watched::new(connect_datagram(to).await?));
        let mut all = self.0.borrow_mut();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(to, made.clone());
        Ok(made)
    }

    /// The connection towards `to`, if there is one.
    pub fn known(&self, to: SocketAddr) -> Option<Rc<Watched<HostRelay>>> {
        self.0.borrow().get(&to).cloned()
    }

    /// Receives a datagram from any of the destinations, or leaves a waker. A destination that the broker gave up is
    /// forgotten; sending to it makes it anew.
    pub fn poll_receive(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<(usize, SocketAddr)> {
        let mut found = Poll::Pending;
        self.0.borrow_mut().retain(|peer, socket| {
            if found.is_ready() {
                return true;
            }
            match socket.poll_read(context, |s| s.receive(buffer)) {
                Poll::Ready(Ok(length)) => found = Poll::Ready((length, *peer)),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => {}
            }
            true
        });
        found
    }
}
