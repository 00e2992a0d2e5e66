//! epoll_create(2), epoll_ctl(2).

use super::{EDGE, EXCLUSIVE, Epoll, HOW, Identity, Item, WAKE_UP};
use crate::call::{Call, Outcome};
use crate::files::{Description, Kind};
use crate::thread::Thread;
use crate::wait::watchers::{Events, Watch};
use crate::wait::{ready, registered};
use crate::{Errno, user};
use alloc::rc::{Rc, Weak};

const ADD: i32 = 1;
const DELETE: i32 = 2;
const MODIFY: i32 = 3;
/// EPOLL_CLOEXEC, which is O_CLOEXEC.
const CLOSE_ON_EXEC: u32 = 0o2000000;
/// With EPOLLEXCLUSIVE nothing else is allowed but these.
const WITH_EXCLUSIVE: u32 =
    Events::IN.0 | Events::OUT.0 | Events::ERROR.0 | Events::HANG_UP.0 | WAKE_UP | EDGE | EXCLUSIVE;
/// Instances that may stand in one another (EP_MAX_NESTS).
const NESTED_MOST: usize = 4;

/// epoll_create(2) with a size, which says nothing but must be positive; epoll_create1(2) with flags.
pub fn create(thread: &Thread, size: Option<i32>, flags: u32) -> Outcome {
    if size.is_some_and(|size| size <= 0) || flags & !CLOSE_ON_EXEC != 0 {
        return Err(Errno::EINVAL);
    }
    registered(thread, Kind::Epoll(Epoll::new()), 2, flags & CLOSE_ON_EXEC != 0)
}

/// epoll_ctl(2).
pub fn control(thread: &Thread, call: Call) -> Outcome {
    let (operation, descriptor) = (call.int(1), call.int(2));
    let (mut events, mut data) = (0, 0);
    if operation != DELETE {
        let [a, b, c, d, rest @ ..] = user::read::<12>(call.size(3))?;
        (events, data) = (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(rest));
    }
    let files = &thread.process.files;
    let set = files.get(call.int(0))?;
    let file = files.get(descriptor)?;
    if file.watchers().is_none() {
        return Err(Errno::EPERM);
    }
    let Kind::Epoll(epoll) = &set.kind else { return Err(Errno::EINVAL) };
    if Rc::ptr_eq(&set, &file) {
        return Err(Errno::EINVAL);
    }
    if operation != DELETE && events & EXCLUSIVE != 0 {
        let nested = matches!(file.kind, Kind::Epoll(_));
        if operation == MODIFY || nested || events & !WITH_EXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
    }
    // Errors and hang-ups are told of in any case, which also tells an item of no events from one that has had its shot.
    let events = events | Events::ALWAYS.0;
    match operation {
        ADD => epoll.add(descriptor, &file, events, data),
        DELETE => epoll.remove(descriptor, &file),
        MODIFY => epoll.modify(descriptor, &file, events, data),
        _ => Err(Errno::EINVAL),
    }?;
    Ok(0)
}

fn identity(descriptor: i32, file: &Rc<Description>) -> Identity {
    (descriptor, Rc::as_ptr(file) as usize)
}

impl Epoll {
    /// EPOLL_CTL_ADD.
    ///
    /// # Errors
    /// EEXIST; ELOOP when instances would stand in a circle or too deep.
    pub(super) fn add(
        &self,
        descriptor: i32,
        file: &Rc<Description>,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let identity = identity(descriptor, file);
        if self.items.borrow().find(identity).is_some() {
            return Err(Errno::EEXIST);
        }
        if let Kind::Epoll(inner) = &file.kind {
            self.check_nesting(inner)?;
        }
        self.forget_closed(descriptor);
        let Some(watchers) = file.watchers() else { return Err(Errno::EPERM) };
        let key = self.items.borrow_mut().next();
        let watch: Weak<dyn Watch> = self.itself.clone();
        let place = watchers.tell(watch, key, events & EXCLUSIVE != 0);
        let item = Item { identity, file: Rc::downgrade(file), events, data, place, queued: false, next: 0 };
        self.items.borrow_mut().insert(key, item);
        self.look_at(key, file, events);
        Ok(())
    }

    /// EPOLL_CTL_MOD.
    ///
    /// # Errors
    /// ENOENT; EINVAL for an exclusive one.
    pub(super) fn modify(
        &self,
        descriptor: i32,
        file: &Rc<Description>,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let key = self.key(descriptor, file)?;
        {
            let mut items = self.items.borrow_mut();
            let item = items.get(key).ok_or(Errno::ENOENT)?;
            if item.events & EXCLUSIVE != 0 {
                return Err(Errno::EINVAL);
            }
            (item.events, item.data) = (events, data);
        }
        self.look_at(key, file, events);
        Ok(())
    }

    /// EPOLL_CTL_DEL.
    ///
    /// # Errors
    /// ENOENT.
    pub(super) fn remove(&self, descriptor: i32, file: &Rc<Description>) -> Result<(), Errno> {
        let key = self.key(descriptor, file)?;
        let item = self.items.borrow_mut().remove(key);
        if let (Some(item), Some(watchers)) = (item, file.watchers()) {
            watchers.remove(item.place);
        }
        Ok(())
    }

    fn key(&self, descriptor: i32, file: &Rc<Description>) -> Result<u64, Errno> {
        self.items.borrow().find(identity(descriptor, file)).ok_or(Errno::ENOENT)
    }

    /// Queues an item that is ready already.
    fn look_at(&self, key: u64, file: &Rc<Description>, events: u32) {
        if ready::ask(file, events & !HOW) != 0 && self.items.borrow_mut().enqueue(key) {
            self.watchers.notify(Events::IN);
        }
    }

    /// Items of a descriptor that has been closed without its description's telling so, which must be a shared one.
    fn forget_closed(&self, descriptor: i32) {
        let closed = {
            let items = self.items.borrow();
            items.under(descriptor).find(|(_, item)| item.file.strong_count() == 0).map(|(key, _)| key)
        };
        if let Some(key) = closed {
            self.items.borrow_mut().remove(key);
        }
    }

    /// Whether `inner` may stand in this instance.
    fn check_nesting(&self, inner: &Epoll) -> Result<(), Errno> {
        match inner.depth(self, 1) {
            Some(depth) if depth <= NESTED_MOST => Ok(()),
            _ => Err(Errno::ELOOP),
        }
    }

    /// How many instances stand in one another from here on, `above` more than those below; `None` when `outer` is among them
    /// or there are too many.
    fn depth(&self, outer: &Epoll, above: usize) -> Option<usize> {
        if core::ptr::eq(self, outer) || above > NESTED_MOST {
            return None;
        }
        let files: alloc::vec::Vec<_> = {
            let items = self.items.borrow();
            items.slots.iter().filter_map(|(_, item)| item.as_ref()?.file.upgrade()).collect()
        };
        files.iter().try_fold(above, |deepest, file| match &file.kind {
            Kind::Epoll(inner) => inner.depth(outer, above + 1).map(|depth| depth.max(deepest)),
            _ => Some(deepest),
        })
    }
}
