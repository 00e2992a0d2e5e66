//! Files and descriptors.
//!
//! A path leads to a node of the [`tree`] or into a volume; what is opened is a [`Description`], and descriptors refer to
//! descriptions. What a call does stands in the file of its subject; here is only which that is.

mod about;
mod attributes;
pub mod cached;
mod console;
mod copy;
mod description;
mod descriptor;
pub mod device;
mod directory;
pub mod flags;
pub mod lock;
mod mapped;
mod names;
pub mod notify;
mod open;
mod path;
pub mod pipe;
pub mod proc;
mod queue;
mod readiness_signal;
mod regular;
pub mod ring;
pub mod seal;
mod space;
mod special;
mod table;
mod terminal;
pub mod trace;
mod transfer;
pub mod tree;
mod volume;
mod xattr;

pub use copy::{fetch, send, store};
pub use description::{Description, Kind};
pub use open::{anonymous, executable};
pub use special::{bind, socket};
pub use table::{Files, Table};
pub use volume::Opened;

use crate::Errno;
use crate::call::{Call, Outcome, WAITS, Waiting, boxed, number, unknown};
use crate::process::Process;
use crate::thread::Thread;
use crate::user::Buffers;
use alloc::rc::Rc;
use attributes::Format;
use core::future::ready;
use directory::Record;
use flags::{AT_NO_FOLLOW, AT_REMOVE_DIRECTORY, CWD};
use kernlet_platform::{boot, sealed};
use kernlet_wire::manifest::Manifest;
use xattr::What;

/// Begins in the directory that the instance was told, else the image's, and takes what is typed on its terminal.
pub fn begin(process: &Rc<Process>) {
    if let Some(terminal) = process.files.console().terminal() {
        terminal.listen(process);
    }
    let manifest = || Manifest::parse(sealed::segment()).ok().map(|manifest| manifest.workdir);
    let Some(text) = boot::blob().workdir().or_else(manifest) else { return };
    let top = path::start(process);
    match path::walk(process, top, text.as_bytes(), true).and_then(|place| place.existing().cloned()) {
        Ok(location) => *process.files.working_directory.borrow_mut() = Some(location),
        Err(error) => crate::report!("the working directory {text} cannot be entered: {error}"),
    }
}

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::READ | number::WRITE => Err(WAITS),
        number::LSEEK => transfer::seek_at_once(thread, call.int(0), call.arguments[1] as i64, call.word(2)),
        number::CLOSE => descriptor::close(thread, call.int(0)),
        number::DUP => descriptor::duplicate(thread, call.int(0), 0, false),
        number::DUP2 => descriptor::duplicate_to(thread, call.int(0), call.int(1), 0, false),
        number::DUP3 => descriptor::duplicate_to(thread, call.int(0), call.int(1), call.word(2), true),
        number::CLOSE_RANGE => descriptor::close_range(thread, call.word(0), call.word(1), call.word(2)),
        number::PIPE => pipe::make(thread, call.size(0), 0),
        number::PIPE2 => pipe::make(thread, call.size(0), call.word(1)),
        number::UMASK => names::umask(thread, call.word(0)),
        number::GETCWD => directory::working(thread, call.size(0), call.size(1)),
        number::FADVISE64 => space::advise(thread, call.int(0), call.arguments[2] as i64, call.word(3)),
        number::READAHEAD => space::read_ahead(thread, call.int(0)),
        number::INOTIFY_INIT => notify::make(thread, 0),
        number::INOTIFY_INIT1 => notify::make(thread, call.word(0)),
        number::INOTIFY_RM_WATCH => notify::unwatch(thread, call.int(0), call.int(1)),
        number::MQ_OPEN => queue::open(thread, call),
        number::MQ_UNLINK => queue::unlink(thread, call.size(0)),
        number::MQ_NOTIFY => queue::notify(thread, call),
        number::MQ_GETSETATTR => queue::attributes(thread, call),
        _ => of_attributes(thread, call),
    }
}

/// Handles those that may wait. Those that move bytes are handled right here; the others' futures, which are larger,
/// are allocated when they are made, so that a thread does not carry them.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let one = || Buffers::one(call.size(1), call.size(2));
    let vector = || Buffers::vector(call.size(1), call.size(2));
    match call.number {
        number::READ => transfer::read(thread, call.int(0), &mut one()).await,
        number::WRITE => transfer::write(thread, call.int(0), &mut one()).await,
        number::READV => transfer::read(thread, call.int(0), &mut vector()?).await,
        number::WRITEV => transfer::write(thread, call.int(0), &mut vector()?).await,
        number::PREAD64 => transfer::read_at(thread, call.int(0), call.arguments[3], &mut one()).await,
        number::PWRITE64 => transfer::write_at(thread, call.int(0), call.arguments[3], &mut one()).await,
        number::PREADV => transfer::read_at(thread, call.int(0), call.arguments[3], &mut vector()?).await,
        number::PWRITEV => transfer::write_at(thread, call.int(0), call.arguments[3], &mut vector()?).await,
        _ => other(thread, call).await,
    }
}

