//! One connection: reading, writing, waiting, and what may be waited for how long.
//!
//! A connection that waits for a request holds no buffer. Input is read into a buffer that all connections share, and
//! answers are written into another; what is left of either when the connection has to wait goes into memory of its
//! own, which the [`Budget`](super::budget::Budget) bounds.

use super::files::{Found, Lookup};
use super::requests::Action;
use super::segment::Segment;
use super::table::Call;
use super::{Scratch, Server};
use core::task::{Context, Poll};
use http::body::Body;
use http::{Status, respond};
use kernlet::Error;
use kernlet::alloc::collections::VecDeque;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;
use kernlet::net::{Shutdown, TcpStream};
use kernlet::time::{Duration, Instant};

/// How long a request may take to come in, however often an octet of it comes.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer at first, and how many octets a second it has to take after that.
const STALL: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 512;
/// How long files may take to be found and read.
const FILES: Duration = Duration::from_secs(60);
/// How long, and for how much, a client is heard that goes on sending although it was refused: closing at once would
/// reset the connection, and lose the answer (RFC 9112, section 9.6).
const LINGER: (Duration, usize) = (Duration::from_secs(2), 256 << 10);
/// How often a connection reads or writes before others have their turn.
const TURNS: usize = 16;
/// Pieces that are written at once.
const PIECES: usize = 8;

/// What a connection needs that it cannot do while it is polled.
pub enum Next {
    /// Look for a file; then [`Connection::found`].
    Find(Lookup),
    /// [`Connection::read_file`].
    Read,
    /// It has ended.
    Close,
}

/// What closes a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It stays open.
    No,
    /// It ends when all is written.
    Written,
    /// The same, but the client may still be sending.
    Linger,
    /// All is written; what still comes is thrown away, so many octets of it.
    Lingering(usize),
}

/// A connection.
pub struct Connection {
    pub(super) stream: TcpStream,
    server: Rc<Server>,
    /// Its place in the table.
    place: usize,
    /// What came and belongs to no request that was answered.
    input: Vec<u8>,
    /// How much of it is known to be only a part of a head.
    pub(super) examined: usize,
    /// The head of a request whose content is read over.
    pub(super) held: Vec<u8>,
    pub(super) body: Option<Body>,
    /// What of the heads has not been sent.
    output: Vec<u8>,
    pub(super) segments: VecDeque<Segment>,
    lookup: Option<Lookup>,
    found: Option<Result<Found, Status>>,
    ending: Ending,
    /// Whether `input` was not looked at since it changed.
    unread: bool,
    nodelay: bool,
    /// When the request under way began.
    begun: Option<Instant>,
    /// Since when a client has not taken all, and how much it took meanwhile.
    writing: Option<(Instant, u64)>,
    /// How many requests were answered.
    pub(super) answered: u64,
    /// What the budget was told.
    counted: usize,
}

impl Connection {
    /// A connection that was accepted.
    pub fn new(stream: TcpStream, server: Rc<Server>) -> Self {
        let place = server.table.enter(server.tick() + REQUEST);
        Self {
            stream,
            server,
            place,
            input: Vec::new(),
            examined: 0,
            held: Vec::new(),
            body: None,
            output: Vec::new(),
            segments: VecDeque::new(),
            lookup: None,
            found: None,
            ending: Ending::No,
            unread: false,
            nodelay: false,
            begun: None,
            writing: None,
            answered: 0,
            counted: 0,
        }
    }

    /// The server that it belongs to.
    pub fn server(&self) -> &Rc<Server> {
        &self.server
    }

    /// What was found.
    pub fn found(&mut self, found: Result<Found, Status>) {
        self.found = Some(found);
    }

    /// Reads the next piece of the file that is sent.
    ///
    /// A piece goes out only when nobody has written to the file since it was opened; so whoever gets all that
    /// the answer's length promises has the file as it was at one moment.
    pub async fn read_file(&mut self) -> Result<(), Error> {
        let Some(Segment::File(open, first, left)) = self.segments.front() else { return Ok(()) };
        let (open, first) = (open.clone(), *first);
        let size = usize::try_from(*left).unwrap_or(usize::MAX).min(self.server.budget.chunk());
        if !self.server.budget.fits(size) {
            return Err(Error::ENOMEM);
        }
        let mut piece = kernlet::alloc::vec![0; size];
        let count = open.file.read_at(&mut piece, first).await?;
        if count == 0 || !open.unwritten().await {
            return Err(Error::ESTALE);
        }
        piece.truncate(count);
        if let Some(file) = self.segments.front_mut() {
            file.advance(count);
            if matches!(file, Segment::File(_, _, 0)) {
                self.segments.pop_front();
            }
        }
        self.segments.push_front(Segment::Own(piece, 0));
        Ok(())
    }

