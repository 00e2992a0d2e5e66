//! UDP (udp(7)).

use super::address::Address;
use super::message::{PacketInfo, Received};
use super::socket::Common;
use crate::Errno;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Deadline, Events};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::task::{Context, Poll, ready as ready_or_pending};
use kernlet_net::{Memory, Next, Shutdown, SocketAddr, UdpSocket, ready};
use kernlet_platform::cell::RefCell;

/// The largest datagrams over IPv4 and IPv6.
const LARGEST: [usize; 2] = [65_507, 65_527];

/// A UDP socket.
#[derive(Default)]
pub struct Udp {
    socket: RefCell<Option<Rc<UdpSocket>>>,
    /// Whom it is connected to.
    peer: Cell<Option<SocketAddr>>,
    next: RefCell<Next>,
    /// When it came, if that is to be told: nanoseconds since the epoch.
    came: Cell<u64>,
    /// What MSG_MORE holds back.
    held: RefCell<Vec<u8>>,
    shut: Cell<[bool; 2]>,
    /// The system chose its port.
    chosen: Cell<bool>,
    /// The address that it had been bound to before it gave its port up.
    wanted: Cell<Option<SocketAddr>>,
}

impl Udp {
    /// A new socket.
    pub fn new() -> Self {
        Self::default()
    }

    /// bind(2).
    ///
    /// # Errors
    /// EINVAL when it is bound; EADDRINUSE; EADDRNOTAVAIL.
    pub fn bind(&self, common: &Common, address: SocketAddr) -> Result<(), Errno> {
        if self.socket.borrow().is_some() {
            return Err(Errno::EINVAL);
        }
        let socket = UdpSocket::bind_shared(address, common.options.share())?;
        common.options.each(|level, name, value| socket.set_option(level, name, value));
        *self.socket.borrow_mut() = Some(Rc::new(socket));
        self.chosen.set(address.port() == 0);
        // Who waited for it before looks again, and is told of what comes from now on.
        common.relay.watchers().notify(Events::IN);
        Ok(())
    }

