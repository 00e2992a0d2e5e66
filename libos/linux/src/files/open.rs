//! Opening: open(2), openat2(2), creat(2).

mod volume;

use super::description::{Description, Kind};
use super::directory::Listing;
use super::flags::{
    ACCESS, ALL, CLOSE_ON_EXEC, CREATE, CWD, DIRECTORY, EXCLUSIVE, LARGE, NO_CONTROL, NO_FOLLOW, PATH,
    READ_WRITE, TRUNCATE, UNNAMED, WRITE_ONLY,
};
use super::notify::{self, Mask};
use super::path::{self, At};
use super::proc::{self, Text};
use super::regular::Regular;
use super::tree::mounts::new_file;
use super::tree::node::{S_IFDIR, S_IFLNK, S_IFREG};
use super::tree::{self, Access, Location, Node, Place, Resolve, Walk, Who, directory};
use super::{device, pipe};
use crate::call::Outcome;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::boxed::Box;
use alloc::rc::Rc;

/// How to open.
#[derive(Clone, Copy, Debug)]
struct How {
    flags: u32,
    mode: u32,
    resolve: Resolve,
}

impl How {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }

    fn creates(&self) -> bool {
        self.has(CREATE)
    }

    /// What has to be allowed of what is there.
    fn access(&self) -> Access {
        match self.flags & ACCESS {
            0 if self.has(TRUNCATE) => Access::READ.or(Access::WRITE),
            0 => Access::READ,
            WRITE_ONLY => Access::WRITE,
            _ => Access::READ.or(Access::WRITE),
        }
    }

    fn writes(&self) -> bool {
        matches!(self.flags & ACCESS, WRITE_ONLY | READ_WRITE)
    }

    /// What the description remembers.
    fn kept(&self) -> u32 {
        self.flags & !(CREATE | EXCLUSIVE | NO_CONTROL | TRUNCATE | CLOSE_ON_EXEC)
    }
}

/// open(2), openat(2), creat(2). Flags that are not known are no error there.
pub async fn openat(thread: &Rc<Thread>, directory: i32, path: usize, flags: u32, mode: u32) -> Outcome {
    let flags = flags & ALL | LARGE;
    // A place is not made, changed or read: all that says so is left out.
    let flags =
        if flags & PATH != 0 { flags & (PATH | DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC) } else { flags };
    let mode = if flags & (CREATE | UNNAMED) != 0 { mode & 0o7777 } else { 0 };
    open(thread, directory, path, How { flags, mode, resolve: Resolve::default() }).await
}

/// creat(2).
pub async fn creat(thread: &Rc<Thread>, path: usize, mode: u32) -> Outcome {
    openat(thread, CWD, path, WRITE_ONLY | CREATE | TRUNCATE, mode).await
}

/// openat2(2).
pub async fn openat2(thread: &Rc<Thread>, directory: i32, path: usize, how: usize, size: usize) -> Outcome {
    /// The structure's first version, which is all that is known.
    const SIZE: usize = 24;
    if size < SIZE {
        return Err(Errno::EINVAL);
    }
    let [flags, mode, resolve] = user::read_words(how)?;
    // What a later version has behind must say nothing.
    for at in SIZE..size.min(crate::PAGE) {
        if user::read::<1>(how.wrapping_add(at))? != [0] {
            return Err(Errno::E2BIG);
        }
    }
    if size > crate::PAGE {
        return Err(Errno::E2BIG);
    }
    let known = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let makes = known & CREATE != 0 || known & UNNAMED != 0;
    if known & !ALL != 0 || resolve & !Resolve::ALL != 0 || mode & !0o7777 != 0 || (mode != 0 && !makes) {
        return Err(Errno::EINVAL);
    }
    if known & PATH != 0 && known & !(PATH | DIRECTORY | NO_FOLLOW | CLOSE_ON_EXEC | LARGE) != 0 {
        return Err(Errno::EINVAL);
    }
    let how = How { flags: known | LARGE, mode: mode as u32, resolve: Resolve(resolve) };
    if how.resolve.excludes_itself() {
        return Err(Errno::EINVAL);
    }
    open(thread, directory, path, how).await
}

