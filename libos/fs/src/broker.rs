//! The instance's side of the broker: requests by name, for files here and for connections in the network stack. In a
//! VM most volumes are 9P's, and the broker has those that are single files.
//!
//! One task receives the replies and hands each to the request that waits for it. A request that is cancelled is
//! forgotten when its reply comes, and what came with it is closed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use kernlet_exec::{Source, spawn};
use kernlet_platform::Errno;
use kernlet_platform::broker::{self as socket, Granted};
use kernlet_platform::cell::RefCell;
use kernlet_sync::{CpuLocal, SmallMap, WaitQueue, poll_fn, trace};
use kernlet_wire::broker::{MAX_MESSAGE, MAX_OUTSTANDING};

pub use kernlet_wire::broker::{At, FileSystem, OpenFlags, Reply, Request, Stat};

/// A reply with what was granted by it.
pub struct Answer {
    message: Vec<u8>,
    granted: Option<Granted>,
}

impl Answer {
    /// What the broker says.
    ///
    /// # Errors
    /// The error that it says; EIO when it says nothing that makes sense.
    pub fn reply(&self) -> Result<Reply<'_>, Errno> {
        match Reply::decode(&self.message) {
            Ok((_, Reply::Error(number))) => Err(Errno(number)),
            Ok((_, reply)) => Ok(reply),
            Err(_) => Err(Errno::EIO),
        }
    }

    /// The descriptor that came along.
    ///
    /// # Errors
    /// EMFILE when none did: the host has no number left for it in this process.
    pub fn granted(self) -> Result<Granted, Errno> {
        self.granted.ok_or(Errno::EMFILE)
    }

    /// What came along, if something did.
    pub(crate) fn maybe_granted(self) -> Option<Granted> {
        self.granted
    }
}

/// Where a request stands.
enum Slot {
    Waiting(Option<Waker>),
    Arrived(Answer),
    Abandoned,
}

#[derive(Default)]
struct State {
    next: u32,
    /// Every request that was sent and not answered, wanted or not, and every answer that nobody has looked at yet.
    slots: SmallMap<u32, Slot>,
    /// How many requests were sent, or wait to be, whose reply has not come.
    unanswered: u32,
    /// Messages that found no room in the socket.
    outgoing: VecDeque<Vec<u8>>,
    pump: Option<Waker>,
    /// The broker is gone, or never was.
    failed: Option<Errno>,
}

struct Client {
    source: Source,
    state: RefCell<State>,
    room: WaitQueue,
}

static CLIENT: CpuLocal<Client> = CpuLocal::new(|| {
    let client = Client { source: Source::new(), state: RefCell::default(), room: WaitQueue::new() };
    if !socket::watch(client.source.token()) {
        client.state.borrow_mut().failed = Some(Errno::ENODEV);
    } else {
        spawn("broker", pump());
    }
    client
});

/// Asks the broker.
///
/// # Errors
/// ENODEV when there is no broker, EIO when it has gone. What the broker says is in the [`Answer`].
pub async fn ask(request: &Request<'_>) -> Result<Answer, Errno> {
    ask_message(request.encode(0)).await
}

/// The same, by a message that has no id yet.
pub(crate) async fn ask_message(message: Vec<u8>) -> Result<Answer, Errno> {
    room().await;
    CLIENT.get().send(message, Slot::Waiting(None))?.await
}

/// Waits until one more request may wait for its reply.
async fn room() {
    let client = CLIENT.get();
    let room = || {
        let state = client.state.borrow();
        (state.slots.len() < MAX_OUTSTANDING || state.failed.is_some()).then_some(())
    };
    client.room.until(room).await;
}

/// Sends a message that has no id yet, and whose answer nobody waits for.
pub(crate) fn tell(message: Vec<u8>) {
    // A broker that has gone has forgotten all.
    drop(CLIENT.get().send(message, Slot::Abandoned));
}

/// Asks the broker to forget a handle. Nobody waits for the answer.
pub(crate) fn close(handle: u32) {
    if handle != 0 {
        tell(Request::Close { handle }.encode(0));
    }
}

impl Client {
    /// Sends a message, whose id it sets.
    fn send(&self, mut message: Vec<u8>, slot: Slot) -> Result<Pending, Errno> {
        let mut state = self.state.borrow_mut();
        if let Some(error) = state.failed {
            return Err(error);
        }
        while state.slots.contains_key(&state.next) {
            state.next = state.next.wrapping_add(1);
        }
        let id = state.next;
        state.next = state.next.wrapping_add(1);
        if let Some(place) = message.first_chunk_mut() {
            *place = id.to_le_bytes();
        }
        let waits = if state.outgoing.is_empty() {
            match socket::send(&message) {
                Ok(()) => false,
                Err(Errno::EAGAIN) => true,
                // The task that receives will find out, too.
                Err(_) => return Err(Errno::EIO),
            }
        } else {
            true
        };
        if waits {
            state.outgoing.push_back(message);
            if let Some(pump) = state.pump.take() {
                pump.wake();
            }
        }
        state.unanswered += 1;
        state.slots.insert(id, slot);
        Ok(Pending { id })
    }

