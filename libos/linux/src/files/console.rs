//! Standard input, output and error: what the monitor connected.

use super::pipe::broken;
use super::terminal::Terminal;
use super::terminal::pseudo::Slave;
use crate::Errno;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Relay, Watchers, until_ready};
use alloc::rc::Rc;
use core::task::Context;
use kernlet_exec::Source;
use kernlet_net::Memory;
use kernlet_platform::boot;
use kernlet_platform::console::{self, Stream};

/// What is moved at a time.
const CHUNK: usize = 4096;

/// A standard stream, or all of them.
pub enum Console {
    /// What the monitor connected: a pipe or a file.
    Stream(Streams),
    /// The instance's terminal.
    Terminal(Rc<Terminal>),
    /// A pseudo-terminal.
    Slave(Slave),
}

/// Streams without a terminal.
pub struct Streams {
    output: Option<Rc<Output>>,
    input: Option<Rc<Input>>,
    /// Those of what is neither.
    none: Watchers,
}

/// Standard input, which several descriptions share.
pub struct Input {
    source: Source,
    /// Whether it can be waited for; a file is always ready.
    waits: bool,
    relay: Relay,
}

impl Input {
    /// Standard input.
    pub fn new() -> Rc<Self> {
        let source = Source::new();
        let waits = console::watch(source.token()).is_ok();
        Rc::new(Self { source, waits, relay: Relay::new() })
    }

    fn is_ready(&self) -> bool {
        if self.waits && self.source.is_readable() && !console::has_input() {
            self.source.clear_readable();
        }
        let context = &mut Context::from_waker(self.relay.readable());
        !self.waits || self.source.poll_readable(context).is_ready()
    }
}

/// Standard output or error, which several descriptions share.
pub struct Output {
    stream: Stream,
    /// Waited for by the terminal itself.
    pub source: Source,
    /// Whether it can be waited for; a file always has room.
    waits: bool,
    relay: Relay,
}

impl Output {
    /// A stream.
    pub fn new(stream: Stream) -> Rc<Self> {
        let source = Source::new();
        let waits = console::watch_output(stream, source.token()).is_ok();
        Rc::new(Self { stream, source, waits, relay: Relay::new() })
    }

    /// Whether there is room; who watches is told when there is again.
    ///
    /// # Errors
    /// EPIPE when nobody reads.
    pub fn has_room(&self) -> Result<bool, Errno> {
        if self.waits && self.source.is_writable() {
            match console::room(self.stream) {
                Err(Errno::EAGAIN) => self.source.clear_writable(),
                other => return other.map(|()| true),
            }
        }
        let context = &mut Context::from_waker(self.relay.writable());
        Ok(!self.waits || self.source.poll_writable(context).is_ready())
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// EAGAIN, EPIPE.
    pub fn offer(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let done = console::offer(self.stream, bytes);
        if done == Err(Errno::EAGAIN) {
            self.source.clear_writable();
        }
        done
    }

    /// Moves a piece of what is written. The bytes on their way are on the stack, not in what waits.
    fn give(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
        let mut chunk = [0; CHUNK];
        let length = from.look(&mut chunk)?;
        let done = self.offer(&chunk[..length])?;
        from.advance(done);
        Ok(done)
    }
}

impl Console {
    /// Standard input, output and error, and input and output together.
    pub fn standard() -> [Rc<Self>; 4] {
        if boot::blob().terminal() {
            let terminal = Rc::new(Self::Terminal(Terminal::new()));
            return core::array::from_fn(|_| terminal.clone());
        }
        let (input, [output, error]) = (Input::new(), [Stream::Out, Stream::Err].map(Output::new));
        let stream = |output, input| Rc::new(Self::Stream(Streams { output, input, none: Watchers::new() }));
        [
            stream(None, Some(input.clone())),
            stream(Some(output.clone()), None),
            stream(Some(error), None),
            stream(Some(output), Some(input)),
        ]
    }

    /// The terminal that it is.
    pub fn terminal(&self) -> Option<&Rc<Terminal>> {
        match self {
            Self::Terminal(terminal) => Some(terminal),
            Self::Slave(slave) => Some(slave.terminal()),
            Self::Stream(_) => None,
        }
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal().is_some()
    }

    /// Bytes that can be read (FIONREAD), as far as that is known.
    ///
    /// # Errors
    /// ENOTTY when it is not.
    pub fn filled(&self) -> Result<usize, Errno> {
        self.terminal().map(|terminal| terminal.filled()).ok_or(Errno::ENOTTY)
    }