/// Those whose futures are allocated.
fn other(thread: &Rc<Thread>, call: Call) -> Waiting<'_> {
    let (int, size, word) = (|i| call.int(i), |i| call.size(i), |i| call.word(i));
    match call.number {
        number::OPEN => boxed(open::openat(thread, CWD, size(0), word(1), word(2))),
        number::OPENAT => boxed(open::openat(thread, int(0), size(1), word(2), word(3))),
        number::OPENAT2 => boxed(open::openat2(thread, int(0), size(1), size(2), size(3))),
        number::CREAT => boxed(open::creat(thread, size(0), word(1))),
        number::LSEEK => boxed(transfer::seek(thread, int(0), call.arguments[1] as i64, word(2))),
        number::FCNTL => boxed(descriptor::control(thread, int(0), int(1), call.arguments[2])),
        number::IOCTL => boxed(descriptor::device_control(thread, int(0), word(1), size(2))),
        number::PREADV2 => boxed(transfer::extended(thread, call)),
        number::PWRITEV2 => boxed(transfer::extended(thread, call)),
        number::STAT => boxed(about::stat(thread, CWD, size(0), size(1), 0)),
        number::LSTAT => boxed(about::stat(thread, CWD, size(0), size(1), AT_NO_FOLLOW)),
        number::NEWFSTATAT => boxed(about::stat(thread, int(0), size(1), size(2), word(3))),
        number::FSTAT => boxed(about::fstat(thread, int(0), size(1))),
        number::STATX => boxed(about::statx(thread, int(0), size(1), word(2), word(3), size(4))),
        number::STATFS => boxed(about::statfs(thread, size(0), size(1))),
        number::FSTATFS => boxed(about::fstatfs(thread, int(0), size(1))),
        number::ACCESS => boxed(attributes::access(thread, CWD, size(0), word(1), 0)),
        number::FACCESSAT => boxed(attributes::access(thread, int(0), size(1), word(2), 0)),
        number::FACCESSAT2 => boxed(attributes::access(thread, int(0), size(1), word(2), word(3))),
        number::READLINK => boxed(path::read_link(thread, CWD, size(0), size(1), size(2))),
        number::READLINKAT => boxed(path::read_link(thread, int(0), size(1), size(2), size(3))),
        number::GETDENTS => boxed(directory::entries(thread, int(0), size(1), size(2), Record::Old)),
        number::GETDENTS64 => boxed(directory::entries(thread, int(0), size(1), size(2), Record::Long)),
        number::CHDIR => boxed(directory::change(thread, size(0))),
        number::FCHDIR => boxed(directory::change_to(thread, int(0))),
        number::FSYNC => boxed(space::sync(thread, int(0), false)),
        number::FDATASYNC => boxed(space::sync(thread, int(0), true)),
        number::SYNCFS => boxed(space::sync(thread, int(0), false)),
        number::SYNC => boxed(space::sync_all(thread)),
        number::SYNC_FILE_RANGE => {
            let [_, offset, length, ..] = call.arguments;
            boxed(space::sync_range(thread, int(0), offset as i64, length as i64, word(3)))
        }
        number::TRUNCATE => boxed(space::truncate(thread, size(0), call.arguments[1] as i64)),
        number::FTRUNCATE => boxed(space::truncate_open(thread, int(0), call.arguments[1] as i64)),
        number::FALLOCATE => {
            let [_, _, offset, length, ..] = call.arguments;
            boxed(space::allocate(thread, int(0), word(1), offset as i64, length as i64))
        }
        number::MQ_TIMEDSEND => boxed(queue::send(thread, call)),
        number::MQ_TIMEDRECEIVE => boxed(queue::receive(thread, call)),
        number::INOTIFY_ADD_WATCH => boxed(notify::watch(thread, int(0), size(1), word(2))),
        number::FLOCK => boxed(lock::flock(thread, int(0), word(1))),
        _ => of_names(thread, call),
    }
}