    fn deliver(&self, message: &[u8], granted: Option<Granted>) {
        let Ok((id, reply)) = Reply::decode(message) else { return };
        let mut state = self.state.borrow_mut();
        // Whoever answers what nobody asked is not waited for.
        state.unanswered = state.unanswered.saturating_sub(1);
        match state.slots.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => {
                let answer = Answer { message: message.to_vec(), granted };
                if let Slot::Waiting(Some(waker)) = core::mem::replace(slot, Slot::Arrived(answer)) {
                    waker.wake();
                }
            }
            Some(Slot::Abandoned) => {
                state.slots.remove(&id);
                drop(state);
                if let Reply::Opened { handle, .. } = reply {
                    close(handle);
                }
                self.room.wake_one();
            }
            // Nobody asked, or it was answered already.
            Some(Slot::Arrived(_)) | None => {}
        }
    }

    fn fail(&self, error: Errno) {
        let mut state = self.state.borrow_mut();
        state.failed = Some(error);
        state.outgoing.clear();
        for slot in state.slots.values_mut() {
            if let Slot::Waiting(waker) = slot
                && let Some(waker) = waker.take()
            {
                waker.wake();
            }
        }
        drop(state);
        self.room.wake_all();
    }

    /// Sends what waits; `false` when the socket is full.
    fn flush(&self) -> Result<bool, Errno> {
        let mut state = self.state.borrow_mut();
        while let Some(message) = state.outgoing.front() {
            match socket::send(message) {
                Ok(()) => drop(state.outgoing.pop_front()),
                Err(Errno::EAGAIN) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Receives and sends until neither goes on; ready when the broker is gone.
    fn poll(&self, buffer: &mut [u8], context: &mut Context<'_>) -> Poll<()> {
        loop {
            match socket::receive(buffer) {
                Err(Errno::EAGAIN) => self.source.clear_readable(),
                Ok((0, _)) | Err(_) => return Poll::Ready(()),
                Ok((length, granted)) => {
                    self.deliver(&buffer[..length], granted);
                    if self.state.borrow().unanswered > 0 {
                        continue;
                    }
                    // Nothing more can have come, and what comes to the next request is reported anew.
                    self.source.clear_readable();
                }
            }
            let Ok(sent) = self.flush() else { return Poll::Ready(()) };
            if !sent {
                self.source.clear_writable();
            }
            self.state.borrow_mut().pump = Some(context.waker().clone());
            let readable = self.source.poll_readable(context).is_ready();
            let writable = !sent && self.source.poll_writable(context).is_ready();
            if !readable && !writable {
                return Poll::Pending;
            }
        }
    }
}

async fn pump() {
    let mut buffer = alloc::vec![0; MAX_MESSAGE];
    let client = CLIENT.get();
    poll_fn(|context| client.poll(&mut buffer, context)).await;
    client.fail(Errno::EIO);
}

/// A request that waits for its reply.
struct Pending {
    id: u32,
}

impl Future for Pending {
    type Output = Result<Answer, Errno>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if trace::leaf() {
            return Poll::Pending;
        }
        let client = CLIENT.get();
        let mut state = client.state.borrow_mut();
        let failed = state.failed;
        let result = match state.slots.get_mut(&self.id) {
            Some(Slot::Waiting(waker)) if failed.is_none() => {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Some(Slot::Arrived(_)) => match state.slots.remove(&self.id) {
                Some(Slot::Arrived(answer)) => Ok(answer),
                _ => Err(Errno::EIO),
            },
            _ => {
                state.slots.remove(&self.id);
                Err(failed.unwrap_or(Errno::EIO))
            }
        };
        drop(state);
        client.room.wake_one();
        Poll::Ready(result)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let client = CLIENT.get();
        let mut state = client.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(&self.id) else { return };
        // Its answer is still to come, unless it is there.
        if let Slot::Arrived(answer) = core::mem::replace(slot, Slot::Abandoned) {
            state.slots.remove(&self.id);
            drop(state);
            if let Ok(Reply::Opened { handle, .. }) = answer.reply() {
                close(handle);
            }
            client.room.wake_one();
        }
    }
}
