//! Mode, owner and times: chmod(2), chown(2), utimensat(2), access(2).

use super::about::About;
use super::description::{Description, Kind as DescriptionKind};
use super::flags::{AT_EFFECTIVE, AT_EMPTY_PATH, AT_NO_FOLLOW, CWD};
use super::notify::{self, Mask};
use super::path::{self, At};
use super::seal;
use super::tree::node::{S_IFDIR, S_IFLNK};
use super::tree::{Access, Kind, Location, Node, Place, Times, Who};
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_fs::volume::Change;
use kernlet_platform::clock;

const SECOND: u64 = 1_000_000_000;

/// What a call changes: a location, whether a link at its end was followed, and how it was come to.
struct Object {
    location: Location,
    follow: bool,
    way: Way,
}

enum Way {
    Path(Place),
    Open(Rc<Description>),
}

impl Object {
    /// Changes something of a file of a volume: of an open one whatever its name is by now, which may be another's.
    async fn change(&self, top: &Rc<Node>, path: &[u8], change: Change) -> Result<(), Errno> {
        let open = match &self.way {
            Way::Open(description) => Some(&description.kind),
            Way::Path(_) => None,
        };
        match open {
            Some(DescriptionKind::Volume(opened)) => opened.handle(false).await?.change(change).await?,
            _ => {
                let names = top.system.volume().ok_or(Errno::EIO)?.names();
                names.change(path, self.follow, change).await?;
            }
        }
        self.changed();
        Ok(())
    }

    /// Its attributes were changed: who watches is told.
    fn changed(&self) {
        match &self.way {
            Way::Path(place) => notify::at(place, Mask::ATTRIBUTES),
            Way::Open(description) => notify::opened(description, Mask::ATTRIBUTES),
        }
    }
}

/// What is at descriptor and path.
fn object(thread: &Thread, directory: i32, path: usize, flags: u32) -> Result<Object, Errno> {
    let process = &thread.process;
    match path::at(process, directory, path, flags & AT_EMPTY_PATH != 0)? {
        At::Open(description) => open_object(&description),
        At::Path(start, text) => {
            let place = path::walk(process, start, &text, flags & AT_NO_FOLLOW == 0)?;
            let location = place.existing()?.clone();
            if place.slash
                && let Location::Node(node) = &location
                && !node.is_directory()
            {
                return Err(Errno::ENOTDIR);
            }
            Ok(Object { location, follow: place.follow, way: Way::Path(place) })
        }
    }
}

/// What is open.
fn open_object(description: &Rc<Description>) -> Result<Object, Errno> {
    let place = description.place.as_ref().and_then(|place| place.found.clone());
    let location = place.unwrap_or_else(|| Location::Open(description.clone()));
    Ok(Object { location, follow: true, way: Way::Open(description.clone()) })
}

/// What a descriptor refers to.
fn of_descriptor(thread: &Thread, descriptor: i32) -> Result<Object, Errno> {
    let description = thread.process.files.get(descriptor)?;
    if description.is_path() { Err(Errno::EBADF) } else { open_object(&description) }
}

