//! Connections.

use crate::ports::{self, Bound};
use crate::turn::Turn;
use crate::{Shutdown, addr, host, loopback, stack};
use alloc::rc::Rc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_sync::poll_fn;

/// Who carries a connection.
pub enum Provider {
    /// Loopback.
    Inside(loopback::tcp::Stream),
    /// The host's TCP.
    Host(host::tcp::Stream),
    /// The own stack.
    Stack(stack::stream::Stream),
}

/// A TCP connection, as `std::net::TcpStream`, but asynchronous. All methods take `&self`: one task may read while
/// another writes. Dropping it closes it; what was written is still delivered.
pub struct TcpStream {
    pub(super) provider: Provider,
    reading: Turn,
    writing: Turn,
}

impl TcpStream {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, reading: Turn::default(), writing: Turn::default() }
    }

    /// Connects to `to`: inside the instance, through the Ethernet device if there is one, else as far as the monitor
    /// was told to let it (`--allow-connect`).
    ///
    /// # Errors
    /// ECONNREFUSED when nobody listens there, ENETUNREACH when nothing leads there, EACCES when it was not granted.
    pub async fn connect(to: impl Into<SocketAddr>) -> Result<Self, Errno> {
        let to = addr::destination(to.into());
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self::open(to, || ports::TCP.get().bind(SocketAddr::new(any, 0))).await
    }

    /// Connects to `to`, which is a [`addr::destination`], from the port that `bind` gives where one is needed.
    pub(super) async fn open(
        to: SocketAddr,
        bind: impl FnOnce() -> Result<Bound, Errno>,
    ) -> Result<Self, Errno> {
        // The first socket starts the network, so that its addresses are known.
        let stack = stack::get();
        if addr::is_inside(to.ip()) {
            return loopback::tcp::connect(bind()?, to).await.map(|s| Self::new(Provider::Inside(s)));
        }
        let Some(stack) = stack else {
            // On the process door without an Ethernet device the monitor connects.
            return host::connect(to).await.map(|s| Self::new(Provider::Host(s)));
        };
        if !stack.leads_to(to.ip()).await {
            return Err(Errno::ENETUNREACH);
        }
        let stream = stack::stream::Stream::open(stack, bind()?, to)?;
        poll_fn(|context| stream.poll_connected(context)).await?;
        Ok(Self::new(Provider::Stack(stream)))
    }

    /// Reads what is there, waiting for at least one byte; 0 at the end.
    ///
    /// # Errors
    /// ECONNRESET when the other end broke the connection off, ETIMEDOUT when it is gone.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let _turn = self.reading.take().await;
        poll_fn(|context| self.poll_read(context, buffer)).await
    }

    /// Reads what is there, or has the task woken when something comes. This is [`Self::read`] for a program that lends
    /// its buffer only while there is something to read: many connections that wait then share one.
    ///
    /// One task at a time may read. A task that always finds something should let others run now and then
    /// (`kernlet::task::yield_now`).
    ///
    /// ```no_run
    /// # use core::cell::RefCell;
    /// # async fn example(stream: &kernlet_net::TcpStream, shared: &RefCell<[u8; 4096]>) -> Result<(), kernlet_net::Errno> {
    /// let length = kernlet_sync::poll_fn(|context| stream.poll_read(context, &mut *shared.borrow_mut())).await?;
    /// # let _ = length;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Errno>> {
        match &self.provider {
            Provider::Inside(stream) => stream.poll_read(context, buffer),
            Provider::Host(stream) => stream.poll_read(context, buffer),
            Provider::Stack(stream) => stream.poll_read(context, buffer),
        }
    }

    /// Fills `buffer`.
    ///
    /// # Errors
    /// As [`Self::read`]; EPIPE when the end comes first.
    pub async fn read_exact(&self, mut buffer: &mut [u8]) -> Result<(), Errno> {
        while !buffer.is_empty() {
            let length = self.read(buffer).await?;
            if length == 0 {
                return Err(Errno::EPIPE);
            }
            buffer = &mut buffer[length..];
        }
        Ok(())
    }

    /// Writes what fits, waiting for room for at least one byte.
    ///
    /// # Errors
    /// EPIPE after the end, ECONNRESET when the other end broke the connection off.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let _turn = self.writing.take().await;
        poll_fn(|context| self.poll_write(context, bytes)).await
    }

    /// Writes what fits, or has the task woken when there is room: [`Self::write`] for a program that waits for other
    /// things at the same time. One task at a time may write.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        match &self.provider {
            Provider::Inside(stream) => stream.poll_write(context, bytes),
            Provider::Host(stream) => stream.poll_write(context, bytes),
            Provider::Stack(stream) => stream.poll_write(context, bytes),
        }
    }

    /// Writes what fits of several pieces, in one host call where there is one.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_vectored(&self, pieces: &[&[u8]]) -> Result<usize, Errno> {
        let _turn = self.writing.take().await;
        poll_fn(|context| self.poll_write_vectored(context, pieces)).await
    }

    /// Writes what fits of several pieces, or has the task woken when there is room; see [`Self::poll_write`].
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        pieces: &[&[u8]],
    ) -> Poll<Result<usize, Errno>> {
        if let Provider::Host(stream) = &self.provider {
            return stream.poll_write_vectored(context, pieces);
        }
        let mut written = 0;
        for piece in pieces.iter().filter(|p| !p.is_empty()) {
            match self.poll_write(context, piece) {
                Poll::Ready(Ok(length)) => {
                    written += length;
                    if length < piece.len() {
                        break;
                    }
                }
                // What was written before counts; the next call tells of the error, or waits.
                _ if written > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(written))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let length = self.write(bytes).await?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Ends one or both directions. After the end of writing the other end reads what was written, then 0 bytes.
    ///
    /// # Errors
    /// ENOTCONN when the connection is gone already.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        match &self.provider {
            Provider::Inside(stream) => {
                stream.shutdown(how);
                Ok(())
            }
            Provider::Host(stream) => stream.shutdown(how),
            Provider::Stack(stream) => stream.shutdown(how),
        }
    }

    /// Sends small pieces at once instead of gathering them (TCP_NODELAY).
    ///
    /// # Errors
    /// What the host says.
    pub fn set_nodelay(&self, on: bool) -> Result<(), Errno> {
        match &self.provider {
            // Nothing is ever held back there.
            Provider::Inside(_) => Ok(()),
            Provider::Host(stream) => stream.set_nodelay(on),
            Provider::Stack(stream) => {
                stream.set_nodelay(on);
                Ok(())
            }
        }
    }

    /// This end's address.
    ///
    /// # Errors
    /// What the host says.
    pub fn local_addr(&self) -> Result<SocketAddr, Errno> {
        match &self.provider {
            Provider::Inside(stream) => Ok(stream.local()),
            Provider::Host(stream) => stream.local(),
            Provider::Stack(stream) => Ok(stream.tuple().local),
        }
    }

    /// The other end's address.
    ///
    /// # Errors
    /// None today.
    pub fn peer_addr(&self) -> Result<SocketAddr, Errno> {
        Ok(match &self.provider {
            Provider::Inside(stream) => stream.peer(),
            Provider::Host(stream) => stream.peer(),
            Provider::Stack(stream) => stream.tuple().remote,
        })
    }

    /// Splits it into halves for two tasks, borrowing it. Since all methods take `&self` this only names the two
    /// uses.
    pub fn split(&self) -> (&Self, &Self) {
        (self, self)
    }

    /// Splits it into halves that each own a share. Dropping the writing half ends writing; the connection closes
    /// when both are gone.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        let shared = Rc::new(self);
        (ReadHalf(shared.clone()), WriteHalf(shared))
    }
}

/// The reading half of a [`TcpStream`].
pub struct ReadHalf(Rc<TcpStream>);

/// The writing half of a [`TcpStream`]; dropping it ends writing.
pub struct WriteHalf(Rc<TcpStream>);

impl ReadHalf {
    /// See [`TcpStream::read`].
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.0.read(buffer).await
    }

    /// See [`TcpStream::read_exact`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_exact(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        self.0.read_exact(buffer).await
    }

    /// The connection as a whole.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}

impl WriteHalf {
    /// See [`TcpStream::write`].
    ///
    /// # Errors
    /// As there.
    pub async fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.0.write(bytes).await
    }

    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    /// As there.
    pub async fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write_all(bytes).await
    }

    /// The connection as a whole.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        // A connection that is gone has no writing to end.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}