    /// ioctl(2) of a terminal.
    ///
    /// # Errors
    /// ENOTTY; those of ioctl_tty(2).
    pub fn control(&self, thread: &Thread, request: u32, argument: usize) -> Outcome {
        self.terminal().ok_or(Errno::ENOTTY)?.control(thread, request, argument)
    }

    /// Reads what is there; waits for something unless `non_blocking`.
    ///
    /// # Errors
    /// EBADF when it is no input; EAGAIN; those of the host.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        match (self, self.terminal()) {
            (_, Some(terminal)) => terminal.read(thread, non_blocking, to).await,
            (Self::Stream(streams), None) => streams.read(thread, non_blocking, to).await,
            _ => Err(Errno::EBADF),
        }
    }

    /// Writes; waits for room unless `non_blocking`.
    ///
    /// # Errors
    /// EBADF when it is no output; EFAULT, EAGAIN; EPIPE with SIGPIPE; interrupted.
    pub async fn write(
        &self,
        thread: &Thread,
        non_blocking: bool,
        from: &mut dyn Memory,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while from.remaining() > 0 {
            let moved = match self.give(from) {
                Err(Errno::EAGAIN) if !non_blocking => {
                    let room = || self.has_room() != Ok(false);
                    until_ready(thread, self.outgoing(), false, &room).await.map(|()| 0)
                }
                Err(Errno::EPIPE) => {
                    broken(thread);
                    Err(Errno::EPIPE)
                }
                other => other,
            };
            match moved {
                Ok(length) => done += length,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Moves a piece of what is written.
    fn give(&self, from: &mut dyn Memory) -> Result<usize, Errno> {
        match self {
            Self::Stream(streams) => streams.output.as_ref().ok_or(Errno::EBADF)?.give(from),
            Self::Terminal(terminal) => terminal.give(from),
            Self::Slave(slave) => slave.terminal().give(from),
        }
    }

    fn has_room(&self) -> Result<bool, Errno> {
        match self {
            Self::Stream(streams) => streams.output.as_ref().map_or(Ok(true), |output| output.has_room()),
            Self::Terminal(terminal) => Ok(terminal.has_room()),
            Self::Slave(slave) => Ok(slave.terminal().has_room()),
        }
    }

    /// Who waits for room.
    fn outgoing(&self) -> &Watchers {
        match self {
            Self::Stream(Streams { output: Some(output), .. }) => output.relay.watchers(),
            Self::Stream(streams) => &streams.none,
            Self::Terminal(terminal) => terminal.watchers(),
            Self::Slave(slave) => slave.terminal().watchers(),
        }
    }

    /// See [`super::Description::readiness`].
    pub fn readiness(&self) -> Events {
        match self {
            Self::Stream(streams) => streams.readiness(),
            Self::Terminal(terminal) => terminal.readiness(),
            Self::Slave(slave) => slave.terminal().readiness(),
        }
    }

    /// See [`super::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        match self {
            Self::Stream(streams) => streams.watchers(),
            Self::Terminal(terminal) => terminal.watchers(),
            Self::Slave(slave) => slave.terminal().watchers(),
        }
    }
}

impl Streams {
    async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        let input = self.input.as_ref().ok_or(Errno::EBADF)?;
        if to.remaining() == 0 {
            return Ok(0);
        }
        loop {
            match take(to) {
                Err(Errno::EAGAIN) if !non_blocking => {}
                other => return other,
            }
            input.source.clear_readable();
            until_ready(thread, input.relay.watchers(), false, &|| input.is_ready()).await?;
        }
    }

    fn readiness(&self) -> Events {
        let output = match self.output.as_ref().map(|output| output.has_room()) {
            None => Events::NONE,
            Some(Ok(room)) => Events::OUT.when(room),
            Some(Err(_)) => Events::OUT.or(Events::ERROR),
        };
        output.or(Events::IN.when(self.input.as_ref().is_some_and(|input| input.is_ready())))
    }

    /// Who watches both directions is told of input alone.
    fn watchers(&self) -> &Watchers {
        match (&self.input, &self.output) {
            (Some(input), _) => input.relay.watchers(),
            (None, Some(output)) => output.relay.watchers(),
            (None, None) => &self.none,
        }
    }
}

/// Moves what is there of standard input. The bytes on their way are on the stack, not in what waits.
fn take(to: &mut Buffers) -> Result<usize, Errno> {
    let mut chunk = [0; CHUNK];
    let most = to.remaining().min(CHUNK);
    let length = console::read(&mut chunk[..most])?;
    to.fill(&chunk[..length])
}
