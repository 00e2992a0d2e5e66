//! The calls: mq_open(2) and its relatives.

use super::{COOKIE, Notice, Opened, Queue, count};
use crate::call::{Call, Outcome};
use crate::files::description::{Description, Kind};
use crate::files::flags::{ACCESS, CREATE, EXCLUSIVE, NON_BLOCKING, WRITE_ONLY};
use crate::files::tree::{self, Access, Location, Place, Who};
use crate::signal::valid;
use crate::sockets::Speech;
use crate::system::Limit;
use crate::thread::Thread;
use crate::time::{Clock, read_timespec};
use crate::wait::{Deadline, Watchers};
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_time::Duration;

/// The longest name.
const NAME_MOST: usize = 255;
/// Messages and bytes of one where nothing is asked for; also the most that anyone may ask for.
const DEFAULT: [usize; 2] = [10, 8192];
/// The most that root may ask for (HARD_MSGMAX, HARD_MSGSIZEMAX).
const HARD: [usize; 2] = [65_536, 16 << 20];
/// What fstat(2) tells of a queue's length (FILENT_SIZE).
const LENGTH: u64 = 80;
/// Priorities are lower (MQ_PRIO_MAX).
const PRIORITIES: u32 = 32_768;

/// The name of a queue: glibc has taken the slash off that it begins with.
fn name(at: usize) -> Result<Vec<u8>, Errno> {
    let name = user::string(at, NAME_MOST + 1)?;
    match &name[..] {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EACCES),
        name if name.contains(&b'/') => Err(Errno::EACCES),
        _ => Ok(name),
    }
}

/// mq_open(2).
pub fn open(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (flags, mode, process) = (call.word(1), call.word(2), &thread.process);
    let wanted = match call.size(3) {
        0 => None,
        at => Some(user::read_words::<4>(at)?),
    };
    let name = name(call.size(0))?;
    let queues = &process.files.tree.queues;
    let who = Who::of(&process.credentials);
    let known = queues.names.borrow().get(&name).cloned();
    let queue = match known {
        None if flags & CREATE == 0 => return Err(Errno::ENOENT),
        None => {
            let [most, longest] = match wanted {
                None => DEFAULT,
                Some([_, most, longest, _]) => {
                    let [most, longest] = [most, longest].map(|n| usize::try_from(n as i64).unwrap_or(0));
                    let limits = if who.is_root() { HARD } else { DEFAULT };
                    if most == 0 || longest == 0 || most > limits[0] || longest > limits[1] {
                        return Err(Errno::EINVAL);
                    }
                    [most, longest]
                }
            };
            let mode = mode & 0o7777 & !process.files.umask.get();
            let node = process.files.tree.unnamed(mode, (who.user, who.group))?;
            if let tree::Kind::File(content) = &node.kind {
                content.borrow_mut().set_len(LENGTH)?;
            }
            count(queues, most, longest, process.limits.get(Limit::Queues))?;
            let queue = Rc::new(Queue {
                node,
                most,
                longest,
                messages: RefCell::default(),
                receivers: Cell::new(0),
                notice: RefCell::default(),
                watchers: Watchers::new(),
                bytes: queues.bytes.clone(),
            });
            queues.names.borrow_mut().insert(name.clone(), queue.clone());
            queue
        }
        Some(_) if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE => return Err(Errno::EEXIST),
        Some(queue) => {
            let access = match flags & ACCESS {
                0 => Access::READ,
                WRITE_ONLY => Access::WRITE,
                ACCESS => return Err(Errno::EINVAL),
                _ => Access::READ.or(Access::WRITE),
            };
            who.may(&queue.node, access)?;
            queue
        }
    };
    let found = Some(Location::Node(queue.node.clone()));
    let around = Location::of(process.files.tree.top().clone());
    let place = Place { found, around, name, slash: false, follow: false };
    let kind = Kind::Queue(Opened(queue));
    let file = Description::with(kind, flags & (ACCESS | NON_BLOCKING), Some(place));
    process.files.table.borrow_mut().insert(file, true, 0).map(|n| n as u64)
}

/// mq_unlink(2).
pub fn unlink(thread: &Rc<Thread>, at: usize) -> Outcome {
    let name = name(at)?;
    let mut names = thread.process.files.tree.queues.names.borrow_mut();
    let queue = names.get(&name).ok_or(Errno::ENOENT)?;
    // The directory that they are thought to be in is everybody's, and sticky.
    Who::of(&thread.process.credentials).owns(&queue.node)?;
    names.remove(&name);
    Ok(0)
}

/// The queue that a description is of.
fn queue(file: &Description) -> Result<&Rc<Queue>, Errno> {
    match &file.kind {
        Kind::Queue(opened) => Ok(&opened.0),
        _ => Err(Errno::EBADF),
    }
}

