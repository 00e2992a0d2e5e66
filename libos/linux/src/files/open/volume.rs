//! Opening in a volume, where only the host knows what is there.

use super::How;
use crate::Errno;
use crate::files::about::About;
use crate::files::description::{Description, Kind};
use crate::files::directory::Listing;
use crate::files::flags::{
    ACCESS, APPEND, CREATE, DIRECTORY, EXCLUSIVE, NO_FOLLOW, PATH, TRUNCATE, UNNAMED, WRITE_ONLY,
};
use crate::files::notify::{self, Mask};
use crate::files::tree::node::{S_IFDIR, S_IFLNK, S_IFSOCK};
use crate::files::tree::{Node, Place};
use crate::files::volume::Opened;
use crate::files::{pipe, special};
use crate::thread::Thread;
use alloc::boxed::Box;
use alloc::rc::Rc;
use kernlet_fs::OpenOptions;

/// Opens something in a volume, which may or may not be there.
pub async fn open(
    thread: &Rc<Thread>,
    top: Rc<Node>,
    path: &[u8],
    place: Place,
    how: How,
) -> Result<Rc<Description>, Errno> {
    let volume = top.system.volume().ok_or(Errno::EIO)?;
    if how.has(UNNAMED) {
        return Err(Errno::EOPNOTSUPP);
    }
    let look = how.has(PATH) || how.has(DIRECTORY) || how.has(NO_FOLLOW) || place.slash;
    let about = if look && !how.has(CREATE | EXCLUSIVE) {
        match About::at(&thread.process, place.existing()?, place.follow).await {
            Err(Errno::ENOENT) if how.creates() => None,
            other => Some(other?),
        }
    } else {
        None
    };
    if let Some(about) = about {
        if (how.has(DIRECTORY) || place.slash) && about.sort() != S_IFDIR {
            return Err(Errno::ENOTDIR);
        }
        if how.has(PATH) {
            return Ok(Description::with(Kind::Path, how.kept(), Some(place)));
        }
        match about.sort() {
            S_IFLNK => return Err(Errno::ELOOP),
            S_IFDIR if how.writes() || how.creates() => return Err(Errno::EISDIR),
            S_IFDIR => {
                let listing = Listing::new(place.existing()?.clone());
                return Ok(Description::with(Kind::Directory(listing), how.kept(), Some(place)));
            }
            _ => {}
        }
    }
    if path.is_empty() && !volume.is_file() && (how.writes() || how.creates()) {
        return Err(if how.has(CREATE | EXCLUSIVE) { Errno::EEXIST } else { Errno::EISDIR });
    }
    let exclusive = how.has(CREATE | EXCLUSIVE);
    let mut options = OpenOptions::new();
    options
        .read(how.flags & ACCESS != WRITE_ONLY)
        .write(how.writes())
        .append(how.writes() && how.has(APPEND))
        .truncate(how.has(TRUNCATE))
        .create(how.creates() && !exclusive)
        .create_new(exclusive)
        .mode(how.mode & !thread.process.files.umask.get());
    // Who watches wants to know what becomes of it, which nobody else would ask.
    let before = match notify::volumes::is_watched(&top, path) && (how.creates() || how.has(TRUNCATE)) {
        true => Some(volume.names().stat(path, place.follow).await.map(|about| about.size)),
        false => None,
    };
    let file = match volume.open(path, &options).await {
        // As for what the host does not open; some of that is opened here.
        Err(Errno::EACCES) => return pipe_of(thread, &top, path, place, how).await,
        other => other?,
    };
    if file.is_directory() {
        if how.creates() {
            return Err(Errno::EISDIR);
        }
        let listing = Listing::new(place.existing()?.clone());
        return Ok(Description::with(Kind::Directory(listing), how.kept(), Some(place)));
    }
    let file = Opened::new(top.clone(), path, file);
    match before {
        Some(Err(Errno::ENOENT)) => notify::volumes::named(&top, path, Mask::CREATE, false),
        Some(Ok(1..)) if how.has(TRUNCATE) => notify::at(&place, Mask::MODIFY),
        _ => {}
    }
    notify::at(&place, Mask::OPEN);
    Ok(Description::with(Kind::Volume(Rc::new(file)), how.kept(), Some(place)))
}

/// Opens a pipe of a volume.
async fn pipe_of(
    thread: &Rc<Thread>,
    top: &Rc<Node>,
    path: &[u8],
    place: Place,
    how: How,
) -> Result<Rc<Description>, Errno> {
    let node = special::find(thread, top, path, place.follow).await?;
    if node.sort() == S_IFSOCK {
        return Err(Errno::ENXIO);
    }
    let kind = Kind::Pipe(Box::pin(pipe::open(thread, &node, how.flags)).await?);
    notify::at(&place, Mask::OPEN);
    Ok(Description::with(kind, how.kept(), Some(place)))
}
