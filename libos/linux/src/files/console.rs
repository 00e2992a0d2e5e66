//! Standard input, output and error: what the monitor connected.

use super::terminal::Terminal;
use crate::Errno;
use crate::call::Outcome;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Relay, Watchers};
use alloc::rc::Rc;
use core::task::Context;
use kernlet_exec::Source;
use kernlet_platform::boot;
use kernlet_platform::console::{self, Stream};

/// What is moved at a time.
const CHUNK: usize = 4096;

/// A standard stream, or all of them.
pub enum Console {
    /// What the monitor connected: a pipe or a file.
    Stream(Streams),
    /// A terminal.
    Terminal(Rc<Terminal>),
}

/// Streams without a terminal.
pub struct Streams {
    output: Option<Stream>,
    input: Option<Rc<Input>>,
    /// Those of an output, which is always ready.
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
}

impl Console {
    /// Standard input, output and error, and input and output together.
    pub fn standard() -> [Rc<Self>; 4] {
        if boot::blob().terminal() {
            let terminal = Rc::new(Self::Terminal(Terminal::new()));
            return core::array::from_fn(|_| terminal.clone());
        }
        let input = Input::new();
        let stream = |output, input| Rc::new(Self::Stream(Streams { output, input, none: Watchers::new() }));
        [
            stream(None, Some(input.clone())),
            stream(Some(Stream::Out), None),
            stream(Some(Stream::Err), None),
            stream(Some(Stream::Out), Some(input)),
        ]
    }

    /// The terminal that it is.
    pub fn terminal(&self) -> Option<&Rc<Terminal>> {
        match self {
            Self::Terminal(terminal) => Some(terminal),
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
        match self {
            Self::Stream(streams) => streams.read(thread, non_blocking, to).await,
            Self::Terminal(terminal) => terminal.read(thread, non_blocking, to).await,
        }
    }

    /// Writes.
    ///
    /// # Errors
    /// EBADF when it is no output; EFAULT.
    pub fn write(&self, from: &mut Buffers) -> Result<usize, Errno> {
        match self {
            Self::Stream(streams) => streams.write(from),
            Self::Terminal(terminal) => terminal.write(from),
        }
    }

    /// Writes bytes of the library OS.
    ///
    /// # Errors
    /// EBADF when it is no output.
    pub fn put(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Stream(streams) => console::write(streams.output.ok_or(Errno::EBADF)?, bytes),
            Self::Terminal(terminal) => terminal.put(bytes),
        }
        Ok(bytes.len())
    }

    /// See [`super::Description::readiness`].
    pub fn readiness(&self) -> Events {
        match self {
            Self::Stream(streams) => streams.readiness(),
            Self::Terminal(terminal) => terminal.readiness(),
        }
    }

    /// See [`super::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
        match self {
            Self::Stream(streams) => streams.watchers(),
            Self::Terminal(terminal) => terminal.watchers(),
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
            let ready = input.relay.watchers().until(|| (!self.readiness().is_none()).then_some(()));
            thread.interruptible(ready).await?;
        }
    }

    fn write(&self, from: &mut Buffers) -> Result<usize, Errno> {
        let output = self.output.ok_or(Errno::EBADF)?;
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while from.remaining() > 0 {
            match from.take(&mut chunk) {
                Ok(length) => {
                    console::write(output, &chunk[..length]);
                    done += length;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn readiness(&self) -> Events {
        let output = Events::OUT.when(self.output.is_some());
        let Some(input) = &self.input else { return output };
        let context = &mut Context::from_waker(input.relay.readable());
        let readable = !input.waits || input.source.poll_readable(context).is_ready();
        output.or(Events::IN.when(readable))
    }

    fn watchers(&self) -> &Watchers {
        self.input.as_ref().map_or(&self.none, |input| input.relay.watchers())
    }
}

/// Moves what is there of standard input. The bytes on their way are on the stack, not in what waits.
fn take(to: &mut Buffers) -> Result<usize, Errno> {
    let mut chunk = [0; CHUNK];
    let most = to.remaining().min(CHUNK);
    let length = console::read(&mut chunk[..most])?;
    to.fill(&chunk[..length])
}