async fn open(thread: &Rc<Thread>, directory: i32, path: usize, how: How) -> Outcome {
    let process = &thread.process;
    if how.has(UNNAMED) && (!how.has(DIRECTORY) || !how.writes() || how.creates()) {
        return Err(Errno::EINVAL);
    }
    if how.has(CREATE | DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    let (start, text) = match path::at(process, directory, path, false)? {
        At::Path(start, text) => (start, text),
        At::Open(_) => return Err(Errno::ENOENT),
    };
    // Where it begins, for those ways of walking that do not lead out of there.
    let start = if text.starts_with(b"/") && how.resolve.0 != 0 {
        path::directory(process, directory)?
    } else {
        start
    };
    let exclusive = how.has(CREATE | EXCLUSIVE);
    let follow = !how.has(NO_FOLLOW) && !exclusive;
    let place = Walk { process, start, follow, resolve: how.resolve }.walk(&text)?;
    let description = opened(thread, place, how).await?;
    let on_exec = how.has(CLOSE_ON_EXEC);
    let number = process.files.table.borrow_mut().insert(description, on_exec, 0)?;
    Ok(number as u64)
}

/// Opens a file that is to be executed, by its path from where the process is.
///
/// # Errors
/// ENOENT and the others of open(2); EACCES for what is no file.
pub async fn executable(thread: &Rc<Thread>, text: &[u8]) -> Result<Rc<Description>, Errno> {
    let (process, resolve) = (&thread.process, Resolve(0));
    let start = path::start(process);
    let place = Walk { process, start, follow: true, resolve }.walk(text)?;
    let description = opened(thread, place, How { flags: LARGE, mode: 0, resolve }).await?;
    match description.kind {
        Kind::Regular(_) | Kind::Volume(_) => Ok(description),
        _ => Err(Errno::EACCES),
    }
}

async fn opened(thread: &Rc<Thread>, mut place: Place, how: How) -> Result<Rc<Description>, Errno> {
    let process = &thread.process;
    let who = Who::of(&process.credentials);
    if how.creates() && place.slash {
        return Err(Errno::EISDIR);
    }
    let exclusive = how.has(CREATE | EXCLUSIVE);
    match place.found.clone() {
        None if how.creates() => {
            let Location::Node(around) = &place.around else { return Err(Errno::EACCES) };
            let node = create(thread, around, &place.name, how.mode, &who)?;
            place.found = Some(Location::Node(node.clone()));
            notify::at(&place, Mask::OPEN);
            Ok(Description::with(Kind::Regular(Regular::open(node)?), how.kept(), Some(place)))
        }
        None => Err(Errno::ENOENT),
        Some(Location::Volume(top, path)) => volume::open(thread, top, &path, place, how).await,
        Some(_) if exclusive => Err(Errno::EEXIST),
        Some(Location::Open(open)) => again(&open, how),
        Some(Location::Node(node)) => {
            let sort = node.sort();
            if (how.has(DIRECTORY) || place.slash) && sort != S_IFDIR {
                return Err(Errno::ENOTDIR);
            }
            if how.has(PATH) {
                return Ok(Description::with(Kind::Path, how.kept(), Some(place)));
            }
            if sort == S_IFLNK {
                return Err(Errno::ELOOP);
            }
            if sort == S_IFDIR && (how.writes() || how.creates()) && !how.has(UNNAMED) {
                return Err(Errno::EISDIR);
            }
            if how.has(UNNAMED) {
                return unnamed(thread, &node, how, &who);
            }
            who.may(&node, how.access())?;
            if node.system.read_only
                && how.access().0 & Access::WRITE.0 != 0
                && matches!(sort, S_IFREG | S_IFDIR)
            {
                return Err(Errno::EROFS);
            }
            if how.has(super::flags::NO_ACCESS_TIME) {
                who.owns(&node)?;
            }
            let kind = of_node(thread, &node, &place, how).await?;
            notify::at(&place, Mask::OPEN);
            Ok(Description::with(kind, how.kept(), Some(place)))
        }
    }
}

/// Opens a node that may be opened so.
async fn of_node(thread: &Rc<Thread>, node: &Rc<Node>, place: &Place, how: How) -> Result<Kind, Errno> {
    Ok(match &node.kind {
        tree::Kind::File(_) => {
            let file = Regular::open(node.clone())?;
            if how.has(TRUNCATE) && file.content()?.borrow().length() > 0 {
                file.content()?.borrow_mut().set_len(0)?;
                file.written();
                notify::at(place, Mask::MODIFY);
            }
            Kind::Regular(file)
        }
        tree::Kind::Directory(_) => Kind::Directory(Listing::new(Location::Node(node.clone()))),
        tree::Kind::Generated(_) if node.sort() == S_IFDIR => {
            Kind::Directory(Listing::new(Location::Node(node.clone())))
        }
        tree::Kind::Generated(generated) => {
            if how.writes() && !proc::is_writable(&thread.process, generated) {
                return Err(Errno::EACCES);
            }
            Kind::Text(Text::open(thread, generated)?)
        }
        tree::Kind::Pipe(_) => Kind::Pipe(Box::pin(pipe::open(thread, node, how.flags)).await?),
        tree::Kind::Device(device) => device::open(thread, *device)?,
        tree::Kind::Socket(_) => return Err(Errno::ENXIO),
        tree::Kind::Link(_) => return Err(Errno::ELOOP),
        tree::Kind::Volume => Kind::Directory(Listing::new(place.existing()?.clone())),
    })
}

/// Makes a file.
///
/// # Errors
/// EACCES, EROFS, ENOSPC.
pub fn create(
    thread: &Thread,
    around: &Rc<Node>,
    name: &[u8],
    mode: u32,
    who: &Who,
) -> Result<Rc<Node>, Errno> {
    super::names::may_change(around, who)?;
    let (owner, mode) = super::names::owner_and_mode(thread, around, who, S_IFREG | mode);
    let node = new_file(&around.system, mode, owner)?;
    directory::insert(around, name, &node)?;
    notify::named(around, Mask::CREATE, name, &node);
    Ok(node)
}

fn unnamed(thread: &Thread, around: &Rc<Node>, how: How, who: &Who) -> Result<Rc<Description>, Errno> {
    super::names::may_change(around, who)?;
    let (owner, mode) = super::names::owner_and_mode(thread, around, who, S_IFREG | how.mode);
    let node = new_file(&around.system, mode, owner)?;
    let found = Some(Location::Node(node.clone()));
    let name = alloc::format!("#{}", node.number).into_bytes();
    let place = Place { found, around: Location::Node(around.clone()), name, slash: false, follow: false };
    Ok(Description::with(Kind::Regular(Regular::open(node)?), how.kept(), Some(place)))
}

/// Opens once more what is open and has no place of its own.
fn again(open: &Rc<Description>, how: How) -> Result<Rc<Description>, Errno> {
    if how.has(PATH) {
        return Ok(Description::new(Kind::Path, how.kept()));
    }
    if how.has(DIRECTORY) {
        return Err(Errno::ENOTDIR);
    }
    let kind = match &open.kind {
        Kind::Console(console) => Kind::Console(console.clone()),
        Kind::Pipe(end) => Kind::Pipe(end.again(how.flags)),
        Kind::Regular(file) => {
            if how.has(TRUNCATE) {
                file.content()?.borrow_mut().set_len(0)?;
                file.written();
            }
            Kind::Regular(Regular::open(file.node().clone())?)
        }
        _ => return Err(Errno::ENXIO),
    };
    Ok(Description::new(kind, how.kept()))
}

/// A file in memory that no name leads to: what memfd_create(2) makes. The name is for /proc/self/fd alone.
///
/// # Errors
/// ENOSPC.
pub fn anonymous(thread: &Thread, name: &[u8], mode: u32, seals: u32) -> Result<Rc<Description>, Errno> {
    let owner = {
        let credentials = thread.process.credentials.borrow();
        (credentials.users[1], credentials.groups[1])
    };
    let files = &thread.process.files.tree;
    let node = files.unnamed(mode, owner)?;
    if let tree::Kind::File(content) = &node.kind {
        content.borrow_mut().seals = seals;
    }
    let place = Place {
        found: Some(Location::Node(node.clone())),
        around: Location::of(files.top().clone()),
        name: [b"memfd:", name].concat(),
        slash: false,
        follow: false,
    };
    Ok(Description::with(Kind::Regular(Regular::open(node)?), READ_WRITE | LARGE, Some(place)))
}
