//! One connection to one server.

use super::message::{Message, Qid, Reader, kind, reply};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_exec::{Source, Task, spawn};
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, p9};
use kernlet_sync::{SmallMap, WaitQueue};

/// The largest message that is asked for: 64 KiB of data with the longest header.
const MESSAGE: u32 = (64 << 10) + 24;
/// What a message has around data at most: 7 of header, a fid, an offset, a length.
const AROUND: u32 = 24;
/// Room for replies that hold no data.
pub const SMALL: usize = 512;
/// The tag of the message before there is a session.
const NO_TAG: u16 = 0xffff;
/// No fid, no user.
const NONE: u32 = 0xffff_ffff;
const ROOT: u32 = 0;
/// How many names one walk may have.
pub const STEP: usize = 16;

#[derive(Default)]
struct State {
    next_tag: u16,
    /// Those in use.
    tags: SmallMap<u16, ()>,
    next_fid: u32,
    free_fids: Vec<u32>,
    /// Fids that the server is to be told to forget, when its queue has room.
    unwanted: Vec<u32>,
    /// Requests whose replies nobody waits for: slot, tag, and the fid that the request gives back.
    orphans: Vec<(u16, u16, Option<u32>)>,
}

/// A session. Requests run at the same time as far as the device's queue allows.
pub struct Session {
    device: usize,
    /// Reported when replies have come.
    source: Rc<Source>,
    arrived: WaitQueue,
    room: WaitQueue,
    state: RefCell<State>,
    /// How much data fits into one message.
    chunk: u32,
}

impl Session {
    /// Opens a session with the server behind a device, whose replies are reported under `source`. `asked` is kept
    /// from one attempt to the next: the reply to a request of one that was cancelled is the next one's.
    ///
    /// # Errors
    /// EPROTO when it does not speak 9P2000.L; the server's.
    pub async fn start(
        device: usize,
        source: Rc<Source>,
        asked: &Cell<Option<u16>>,
    ) -> Result<Rc<Self>, Errno> {
        let mut this = Self {
            device,
            source,
            arrived: WaitQueue::new(),
            room: WaitQueue::new(),
            state: RefCell::new(State { next_fid: ROOT + 1, ..State::default() }),
            chunk: 0,
        };
        let slot = match asked.get() {
            Some(slot) => slot,
            None => {
                let version = Message::new(kind::VERSION).u32(MESSAGE).text(b"9P2000.L");
                p9::submit(device, &version.finish(NO_TAG), SMALL)?
            }
        };
        asked.set(Some(slot));
        let size = loop {
            let mut size = None;
            let read = |bytes: &[u8]| size = Some(agreed_size(bytes));
            if p9::take(device, slot, &mut { read }) {
                asked.set(None);
                break size.unwrap_or(Err(Errno::EIO))?;
            }
            this.source.readable().await;
            this.source.clear_readable();
        };
        this.chunk = size.min(MESSAGE) - AROUND;
        let this = Rc::new(this);
        let mut attempt = Attempt(Some(spawn("9p", pump(this.clone()))));
        let attach = Message::new(kind::ATTACH).u32(ROOT).u32(NONE).text(b"").text(b"").u32(0);
        this.call(attach, SMALL, |body| body.qid().map(drop)).await?;
        attempt.0 = None;
        Ok(this)
    }

    /// How much data fits into one message.
    pub fn chunk(&self) -> usize {
        self.chunk as usize
    }