    /// Sets an option of the published port, if it is bound to one.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        if let Some(socket) = &*self.socket.borrow() {
            socket.set_option(level, name, value);
        }
    }

    fn bound(&self, common: &Common) -> Result<Rc<UdpSocket>, Errno> {
        if self.socket.borrow().is_none() {
            self.bind(common, self.wanted.get().unwrap_or(common.any()))?;
        }
        self.socket.borrow().clone().ok_or(Errno::EINVAL)
    }

    /// connect(2).
    ///
    /// # Errors
    /// Those of [`Self::bind`].
    pub fn connect(&self, common: &Common, to: SocketAddr) -> Result<(), Errno> {
        self.bound(common)?;
        self.peer.set(Some(kernlet_net::destination(to)));
        self.next.borrow_mut().pop();
        Ok(())
    }

    /// Ends the association.
    ///
    /// # Errors
    /// Those of [`Self::bind`].
    pub fn disconnect(&self, common: &Common) -> Result<(), Errno> {
        self.peer.set(None);
        // A port that the system chose goes, too (__udp_disconnect in net/ipv4/udp.c).
        let bound = self.socket.borrow().as_ref().and_then(|s| s.local_addr().ok());
        if let (Some(bound), true) = (bound, self.chosen.get()) {
            *self.socket.borrow_mut() = None;
            self.wanted.set(Some(SocketAddr::new(bound.ip(), 0)));
            common.relay.watchers().notify(crate::wait::Events::IN);
        }
        Ok(())
    }

    /// Takes in what comes next, from whom it is connected to if it is.
    fn poll_next(&self, common: &Common) -> Poll<Result<(), Errno>> {
        let Some(socket) = self.socket.borrow().clone() else { return Poll::Pending };
        let context = &mut Context::from_waker(common.relay.readable());
        let mut next = self.next.borrow_mut();
        loop {
            let known = next.get().is_some();
            ready_or_pending!(socket.poll_next(context, &mut next))?;
            if !known && common.options.wants_time().is_some() {
                self.came.set(kernlet_platform::clock::wall());
            }
            let from = next.get().map(|(_, peer)| peer);
            if self.peer.get().is_none_or(|peer| Some(peer) == from) {
                return Poll::Ready(Ok(()));
            }
            next.pop();
        }
    }

    /// See [`super::socket::Socket::poll_receive`].
    pub fn poll_receive(
        &self,
        common: &Common,
        to: &mut Buffers,
        peek: bool,
        ancillary: bool,
    ) -> Poll<Result<Received, Errno>> {
        if self.shut.get()[0] && self.next.borrow().get().is_none() {
            return Poll::Ready(Ok(Received::bytes(0)));
        }
        ready_or_pending!(self.poll_next(common))?;
        let mut next = self.next.borrow_mut();
        let Some((bytes, peer)) = next.get() else { return Poll::Pending };
        let whole = bytes.len();
        let length = to.fill_whole(bytes)?;
        let mut received = Received { length, whole, ..Received::default() };
        received.from = Some(Address::of(common.family, peer));
        if ancillary && common.options.wants_packet_info(common.family) {
            let local = kernlet_net::source(self.local(common).ip(), peer);
            received.info = Some(PacketInfo { family: common.family, local });
        }
        received.time = common.options.wants_time().map(|kind| (self.came.get(), kind));
        if !peek {
            next.pop();
        }
        Poll::Ready(Ok(received))
    }

    /// Gets the way to where a datagram goes ready, which may have to be asked for.
    ///
    /// # Errors
    /// ENETUNREACH, EACCES; ERESTARTSYS when a signal came first.
    pub async fn prepare(
        &self,
        thread: &Thread,
        common: &Common,
        address: Option<&Address>,
    ) -> Result<(), Errno> {
        let to = self.destination(common, address)?;
        super::names::wanted(to);
        let socket = self.bound(common)?;
        if socket.is_prepared(to) {
            return Ok(());
        }
        let done = Deadline::Never.limit(thread, socket.prepare(to)).await?;
        done.unwrap_or(Ok(()))
    }

    fn destination(&self, common: &Common, address: Option<&Address>) -> Result<SocketAddr, Errno> {
        match address {
            Some(Address::None) | None => self.peer.get().ok_or(Errno::EDESTADDRREQ),
            Some(address) => common.ip(address),
        }
    }

    /// See [`super::socket::Socket::poll_send`].
    pub fn poll_send(
        &self,
        common: &Common,
        from: &mut dyn Memory,
        address: Option<&Address>,
    ) -> Poll<Result<usize, Errno>> {
        if self.shut.get()[1] {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let to = self.destination(common, address)?;
        if to.port() == 0 {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        let socket = self.bound(common)?;
        let length = from.remaining();
        let mut held = self.held.borrow_mut();
        if length + held.len() > LARGEST[usize::from(to.is_ipv6())] {
            held.clear();
            return Poll::Ready(Err(Errno::EMSGSIZE));
        }
        let before = held.len();
        held.resize(before + length, 0);
        if from.look(&mut held[before..])? < length {
            held.truncate(before);
            return Poll::Ready(Err(Errno::EFAULT));
        }
        let context = &mut Context::from_waker(common.relay.writable());
        let sent = socket.poll_send_to(context, &held, to);
        if sent.is_pending() {
            held.truncate(before);
            return Poll::Pending;
        }
        held.clear();
        held.shrink_to(4096);
        // Whom it is connected to is not there: the next call tells (ICMP would).
        if self.peer.get() == Some(kernlet_net::destination(to)) && kernlet_net::nobody_at(to) {
            common.error.set(Some(Errno::ECONNREFUSED));
        }
        sent.map_ok(|_| length)
    }

    /// Holds a part of a datagram back, of which more comes (MSG_MORE, UDP_CORK).
    ///
    /// # Errors
    /// EMSGSIZE, EFAULT.
    pub fn hold(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
        let length = from.remaining();
        let mut held = self.held.borrow_mut();
        let before = held.len();
        if before + length > LARGEST[1] {
            return Err(Errno::EMSGSIZE);
        }
        held.resize(before + length, 0);
        if from.take(&mut held[before..])? < length {
            held.truncate(before);
            return Err(Errno::EFAULT);
        }
        Ok(length)
    }

    /// See [`super::socket::Socket::readiness`].
    pub fn readiness(&self, common: &Common) -> u32 {
        let [reads, writes] = self.shut.get();
        let readable = reads || self.poll_next(common).is_ready();
        ready::when(ready::IN, readable)
            | ready::OUT
            | ready::when(ready::READ_HANG_UP, reads)
            | ready::when(ready::HANG_UP, reads && writes)
    }

    /// Its own address.
    pub fn local(&self, common: &Common) -> SocketAddr {
        let bound = self.socket.borrow().as_ref().and_then(|s| s.local_addr().ok());
        match (bound, self.peer.get()) {
            (Some(bound), Some(peer)) => SocketAddr::new(kernlet_net::source(bound.ip(), peer), bound.port()),
            (Some(bound), None) => bound,
            (None, _) => self.wanted.get().unwrap_or(common.any()),
        }
    }

    /// The other end's address.
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer(&self) -> Result<SocketAddr, Errno> {
        self.peer.get().ok_or(Errno::ENOTCONN)
    }

    /// See [`super::socket::Socket::shutdown`].
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let [reads, writes] = self.shut.get();
        // Also where it is refused (inet_shutdown in net/ipv4/af_inet.c).
        self.shut.set([reads || how != Shutdown::Write, writes || how != Shutdown::Read]);
        self.peer().map(drop)
    }

    /// See [`super::socket::Socket::available`].
    pub fn available(&self, common: &Common) -> usize {
        let there = self.poll_next(common).is_ready();
        self.next.borrow().get().filter(|_| there).map_or(0, |(bytes, _)| bytes.len())
    }
}