/// Until when a call waits: a time of day.
fn deadline(at: usize) -> Result<Deadline, Errno> {
    if at == 0 {
        return Ok(Deadline::Never);
    }
    let left = read_timespec(at)?.saturating_sub(Clock::Wall.now());
    Ok(Deadline::after(Duration::from_nanos(left)))
}

/// mq_timedsend(2).
pub async fn send(thread: &Rc<Thread>, call: Call) -> Outcome {
    let deadline = deadline(call.size(4))?;
    let (length, priority) = (call.size(2), call.word(3));
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL);
    }
    let file = thread.process.files.get(call.int(0))?;
    let queue = queue(&file)?;
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    if length > queue.longest {
        return Err(Errno::EMSGSIZE);
    }
    let message = user::bytes(call.size(1), length)?;
    deadline.until_ready(thread, &queue.watchers, file.non_blocking(), &|| queue.has_room()).await?;
    let user = thread.process.credentials.borrow().users[0];
    queue.put(priority, message.into_boxed_slice(), thread.process.id, user);
    Ok(0)
}

/// One more thread waits for a message, as long as this lives.
struct Waits<'q>(&'q Cell<usize>);

impl<'q> Waits<'q> {
    fn new(count: &'q Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// mq_timedreceive(2).
pub async fn receive(thread: &Rc<Thread>, call: Call) -> Outcome {
    let deadline = deadline(call.size(4))?;
    let file = thread.process.files.get(call.int(0))?;
    let queue = queue(&file)?;
    if !file.readable() {
        return Err(Errno::EBADF);
    }
    if call.size(2) < queue.longest {
        return Err(Errno::EMSGSIZE);
    }
    let waits = Waits::new(&queue.receivers);
    deadline.until_ready(thread, &queue.watchers, file.non_blocking(), &|| !queue.is_empty()).await?;
    drop(waits);
    let (priority, message) = queue.take().ok_or(Errno::EAGAIN)?;
    user::write(call.size(1), &message)?;
    if call.size(3) != 0 {
        user::write(call.size(3), &priority.to_le_bytes())?;
    }
    Ok(message.len() as u64)
}

/// mq_notify(2).
pub fn notify(thread: &Rc<Thread>, call: Call) -> Outcome {
    const SIGNAL: u32 = 0;
    const NONE: u32 = 1;
    const THREAD: u32 = 2;
    let process = &thread.process;
    let notice = match call.size(1) {
        0 => None,
        at => {
            let [value, kind] = user::read_words(at)?;
            let number = kind as i32;
            Some(match (kind >> 32) as u32 {
                NONE => Notice::None,
                SIGNAL if number == 0 => Notice::None,
                SIGNAL => Notice::Signal(Rc::downgrade(process), valid(number).ok_or(Errno::EINVAL)?, value),
                THREAD => {
                    let cookie = user::read::<COOKIE>(value as usize)?;
                    let socket = match &process.files.get(number)?.kind {
                        Kind::Socket(socket) => socket.clone(),
                        _ => return Err(Errno::ENOTSOCK),
                    };
                    if !matches!(socket.speech, Speech::Netlink(_)) {
                        return Err(Errno::EINVAL);
                    }
                    Notice::Thread(socket, cookie)
                }
                _ => return Err(Errno::EINVAL),
            })
        }
    };
    let file = process.files.get(call.int(0))?;
    let queue = queue(&file)?;
    match notice {
        None => queue.forget(),
        Some(_) if queue.notice.borrow().is_some() => return Err(Errno::EBUSY),
        Some(notice) => *queue.notice.borrow_mut() = Some(notice),
    }
    Ok(0)
}

/// mq_getattr(3), mq_setattr(3).
pub fn attributes(thread: &Rc<Thread>, call: Call) -> Outcome {
    let new = match call.size(1) {
        0 => None,
        at => Some(user::read_words::<8>(at)?[0]),
    };
    if new.is_some_and(|flags| flags & !u64::from(NON_BLOCKING) != 0) {
        return Err(Errno::EINVAL);
    }
    let file = thread.process.files.get(call.int(0))?;
    let queue = queue(&file)?;
    let flags = file.flags.get();
    let messages = queue.messages.borrow().len();
    let old = [u64::from(flags & NON_BLOCKING), queue.most as u64, queue.longest as u64, messages as u64];
    if let Some(new) = new {
        file.flags.set(flags & !NON_BLOCKING | new as u32);
    }
    if call.size(2) != 0 {
        user::write_words(call.size(2), &[old[0], old[1], old[2], old[3], 0, 0, 0, 0])?;
    }
    Ok(0)
}
