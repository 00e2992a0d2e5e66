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
    pub fn new(output: Option<Stream>, input: Option<Rc<Input>>) -> Self {
        Self { output, input, none: Watchers::new() }
    }

    /// Reads what is there; waits for something unless `non_blocking`.
    ///
    /// # Errors
    /// EBADF when it is no input; EAGAIN; those of the host.
    pub async fn read(&self, thread: &Thread, non_blocking: bool, to: &mut Buffers) -> Result<usize, Errno> {
        let input = self.input.as_ref().ok_or(Errno::EBADF)?;
        let mut chunk = [0; CHUNK];
        let chunk = &mut chunk[..to.remaining().min(CHUNK)];
        if chunk.is_empty() {
            return Ok(0);
        }
        let length = loop {
            match console::read(chunk) {
                Err(Errno::EAGAIN) if !non_blocking => {
                    input.source.clear_readable();
                    let ready = input.relay.watchers().until(|| (!self.readiness().is_none()).then_some(()));
                    thread.interruptible(ready).await?;
                }
                other => break other?,
            }
        };
        to.fill(&chunk[..length])
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