    /// Sends a request, and hands what its reply says, of which there may be `room` bytes, to `read`.
    ///
    /// # Errors
    /// The server's; EIO when the reply makes no sense.
    pub async fn call<T>(
        &self,
        message: Message,
        room: usize,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut value = None;
        let mut keep = |body: &mut Reader<'_>| {
            value = Some(read(body)?);
            Ok(())
        };
        self.exchange(message, room, &mut keep).await?;
        value.ok_or(Errno::EIO)
    }

    /// One copy of what [`Self::call`] does for every kind of reply.
    async fn exchange(
        &self,
        message: Message,
        room: usize,
        read: &mut dyn FnMut(&mut Reader<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.sweep();
        let kind = message.kind();
        let tag = self.tag();
        let bytes = message.finish(tag);
        // Until it is sent, nothing but its tag has to be given back.
        let mut sent = Sent { session: self, slot: None, tag };
        let submit = || loop {
            match p9::submit(self.device, &bytes, room) {
                Err(Errno::EAGAIN) if self.sweep() => {}
                Err(Errno::EAGAIN) => return None,
                other => return Some(other),
            }
        };
        let slot = self.room.until(submit).await?;
        sent.slot = Some(slot);
        let take = || {
            let mut result = None;
            let taken = p9::take(self.device, slot, &mut |bytes| {
                result = Some(reply(bytes, kind, tag).and_then(|mut body| read(&mut body)));
            });
            taken.then(|| result.unwrap_or(Err(Errno::EIO)))
        };
        let result = self.arrived.until(take).await;
        sent.slot = None;
        drop(sent);
        self.room.wake_one();
        result
    }

    fn tag(&self) -> u16 {
        let mut state = self.state.borrow_mut();
        loop {
            let tag = state.next_tag;
            state.next_tag = if tag + 1 == NO_TAG { 0 } else { tag + 1 };
            // There are never more requests than the device has slots, and those that wait for one are tasks: memory
            // ends before 65 thousand of them.
            if state.tags.insert(tag, ()).is_none() {
                return tag;
            }
        }
    }

    /// A number for a file, which the server does not know yet.
    pub fn fid(self: &Rc<Self>) -> Fid {
        let mut state = self.state.borrow_mut();
        let number = state.free_fids.pop().unwrap_or_else(|| {
            let next = state.next_fid;
            // Only a walk that was cancelled on its way uses a number up: there are enough.
            state.next_fid = if next + 1 == NONE { ROOT + 1 } else { next + 1 };
            next
        });
        Fid { session: self.clone(), number, known: Cell::new(None) }
    }

    /// A second fid for what is at `names` (at most [`STEP`]) below `from`, or below the root. Fewer qids than
    /// names come back when a name is not there; the fid is of no use then.
    pub async fn walk(
        self: &Rc<Self>,
        from: Option<&Fid>,
        names: &[Vec<u8>],
    ) -> Result<(Fid, Vec<Qid>), Errno> {
        let fid = self.fid();
        let from = from.map_or(ROOT, |fid| fid.number);
        let mut message = Message::new(kind::WALK).u32(from).u32(fid.number).u16(names.len() as u16);
        for name in names {
            message = message.text(name);
        }
        let qids = self.call(message, SMALL, |body| qids(body, names.len())).await;
        fid.known.set(Some(qids.as_ref().is_ok_and(|qids| qids.len() == names.len())));
        Ok((fid, qids?))
    }

    /// Tells the server to forget a fid, now or when its queue has room.
    fn forget(&self, fid: u32) {
        let tag = self.tag();
        let message = Message::new(kind::CLUNK).u32(fid).finish(tag);
        let submitted = p9::submit(self.device, &message, SMALL);
        let mut state = self.state.borrow_mut();
        if let Ok(slot) = submitted {
            state.orphans.push((slot, tag, Some(fid)));
        } else {
            state.tags.remove(&tag);
            state.unwanted.push(fid);
        }
    }

    /// Takes the replies that nobody waits for; tells whether there were any.
    fn sweep(&self) -> bool {
        let mut any = false;
        let orphans = core::mem::take(&mut self.state.borrow_mut().orphans);
        for (slot, tag, fid) in orphans {
            let mut given_back = false;
            let taken = p9::take(self.device, slot, &mut |bytes| {
                given_back = reply(bytes, kind::CLUNK, tag).is_ok();
            });
            let mut state = self.state.borrow_mut();
            if !taken {
                state.orphans.push((slot, tag, fid));
                continue;
            }
            any = true;
            state.tags.remove(&tag);
            // A fid that the server did not know may yet be made by a request on its way: it is not used again.
            state.free_fids.extend(fid.filter(|_| given_back));
            drop(state);
            self.room.wake_one();
        }
        let unwanted = core::mem::take(&mut self.state.borrow_mut().unwanted);
        unwanted.into_iter().for_each(|fid| self.forget(fid));
        any
    }
}

fn agreed_size(bytes: &[u8]) -> Result<u32, Errno> {
    let mut body = reply(bytes, kind::VERSION, NO_TAG)?;
    let size = body.u32()?;
    // With less than a page there is no room for a path.
    if body.text()? == b"9P2000.L" && size >= 4096 + AROUND { Ok(size) } else { Err(Errno::EPROTO) }
}

/// Reads the reply to a walk of `most` names.
pub fn qids(body: &mut Reader<'_>, most: usize) -> Result<Vec<Qid>, Errno> {
    let count = usize::from(body.u16()?);
    if count > most {
        return Err(Errno::EIO);
    }
    (0..count).map(|_| body.qid()).collect()
}

/// Wakes who waits whenever replies have come.
async fn pump(session: Rc<Session>) {
    loop {
        session.source.readable().await;
        session.source.clear_readable();
        session.arrived.wake_all();
        session.sweep();
    }
}

/// Ends the pump of a session that did not come about.
struct Attempt(Option<Task<()>>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(pump) = &self.0 {
            pump.cancel();
        }
    }
}

/// A request on its way. When it is cancelled, its reply is taken by somebody else.
struct Sent<'s> {
    session: &'s Session,
    slot: Option<u16>,
    tag: u16,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state.borrow_mut();
        match self.slot {
            Some(slot) => state.orphans.push((slot, self.tag, None)),
            None => drop(state.tags.remove(&self.tag)),
        }
    }
}

/// A number by which the server knows a file.
pub struct Fid {
    session: Rc<Session>,
    pub number: u32,
    /// Whether the server knows it; that is not known of a walk that was cancelled.
    known: Cell<Option<bool>>,
}

impl Fid {
    /// The session that it belongs to.
    pub fn session(&self) -> &Rc<Session> {
        &self.session
    }
}

impl core::fmt::Debug for Fid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fid({})", self.number)
    }
}

impl Drop for Fid {
    fn drop(&mut self) {
        if self.known.get() == Some(false) {
            self.session.state.borrow_mut().free_fids.push(self.number);
        } else {
            self.session.forget(self.number);
        }
    }
}
