//! The attacks: each is a name, what it tries, and how it is set up where that is possible (outside of the sandbox, where
//! it must succeed). Inside it goes straight for the call in question.

mod descriptors;
mod kernel;
mod listed;
mod paths;
mod processes;
mod sockets;

use crate::call::call;

/// What an attack reached, or the error that it met.
pub type Outcome = Result<usize, i32>;

/// The attack runs as an ordinary program.
pub const OUTSIDE: bool = cfg!(not(kernlet_image));
/// AT_FDCWD.
const AT_CWD: usize = -100isize as usize;
/// A descriptor that is open inside, too.
const SOME: usize = 3;
const ENOSYS: i32 = 38;

/// Runs the attack of that name.
pub fn run(name: &str) -> Option<Outcome> {
    if let Some(number) = name.strip_prefix("number:") {
        return number.parse().ok().map(|number| call(number, [0; 6]));
    }
    paths::run(name)
        .or_else(|| sockets::run(name))
        .or_else(|| processes::run(name))
        .or_else(|| kernel::run(name))
        .or_else(|| descriptors::run(name))
        .or_else(|| listed::run(name))
}

fn text(path: &'static core::ffi::CStr) -> usize {
    path.as_ptr() as usize
}

/// The address of something that the host reads or writes.
fn at<T>(value: &mut T) -> usize {
    core::ptr::from_mut(value) as usize
}

/// Makes a call that sets an attack up, outside; inside stands `SOME` descriptor or number for its result.
fn set_up(number: usize, arguments: [usize; 6]) -> Result<usize, i32> {
    if OUTSIDE { call(number, arguments) } else { Ok(SOME) }
}

/// This process, outside.
fn own() -> Result<usize, i32> {
    set_up(39, [0; 6])
}

/// A file of the attacker's own, outside.
fn file() -> Result<usize, i32> {
    set_up(2, [text(c"victim"), 0o102, 0o600, 0, 0, 0])
}

/// A call that failed for another reason than a missing permission, or than that it does not exist, was let through.
fn let_through(error: i32) -> Outcome {
    if matches!(error, 1 | 13 | ENOSYS) { Err(error) } else { Ok(0) }
}
