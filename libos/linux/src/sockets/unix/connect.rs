//! connect(2) of UNIX sockets.

use super::end::{Connected, End, Role, join};
use super::{Unix, names};
use crate::Errno;
use crate::sockets::address::Name;
use crate::sockets::socket::DATAGRAM;
use crate::thread::Thread;
use crate::wait::{Deadline, Events};
use alloc::rc::Rc;

/// Connects to whoever is bound to a name.
///
/// # Errors
/// ECONNREFUSED, ENOENT, EPROTOTYPE, EISCONN; EAGAIN when the queue is full until `limit`.
pub async fn connect(thread: &Thread, unix: &Unix, name: &Name, limit: Deadline) -> Result<(), Errno> {
    let end = &unix.end;
    let there = names::find(thread, name).await?;
    if there.kind != end.kind {
        return Err(Errno::EPROTOTYPE);
    }
    if end.kind == DATAGRAM {
        *end.role.borrow_mut() = Role::Connected(Connected {
            peer: Rc::downgrade(&there),
            name: there.name.borrow().clone(),
            identity: there.identity,
        });
        return Ok(());
    }
    match &*end.role.borrow() {
        Role::Fresh => {}
        Role::Connected(_) => return Err(Errno::EISCONN),
        Role::Listening { .. } => return Err(Errno::EINVAL),
    }
    let mut done = queue(end, &there);
    if done.is_none() && limit != Deadline::Now {
        let mut attempt = || {
            done = queue(end, &there);
            done.is_some()
        };
        limit.ready(thread, &there.room, &mut attempt).await?;
    }
    done.unwrap_or(Err(Errno::EAGAIN))
}

/// Joins the queue of those that wait to be accepted; `None` when it is full.
fn queue(end: &Rc<End>, there: &Rc<End>) -> Option<Result<(), Errno>> {
    match &mut *there.role.borrow_mut() {
        Role::Listening { pending, most } => {
            if there.shut.get()[0] {
                return Some(Err(Errno::ECONNREFUSED));
            }
            if pending.len() > *most {
                return None;
            }
            let accepted = End::new(end.kind, there.identity);
            *accepted.name.borrow_mut() = there.name.borrow().clone();
            join(end, &accepted);
            pending.push_back(accepted);
        }
        _ => return Some(Err(Errno::ECONNREFUSED)),
    }
    there.watchers.notify(Events::IN);
    Some(Ok(()))
}