/// Whether a node can be changed at all.
fn changeable(node: &Node) -> Result<(), Errno> {
    match node.system.read_only {
        true => Err(Errno::EROFS),
        false if node.system.in_memory() => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// chmod(2), fchmodat(2), fchmodat2(2).
pub async fn set_mode(thread: &Rc<Thread>, directory: i32, path: usize, mode: u32, flags: u32) -> Outcome {
    if flags & !(AT_NO_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let object = object(thread, directory, path, flags)?;
    mode_of(thread, &object, mode).await
}

/// fchmod(2).
pub async fn set_mode_open(thread: &Rc<Thread>, descriptor: i32, mode: u32) -> Outcome {
    let object = of_descriptor(thread, descriptor)?;
    mode_of(thread, &object, mode).await
}

async fn mode_of(thread: &Rc<Thread>, object: &Object, mode: u32) -> Outcome {
    match &object.location {
        Location::Node(node) => {
            changeable(node)?;
            let who = Who::of(&thread.process.credentials);
            who.owns(node)?;
            if node.sort() == S_IFLNK {
                return Err(Errno::EOPNOTSUPP);
            }
            let mut mode = mode & 0o7777;
            if !who.is_root() && !who.is_in(node.owner.get().1) {
                mode &= !0o2000;
            }
            seal::may_have_mode(node, mode)?;
            node.mode.set(node.sort() | mode);
            node.changed();
            object.changed();
        }
        Location::Volume(top, path) => {
            if !object.follow && About::at(&thread.process, &object.location, false).await?.sort() == S_IFLNK
            {
                return Err(Errno::EOPNOTSUPP);
            }
            object.change(top, path, Change::Mode(mode & 0o7777)).await?;
        }
        // What has no name has no mode that anybody would look at.
        Location::Open(_) => {}
    }
    Ok(0)
}

/// chown(2), lchown(2), fchownat(2).
pub async fn set_owner(
    thread: &Rc<Thread>,
    directory: i32,
    path: usize,
    owner: (u32, u32),
    flags: u32,
) -> Outcome {
    if flags & !(AT_NO_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let object = object(thread, directory, path, flags)?;
    owner_of(thread, &object, owner).await
}

/// fchown(2).
pub async fn set_owner_open(thread: &Rc<Thread>, descriptor: i32, owner: (u32, u32)) -> Outcome {
    let object = of_descriptor(thread, descriptor)?;
    owner_of(thread, &object, owner).await
}

async fn owner_of(thread: &Rc<Thread>, object: &Object, (user, group): (u32, u32)) -> Outcome {
    /// An identity that says to leave what is there.
    const LEAVE: u32 = u32::MAX;
    match &object.location {
        Location::Node(node) => {
            changeable(node)?;
            let who = Who::of(&thread.process.credentials);
            let (old_user, old_group) = node.owner.get();
            let user = if user == LEAVE { old_user } else { user };
            let group = if group == LEAVE { old_group } else { group };
            if !who.is_root() {
                let own = old_user == who.user && user == old_user;
                if !own || (group != old_group && !who.is_in(group)) {
                    return Err(Errno::EPERM);
                }
            }
            node.owner.set((user, group));
            let mode = node.mode.get();
            if node.sort() != S_IFDIR {
                let set_group = if mode & 0o010 != 0 { 0o2000 } else { 0 };
                node.mode.set(mode & !(0o4000 | set_group));
            }
            node.changed();
            object.changed();
        }
        Location::Volume(top, path) => {
            let about = match &object.way {
                Way::Open(description) => About::open(&thread.process, description).await?,
                Way::Path(_) => About::at(&thread.process, &object.location, object.follow).await?,
            };
            let change = |new: u32, old: u32| if new == old { LEAVE } else { new };
            let (user, group) = (change(user, about.owner.0), change(group, about.owner.1));
            if (user, group) == (LEAVE, LEAVE) {
                return Ok(0);
            }
            // What the host's user may is one thing, what this one may another.
            let who = Who::of(&thread.process.credentials);
            let own = about.owner.0 == who.user && user == LEAVE;
            if !who.is_root() && !(own && (group == LEAVE || who.is_in(group))) {
                return Err(Errno::EPERM);
            }
            object.change(top, path, Change::Owner(user, group)).await?;
        }
        Location::Open(_) => {}
    }
    Ok(0)
}

/// A time that is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Now,
    Leave,
    At(u64),
    /// Found out to be none when the file is there.
    Wrong,
}

impl Time {
    /// From seconds and nanoseconds as utimensat(2) has them.
    fn of(seconds: i64, nanoseconds: i64) -> Self {
        match nanoseconds {
            0x3fff_ffff => Self::Now,
            0x3fff_fffe => Self::Leave,
            0..1_000_000_000 => {
                // What lies before 1970 or beyond 2554 is set to the nearest that can be told.
                let whole = u64::try_from(seconds).unwrap_or(0).saturating_mul(SECOND);
                Self::At(whole.saturating_add(nanoseconds as u64))
            }
            _ => Self::Wrong,
        }
    }

    fn value(self, now: u64) -> Option<u64> {
        match self {
            Self::Now => Some(now),
            Self::Leave | Self::Wrong => None,
            Self::At(time) => Some(time),
        }
    }
}

/// How a call gives times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `struct utimbuf`: seconds (utime(2)).
    Seconds,
    /// Two `struct timeval` (utimes(2)).
    Microseconds,
    /// Two `struct timespec` (utimensat(2)).
    Nanoseconds,
}

fn times(at: usize, format: Format) -> Result<[Time; 2], Errno> {
    if at == 0 {
        return Ok([Time::Now; 2]);
    }
    let words: [u64; 4] = match format {
        Format::Seconds => {
            let [accessed, modified] = user::read_words(at)?;
            [accessed, 0, modified, 0]
        }
        _ => user::read_words(at)?,
    };
    let words = words.map(|word| word as i64);
    let time = |seconds, rest: i64| match format {
        Format::Microseconds if !(0..1_000_000).contains(&rest) => Err(Errno::EINVAL),
        Format::Microseconds => Ok(Time::of(seconds, rest * 1000)),
        _ => Ok(Time::of(seconds, rest)),
    };
    Ok([time(words[0], words[1])?, time(words[2], words[3])?])
}

/// utime(2), utimes(2), futimesat(2), utimensat(2). Without a path the descriptor is meant.
pub async fn set_times(
    thread: &Rc<Thread>,
    directory: i32,
    path: usize,
    at: usize,
    format: Format,
    flags: u32,
) -> Outcome {
    if flags & !(AT_NO_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = times(at, format)?;
    if times == [Time::Leave; 2] {
        return Ok(0);
    }
    let object = match path {
        0 if directory == CWD => return Err(Errno::EFAULT),
        0 => of_descriptor(thread, directory)?,
        _ => object(thread, directory, path, flags)?,
    };
    if times.contains(&Time::Wrong) {
        return Err(Errno::EINVAL);
    }
    let now = clock::wall();
    let [accessed, modified] = times.map(|time| time.value(now));
    match &object.location {
        Location::Node(node) => {
            changeable(node)?;
            let who = Who::of(&thread.process.credentials);
            if who.owns(node).is_err() {
                // Now may be set by whoever may write.
                if times != [Time::Now; 2] {
                    return Err(Errno::EPERM);
                }
                who.may(node, Access::WRITE)?;
            }
            let old = node.times.get();
            let new = Times {
                accessed: accessed.unwrap_or(old.accessed),
                modified: modified.unwrap_or(old.modified),
                ..old
            };
            node.times.set(new);
            node.changed();
            object.changed();
        }
        Location::Volume(top, path) => {
            object.change(top, path, Change::Times(accessed, modified)).await?;
        }
        Location::Open(_) => {}
    }
    Ok(0)
}

/// access(2), faccessat(2), faccessat2(2).
pub async fn access(thread: &Rc<Thread>, directory: i32, path: usize, mode: u32, flags: u32) -> Outcome {
    if mode & !7 != 0 || flags & !(AT_EFFECTIVE | AT_NO_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let who = if flags & AT_EFFECTIVE != 0 {
        Who::of(&process.credentials)
    } else {
        Who::really(&process.credentials)
    };
    let object = object(thread, directory, path, flags)?;
    let about = About::at(process, &object.location, object.follow).await?;
    let how = Access(mode);
    match &object.location {
        Location::Node(node) => {
            let file = matches!(node.kind, Kind::File(_) | Kind::Directory(_) | Kind::Generated(_));
            if mode & Access::WRITE.0 != 0 && node.system.read_only && file {
                return Err(Errno::EROFS);
            }
            who.may(node, how)?;
        }
        Location::Volume(top, _) => {
            if mode & Access::WRITE.0 != 0 && top.system.read_only {
                return Err(Errno::EROFS);
            }
            // The host decides when it is opened; what can be told before is whether anybody may execute it.
            let root = Who::of(&kernlet_platform::cell::RefCell::default());
            root.may_with(about.mode, about.owner, how)?;
        }
        Location::Open(_) => {}
    }
    Ok(0)
}