/// Those that are about names and what stands beside contents.
fn of_names(thread: &Rc<Thread>, call: Call) -> Waiting<'_> {
    let (int, size, word) = (|i| call.int(i), |i| call.size(i), |i| call.word(i));
    match call.number {
        number::MKDIR => boxed(names::make_directory(thread, CWD, size(0), word(1))),
        number::MKDIRAT => boxed(names::make_directory(thread, int(0), size(1), word(2))),
        number::RMDIR => boxed(names::remove(thread, CWD, size(0), AT_REMOVE_DIRECTORY)),
        number::UNLINK => boxed(names::remove(thread, CWD, size(0), 0)),
        number::UNLINKAT => boxed(names::remove(thread, int(0), size(1), word(2))),
        number::RENAME => boxed(names::rename(thread, CWD, size(0), CWD, size(1), 0)),
        number::RENAMEAT => boxed(names::rename(thread, int(0), size(1), int(2), size(3), 0)),
        number::RENAMEAT2 => boxed(names::rename(thread, int(0), size(1), int(2), size(3), word(4))),
        number::LINK => boxed(names::link(thread, CWD, size(0), CWD, size(1), 0)),
        number::LINKAT => boxed(names::link(thread, int(0), size(1), int(2), size(3), word(4))),
        number::SYMLINK => boxed(names::make_link(thread, size(0), CWD, size(1))),
        number::SYMLINKAT => boxed(names::make_link(thread, size(0), int(1), size(2))),
        number::MKNOD => boxed(names::make_node(thread, CWD, size(0), word(1), call.arguments[2])),
        number::MKNODAT => boxed(names::make_node(thread, int(0), size(1), word(2), call.arguments[3])),
        number::CHMOD => boxed(attributes::set_mode(thread, CWD, size(0), word(1), 0)),
        number::FCHMOD => boxed(attributes::set_mode_open(thread, int(0), word(1))),
        number::FCHMODAT => boxed(attributes::set_mode(thread, int(0), size(1), word(2), 0)),
        number::FCHMODAT2 => boxed(attributes::set_mode(thread, int(0), size(1), word(2), word(3))),
        number::CHOWN => boxed(attributes::set_owner(thread, CWD, size(0), (word(1), word(2)), 0)),
        number::LCHOWN => {
            boxed(attributes::set_owner(thread, CWD, size(0), (word(1), word(2)), AT_NO_FOLLOW))
        }
        number::FCHOWN => boxed(attributes::set_owner_open(thread, int(0), (word(1), word(2)))),
        number::FCHOWNAT => {
            boxed(attributes::set_owner(thread, int(0), size(1), (word(2), word(3)), word(4)))
        }
        number::UTIME => boxed(attributes::set_times(thread, CWD, size(0), size(1), Format::Seconds, 0)),
        number::UTIMES => {
            boxed(attributes::set_times(thread, CWD, size(0), size(1), Format::Microseconds, 0))
        }
        number::FUTIMESAT => {
            boxed(attributes::set_times(thread, int(0), size(1), size(2), Format::Microseconds, 0))
        }
        number::UTIMENSAT => {
            boxed(attributes::set_times(thread, int(0), size(1), size(2), Format::Nanoseconds, word(3)))
        }
        number::SENDFILE => boxed(copy::send_file(thread, int(0), int(1), size(2), size(3))),
        number::COPY_FILE_RANGE => {
            boxed(copy::copy_range(thread, (int(0), size(1)), (int(2), size(3)), size(4), word(5)))
        }
        number::SPLICE => boxed(copy::splice(thread, (int(0), size(1)), (int(2), size(3)), size(4), word(5))),
        number::TEE => boxed(copy::tee(thread, int(0), int(1), size(2), word(3))),
        number::VMSPLICE => boxed(copy::from_memory(thread, int(0), size(1), size(2), word(3))),
        _ => boxed(ready(unknown(thread, call))),
    }
}

/// xattr(7).
fn of_attributes(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (size, word) = (|i| call.size(i), |i| call.word(i));
    let (path, link, open) = (What::Path(size(0)), What::Link(size(0)), What::Open(call.int(0)));
    match call.number {
        number::GETXATTR => xattr::get(thread, path, size(1), size(2), size(3)),
        number::LGETXATTR => xattr::get(thread, link, size(1), size(2), size(3)),
        number::FGETXATTR => xattr::get(thread, open, size(1), size(2), size(3)),
        number::SETXATTR => xattr::set(thread, path, size(1), size(2), size(3), word(4)),
        number::LSETXATTR => xattr::set(thread, link, size(1), size(2), size(3), word(4)),
        number::FSETXATTR => xattr::set(thread, open, size(1), size(2), size(3), word(4)),
        number::LISTXATTR => xattr::list(thread, path, size(1), size(2)),
        number::LLISTXATTR => xattr::list(thread, link, size(1), size(2)),
        number::FLISTXATTR => xattr::list(thread, open, size(1), size(2)),
        number::REMOVEXATTR => xattr::remove(thread, path, size(1)),
        number::LREMOVEXATTR => xattr::remove(thread, link, size(1)),
        number::FREMOVEXATTR => xattr::remove(thread, open, size(1)),
        // What stands in for paths is of no file system here.
        number::NAME_TO_HANDLE_AT => Err(Errno::EOPNOTSUPP),
        _ => Err(WAITS),
    }
}
