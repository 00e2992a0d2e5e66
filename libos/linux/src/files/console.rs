//! Standard input, output and error: what the monitor connected.

use crate::Errno;
use crate::thread::Thread;
use crate::user::Buffers;
use crate::wait::{Events, Relay, Watchers};
use alloc::rc::Rc;
use core::task::Context;
use kernlet_exec::Source;
use kernlet_platform::console::{self, Stream};

/// What is moved at a time.
const CHUNK: usize = 4096;

/// A standard stream, or all of them (a terminal).
pub struct Console {
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
    /// A stream with which `output` is written, `input` is read.
    fn new(output: Option<Stream>, input: Option<Rc<Input>>) -> Rc<Self> {
        Rc::new(Self { output, input, none: Watchers::new() })
    }

    /// Standard input, output and error, and input and output together.
    pub fn standard() -> [Rc<Self>; 4] {
        let input = Input::new();
        [
            Self::new(None, Some(input.clone())),
            Self::new(Some(Stream::Out), None),
            Self::new(Some(Stream::Err), None),
            Self::new(Some(Stream::Out), Some(input)),
        ]
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        false
    }

    /// Bytes that can be read (FIONREAD), as far as that is known.
    ///
    /// # Errors
    /// ENOTTY when it is not.
    pub fn filled(&self) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// ioctl(2) of a terminal.
    ///
    /// # Errors
    /// ENOTTY.
    pub async fn control(&self, _thread: &Thread, _request: u32, _argument: usize) -> crate::call::Outcome {
        Err(Errno::ENOTTY)
    }

    /// Reads what is there; waits for something unless `non_blocking`.
    ///
    /// # Errors
    /// EBADF when it is no input; EAGAIN; those of the host.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
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

    /// Writes.
    ///
    /// # Errors
    /// EBADF when it is no output; EFAULT.
    pub fn write(&self, from: &mut Buffers) -> Result<usize, Errno> {
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

    /// Writes bytes of the library OS.
    ///
    /// # Errors
    /// EBADF when it is no output.
    pub fn put(&self, bytes: &[u8]) -> Result<usize, Errno> {
        console::write(self.output.ok_or(Errno::EBADF)?, bytes);
        Ok(bytes.len())
    }

    /// See [`super::Description::readiness`].
    pub fn readiness(&self) -> Events {
        let output = Events::OUT.when(self.output.is_some());
        let Some(input) = &self.input else { return output };
        let context = &mut Context::from_waker(input.relay.readable());
        let readable = !input.waits || input.source.poll_readable(context).is_ready();
        output.or(Events::IN.when(readable))
    }

    /// See [`super::Description::watchers`].
    pub fn watchers(&self) -> &Watchers {
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
