//! TCP (tcp(7)).

mod options;

use super::socket::{Common, Socket, Speech};
use crate::Errno;
use crate::call::restart;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Deadline, Events};
use alloc::rc::{Rc, Weak};
use core::cell::Cell;
use core::task::{Context, Poll};
use kernlet_exec::{Task, spawn};
use kernlet_net::{Memory, Shutdown, SocketAddr, TcpBinding, TcpListener, TcpStream, ready};
use kernlet_platform::cell::RefCell;

/// SOL_SOCKET with SO_LINGER.
const LINGER: (u32, u32) = (1, 13);

/// How far a socket has come.
enum State {
    /// Not bound.
    Fresh,
    /// Bound.
    Bound(TcpBinding),
    /// Listening, with the connection that is accepted next.
    Listening(TcpListener, Option<TcpStream>),
    /// Connecting.
    Connecting {
        /// Ended when nobody wants the connection any more.
        _task: Dialling,
        from: SocketAddr,
        to: SocketAddr,
    },
    /// What was begun without waiting came to nothing, and nobody has been told by connect(2).
    Failed,
    /// Connected.
    Connected(TcpStream),
}

/// The task that connects.
struct Dialling(Task<()>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Where connect(2) finds a socket.
enum Begun {
    /// It has begun to connect.
    Now,
    /// It had before.
    Before,
    /// It has come to an end, of which connect(2) has not been told.
    Over,
}

/// A TCP socket.
pub struct Tcp {
    state: RefCell<State>,
    /// connect(2) has not told yet that it is connected.
    untold: Cell<bool>,
    /// The connection broke, which was told: from now on there is nothing to read, and writing is in vain.
    broken: Cell<bool>,
    /// Reading, writing has been shut down here.
    shut: Cell<[bool; 2]>,
    /// The port that it was accepted at.
    port: Option<u16>,
}

impl Tcp {
    /// A new socket.
    pub fn new() -> Self {
        Self::at(State::Fresh, None)
    }

    fn at(state: State, port: Option<u16>) -> Self {
        let state = RefCell::new(state);
        Self { state, untold: Cell::new(false), broken: Cell::new(false), shut: Cell::default(), port }
    }

    /// bind(2).
    ///
    /// # Errors
    /// EINVAL when it is bound; EADDRINUSE; EADDRNOTAVAIL.
    pub fn bind(&self, common: &Common, address: SocketAddr) -> Result<(), Errno> {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Fresh) {
            return Err(Errno::EINVAL);
        }
        *state = State::Bound(TcpBinding::new(address, common.options.share())?);
        Ok(())
    }

    /// listen(2).
    ///
    /// # Errors
    /// EINVAL when it is connected; EADDRINUSE.
    pub fn listen(&self, common: &Common, backlog: i32) -> Result<(), Errno> {
        // One more than asked for may wait; a negative number is a very large one (net/core/sock.c).
        let backlog = usize::try_from(backlog).map_or(usize::MAX, |n| n + 1);
        let mut state = self.state.borrow_mut();
        let binding = match core::mem::replace(&mut *state, State::Fresh) {
            State::Fresh => TcpBinding::new(common.any(), common.options.share())?,
            State::Bound(binding) => binding,
            State::Listening(listener, next) => {
                listener.set_backlog(backlog);
                *state = State::Listening(listener, next);
                return Ok(());
            }
            other => {
                *state = other;
                return Err(Errno::EINVAL);
            }
        };
        match binding.listen(backlog) {
            Ok(listener) => {
                *state = State::Listening(listener, None);
                drop(state);
                // Who waited for it before looks again, and is told of connections from now on.
                common.relay.watchers().notify(Events::IN);
            }
            Err((binding, error)) => {
                *state = State::Bound(binding);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Accepts a connection; the watchers are told when there may be one.
    pub fn poll_accept(&self, common: &Common) -> Poll<Result<Self, Errno>> {
        let mut state = self.state.borrow_mut();
        let State::Listening(listener, next) = &mut *state else { return Poll::Ready(Err(Errno::EINVAL)) };
        let stream = match next.take() {
            Some(stream) => stream,
            None => core::task::ready!(poll_listener(listener, common))?,
        };
        let port = listener.local_addr().map(|a| a.port()).ok();
        Poll::Ready(Ok(Self::at(State::Connected(stream), port)))
    }

    /// connect(2); without waiting EINPROGRESS tells that it has begun.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(
        &self,
        thread: &Thread,
        socket: &Rc<Socket>,
        to: SocketAddr,
        waits: bool,
    ) -> Result<(), Errno> {
        let common = &socket.common;
        match self.begin(socket, to)? {
            Begun::Over => return self.outcome(common),
            Begun::Now if !waits => {
                // Inside the instance it is done when the program goes on.
                kernlet_exec::yield_now().await;
                return Err(Errno::EINPROGRESS);
            }
            Begun::Before if !waits => return Err(Errno::EALREADY),
            Begun::Now | Begun::Before => {}
        }
        let mut done = || !matches!(*self.state.borrow(), State::Connecting { .. });
        let limit = common.options.send_timeout();
        match limit.ready(thread, common.relay.watchers(), &mut done).await {
            Ok(true) => {}
            Ok(false) => return Err(Errno::EINPROGRESS),
            Err(restart::SYS) if limit != Deadline::Never => return Err(Errno::EINTR),
            Err(error) => return Err(error),
        }
        self.outcome(common)
    }

    /// What has become of connecting, told by connect(2).
    fn outcome(&self, common: &Common) -> Result<(), Errno> {
        self.untold.set(false);
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Failed) {
            *state = State::Fresh;
            return Err(common.error.take().unwrap_or(Errno::ECONNABORTED));
        }
        Ok(())
    }

    /// Begins to connect.
    fn begin(&self, socket: &Rc<Socket>, to: SocketAddr) -> Result<Begun, Errno> {
        let common = &socket.common;
        let mut state = self.state.borrow_mut();
        match *state {
            State::Fresh | State::Bound(_) => {}
            State::Connecting { .. } => return Ok(Begun::Before),
            State::Connected(_) if self.untold.get() => return Ok(Begun::Over),
            State::Failed => return Ok(Begun::Over),
            State::Listening(..) | State::Connected(_) => return Err(Errno::EISCONN),
        }
        super::names::wanted(to);
        let binding = match core::mem::replace(&mut *state, State::Fresh) {
            State::Bound(binding) => binding,
            _ => {
                let any = if to.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { common.any() };
                TcpBinding::new(any, common.options.share())?
            }
        };
        let from = binding.address();
        let weak: Weak<Socket> = Rc::downgrade(socket);
        let task = spawn("connect", async move {
            let result = binding.connect(to).await;
            if let Some(socket) = weak.upgrade()
                && let Speech::Tcp(tcp) = &socket.speech
            {
                tcp.finish(&socket.common, result);
            }
        });
        *state = State::Connecting { _task: Dialling(task), from, to };
        Ok(Begun::Now)
    }

    fn finish(&self, common: &Common, result: Result<TcpStream, Errno>) {
        let state = match result {
            Ok(stream) => State::Connected(stream),
            Err(error) => {
                common.error.set(Some(error));
                State::Failed
            }
        };
        self.untold.set(true);
        // The task that ends here is cancelled by this, which does it no harm.
        drop(self.state.replace(state));
        // Those that were set before.
        common.options.each(|level, name, value| self.set_option(level, name, value));
        common.options.keep_alive(self);
        common.relay.watchers().notify(Events::IN);
        common.relay.watchers().notify(Events::OUT);
    }

    /// Ends the association (connect(2) with AF_UNSPEC).
    pub fn disconnect(&self, common: &Common) {
        let before = self.state.replace(State::Fresh);
        self.untold.set(false);
        self.shut.set([false; 2]);
        // A connection is broken off, which is told at both ends (tcp_disconnect in net/ipv4/tcp.c).
        if let State::Connected(stream) = &before
            && !self.broken.replace(false)
            && !stream.is_closed()
        {
            let _ = stream.set_option(LINGER.0, LINGER.1, [1, 0]);
            stream.break_off();
            common.error.set(Some(Errno::ECONNRESET));
        }
        drop(before);
    }

    /// Receives what is there, or is pending; tells how much it was.
    pub fn poll_receive(&self, common: &Common, to: &mut Buffers, peek: bool) -> Poll<Result<usize, Errno>> {
        let state = self.state.borrow();
        let stream = match &*state {
            State::Connected(stream) => stream,
            State::Connecting { .. } => return Poll::Pending,
            _ if self.shut.get()[0] => return Poll::Ready(Ok(0)),
            _ => return Poll::Ready(Err(Errno::ENOTCONN)),
        };
        // What came before it broke is still there.
        if self.broken.get() && stream.available() == 0 {
            return Poll::Ready(Ok(0));
        }
        let context = &mut Context::from_waker(common.relay.readable());
        let received = stream.poll_receive(context, to, peek).map(|result| self.note(result));
        // Who has ended reading does not wait for what may come.
        if received.is_pending() && self.shut.get()[0] { Poll::Ready(Ok(0)) } else { received }
    }

    /// Receives into pieces (address and length), when there is nothing to it but asking the host.
    pub fn receive_at(&self, common: &Common, pieces: &[[usize; 2]]) -> Option<Poll<Result<usize, Errno>>> {
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() && !self.shut.get()[0] => {
                let context = &mut Context::from_waker(common.relay.readable());
                stream.poll_receive_at(context, pieces).map(|polled| polled.map(|result| self.note(result)))
            }
            _ => None,
        }
    }

    /// Sends from pieces, when there is nothing to it but asking the host.
    pub fn send_at(&self, common: &Common, pieces: &[[usize; 2]]) -> Option<Poll<Result<usize, Errno>>> {
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() && !self.shut.get()[1] => {
                let context = &mut Context::from_waker(common.relay.writable());
                stream.poll_send_at(context, pieces).map(|polled| polled.map(|result| self.note(result)))
            }
            _ => None,
        }
    }

    /// See [`Socket::poll_send`].
    pub fn poll_send(&self, common: &Common, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        let state = self.state.borrow();
        let stream = match &*state {
            State::Connected(stream) if !self.broken.get() && !self.shut.get()[1] => stream,
            State::Connecting { .. } => return Poll::Pending,
            _ => return Poll::Ready(Err(Errno::EPIPE)),
        };
        let context = &mut Context::from_waker(common.relay.writable());
        stream.poll_send(context, from).map(|result| self.note(result))
    }

    /// An error of the connection is told once.
    fn note(&self, result: Result<usize, Errno>) -> Result<usize, Errno> {
        if let Err(error) = result
            && error != Errno::EFAULT
        {
            self.broken.set(true);
        }
        result
    }

    /// See [`Socket::readiness`] (tcp_poll in net/ipv4/tcp.c).
    pub fn readiness(&self, common: &Common) -> u32 {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Fresh | State::Bound(_) => ready::OUT | ready::HANG_UP,
            State::Connecting { .. } => 0,
            State::Failed => ready::IN | ready::OUT | ready::READ_HANG_UP | ready::HANG_UP,
            State::Listening(listener, next) => {
                if next.is_none() {
                    match poll_listener(listener, common) {
                        Poll::Ready(Ok(stream)) => *next = Some(stream),
                        // Accepting tells of it.
                        Poll::Ready(Err(_)) => return ready::IN,
                        Poll::Pending => {}
                    }
                }
                ready::when(ready::IN, next.is_some())
            }
            State::Connected(stream) => {
                let bits = stream.readiness(common.relay.readable(), common.relay.writable());
                let [reads, writes] = self.shut.get();
                let mut told = if self.broken.get() { bits & !ready::ERROR } else { bits };
                let least = common.options.least();
                if least > 1
                    && told & (ready::IN | ready::READ_HANG_UP) == ready::IN
                    && stream.available() < least
                {
                    told &= !ready::IN;
                }
                told | ready::when(ready::IN | ready::READ_HANG_UP, reads || self.broken.get())
                    | ready::when(ready::OUT, writes || self.broken.get())
                    | ready::when(
                        ready::HANG_UP,
                        self.broken.get() || (writes && bits & ready::READ_HANG_UP != 0),
                    )
            }
        }
    }

    /// Its own address.
    pub fn local(&self, common: &Common) -> SocketAddr {
        match &*self.state.borrow() {
            State::Fresh | State::Failed => common.any(),
            State::Bound(binding) => binding.address(),
            State::Connecting { from, to, .. } => {
                SocketAddr::new(kernlet_net::source(from.ip(), *to), from.port())
            }
            State::Listening(listener, _) => listener.local_addr().unwrap_or(common.any()),
            State::Connected(stream) => {
                let mut local = stream.local_addr().unwrap_or(common.any());
                // The host's address leads here, but to the port as the program knows it.
                if let (true, Some(port)) = (stream.is_hosted(), self.port) {
                    local.set_port(port);
                }
                local
            }
        }
    }

    /// The other end's address.
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer(&self) -> Result<SocketAddr, Errno> {
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() && !stream.is_closed() => stream.peer_addr(),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// See [`Socket::shutdown`].
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Listening(..)) {
            // Also where it is refused (inet_shutdown in net/ipv4/af_inet.c).
            let [reads, writes] = self.shut.get();
            self.shut.set([reads || how != Shutdown::Write, writes || how != Shutdown::Read]);
        }
        match &*state {
            State::Connected(stream) if !self.broken.get() && !stream.is_closed() => {
                // What has come and what comes is read all the same (tcp(7) says nothing of it; tcp_recvmsg_locked does), so
                // that only the end of writing is told.
                if how != Shutdown::Read {
                    // That the other end is gone already is no error of ending it.
                    let _ = stream.shutdown(Shutdown::Write);
                }
                Ok(())
            }
            State::Listening(listener, _) if how != Shutdown::Write => {
                let address = listener.local_addr()?;
                *state = State::Fresh;
                // It stays bound, as far as nobody was quicker.
                *state =
                    TcpBinding::new(address, kernlet_net::Share::NONE).map_or(State::Fresh, State::Bound);
                Ok(())
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// Whether it listens (SO_ACCEPTCONN).
    pub fn listens(&self) -> bool {
        matches!(*self.state.borrow(), State::Listening(..))
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        matches!(*self.state.borrow(), State::Connected(_))
    }

    /// See [`Socket::take_error`].
    pub fn take_error(&self) -> Option<Errno> {
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() => {
                let error = stream.take_error();
                self.broken.set(error.is_some());
                error
            }
            _ => None,
        }
    }

    /// See [`Socket::available`].
    ///
    /// # Errors
    /// EINVAL when it listens.
    pub fn available(&self) -> Result<usize, Errno> {
        match &*self.state.borrow() {
            State::Connected(stream) if !self.broken.get() => Ok(stream.available()),
            State::Listening(..) => Err(Errno::EINVAL),
            _ => Ok(0),
        }
    }

    /// See [`Socket::unsent`].
    pub fn unsent(&self) -> usize {
        if let State::Connected(stream) = &*self.state.borrow() { stream.unsent() } else { 0 }
    }
}

fn poll_listener(listener: &TcpListener, common: &Common) -> Poll<Result<TcpStream, Errno>> {
    listener.poll_connection(&mut Context::from_waker(common.relay.readable()))
}