    /// Goes on until it has to wait.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let server = self.server.clone();
        let now = server.tick();
        let mut scratch = server.scratch.borrow_mut();
        let Scratch { input, output } = &mut *scratch;
        output.clear();
        output.append(&mut self.output);
        self.output = Vec::new();
        let mut sent = 0;
        let next = self.advance(context, &server, input, output, &mut sent, now);
        if sent < output.len() {
            self.output = output[sent..].into();
        }
        if let Some(log) = &server.log {
            log.flush();
        }
        if matches!(next, Poll::Ready(Next::Close)) {
            return next;
        }
        let held = self.input.capacity()
            + self.held.capacity()
            + self.output.capacity()
            + self.segments.iter().map(Segment::held).sum::<usize>();
        if !server.budget.change(core::mem::replace(&mut self.counted, held), held) {
            return Poll::Ready(Next::Close);
        }
        if next.is_pending() {
            self.wait(context, now);
        } else {
            // What it waits for now is not the client's doing.
            server.table.wait(self.place, now + FILES, false, context.waker());
        }
        next
    }

    fn advance(
        &mut self,
        context: &mut Context<'_>,
        server: &Server,
        input: &mut [u8],
        output: &mut Vec<u8>,
        sent: &mut usize,
        now: Instant,
    ) -> Poll<Next> {
        match server.table.take_call(self.place) {
            None => {}
            Some(Call::Deadline) if self.answer_timeout(server, output) => {}
            Some(_) => return Poll::Ready(Next::Close),
        }
        for _ in 0..TURNS {
            let before = self.answered;
            match self.flush(context, output, sent) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Next::Close),
                Poll::Pending => {
                    self.writing.get_or_insert((now, 0));
                    return Poll::Pending;
                }
            }
            if !self.segments.is_empty() {
                return Poll::Ready(Next::Read);
            }
            self.writing = None;
            if let Some(lookup) = self.lookup.take() {
                return Poll::Ready(Next::Find(lookup));
            }
            let action = if self.ending != Ending::No {
                match self.linger(context, input) {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) => return Poll::Ready(Next::Close),
                    Poll::Pending => return Poll::Pending,
                }
            } else if self.unread || self.found.is_some() {
                let mut own = core::mem::take(&mut self.input);
                let found = self.found.take();
                let (used, action) = self.work(server, &own, output, found);
                own.drain(..used);
                // Memory of its own is given back as soon as it is not needed.
                self.input = if own.is_empty() { Vec::new() } else { own };
                action
            } else if self.input.is_empty() {
                match self.stream.poll_read(context, input) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        let (used, action) = self.work(server, &input[..count], output, None);
                        self.input = input[used..count].into();
                        action
                    }
                    Poll::Ready(_) => return Poll::Ready(Next::Close),
                    Poll::Pending => return Poll::Pending,
                }
            } else {
                match self.stream.poll_read(context, input) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        self.input.extend_from_slice(&input[..count]);
                        self.unread = true;
                        continue;
                    }
                    Poll::Ready(_) => return Poll::Ready(Next::Close),
                    Poll::Pending => return Poll::Pending,
                }
            };
            self.unread = false;
            match action {
                Action::More => {}
                Action::Flush => self.unread = !self.input.is_empty(),
                Action::Find(lookup) => self.lookup = Some(lookup),
                Action::Close => self.ending = Ending::Written,
                Action::Refuse => self.ending = Ending::Linger,
            }
            // The time of a request begins when the one before was answered.
            let begun = self.begun.filter(|_| self.answered == before);
            self.begun = self.is_reading().then(|| begun.unwrap_or(now));
        }
        // Always ready: the others are, too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether a request has come in part.
    fn is_reading(&self) -> bool {
        !self.input.is_empty() || self.body.is_some()
    }

    /// Sends what there is, up to a file that has to be read first.
    fn flush(
        &mut self,
        context: &mut Context<'_>,
        output: &mut Vec<u8>,
        sent: &mut usize,
    ) -> Poll<Result<(), Error>> {
        loop {
            let head = &output[*sent..];
            let written = if self.segments.is_empty() {
                if head.is_empty() {
                    output.clear();
                    *sent = 0;
                    return Poll::Ready(Ok(()));
                }
                self.stream.poll_write(context, head)
            } else {
                let mut pieces: [&[u8]; PIECES] = [&[]; PIECES];
                pieces[0] = head;
                let memory = self.segments.iter().map_while(Segment::memory);
                for (piece, segment) in pieces[1..].iter_mut().zip(memory) {
                    *piece = segment;
                }
                if pieces.iter().all(|piece| piece.is_empty()) {
                    return Poll::Ready(Ok(()));
                }
                if !core::mem::replace(&mut self.nodelay, true) {
                    // What does not go out in one piece must not wait for acknowledgements in between.
                    let _ = self.stream.set_nodelay(true);
                }
                self.stream.poll_write_vectored(context, &pieces)
            };
            let Poll::Ready(written) = written else { return Poll::Pending };
            let mut count = written?;
            if let Some((_, taken)) = &mut self.writing {
                *taken += count as u64;
            }
            let of_head = count.min(output.len() - *sent);
            *sent += of_head;
            count -= of_head;
            while let Some(segment) = self.segments.front_mut() {
                let Some(length) = segment.memory().map(<[u8]>::len) else { break };
                let taken = count.min(length);
                segment.advance(taken);
                count -= taken;
                if taken < length {
                    break;
                }
                self.segments.pop_front();
            }
        }
    }

    /// The connection ends: `false` when it has, `true` when there may be more to read over.
    fn linger(&mut self, context: &mut Context<'_>, input: &mut [u8]) -> Poll<bool> {
        let left = match self.ending {
            Ending::Linger => {
                if self.stream.shutdown(Shutdown::Write).is_err() {
                    return Poll::Ready(false);
                }
                self.input = Vec::new();
                LINGER.1
            }
            Ending::Lingering(left) => left,
            Ending::No | Ending::Written => return Poll::Ready(false),
        };
        self.ending = Ending::Lingering(left);
        match self.stream.poll_read(context, input) {
            Poll::Ready(Ok(count)) if count > 0 && count < left => {
                self.ending = Ending::Lingering(left - count);
                Poll::Ready(true)
            }
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The time is up. A request that has begun is answered; whoever only waited, or takes no answer, is not.
    fn answer_timeout(&mut self, server: &Server, output: &mut Vec<u8>) -> bool {
        let answers =
            self.is_reading() && output.is_empty() && self.ending == Ending::No && self.segments.is_empty();
        if answers {
            respond::error(
                output,
                None,
                Status::REQUEST_TIMEOUT,
                &server.clock.borrow(),
                respond::Connection::Closes,
            );
            self.body = None;
            self.ending = Ending::Linger;
        }
        answers
    }

    /// Sets the deadline of what it waits for.
    fn wait(&mut self, context: &Context<'_>, now: Instant) {
        let (deadline, idle) = match (self.ending, self.writing, self.begun) {
            (Ending::Lingering(LINGER_ALL), _, _) => (now + LINGER.0, false),
            // The deadline that was set at first stays.
            (Ending::Lingering(_), _, _) => return,
            (_, Some((since, taken)), _) => (since + STALL + Duration::from_secs(taken / SLOWEST), false),
            // Who is slow to ask may be closed to make room, as who does not ask.
            (_, None, Some(begun)) => (begun + REQUEST, true),
            (_, None, None) if self.answered == 0 => {
                (now + REQUEST.min(self.server.options.keep_alive), true)
            }
            (_, None, None) => (now + self.server.options.keep_alive, true),
        };
        self.server.table.wait(self.place, deadline, idle, context.waker());
    }
}

/// What a connection has left to linger for when nothing came yet.
const LINGER_ALL: usize = LINGER.1;

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.budget.change(self.counted, 0);
        self.server.table.leave(self.place);
    }
}
