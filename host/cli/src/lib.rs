//! The kernlet command: what its users type, turned into calls of `kernlet-image` and `kernlet-monitor`.
//!
//! 1. `arguments` is the command line as CLI.md fixes it. On the way to a `kernlet run IMAGE` with at most the usual
//!    options nothing of it is built: that way is measured in microseconds.
//! 2. `commands` has a file for each command.
//! 3. `report` shows every error in one style: what is wrong, then the mend. Results go to stdout, all else to
//!    stderr.
//! 4. It begins at C's main ([`begin`]). The standard library's own beginning reads /proc/self/maps to know where the
//!    stack ends, and sets up a second stack for the message that it overflowed: a tenth of the time that a start may take.
#![deny(unsafe_code)]

mod arguments;
mod commands;
mod progress;
mod report;
mod show;
mod what;

use arguments::Common;
use report::Failure;
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;

/// musl's own allocator maps each of its groups from the host, which a start asks for a dozen times.
#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The command with the arguments of C's main; its status.
///
/// # Safety
/// `arguments` holds the addresses of `count` strings, which stay as they are.
#[expect(unsafe_code, reason = "the arguments are C's")]
pub unsafe fn begin(count: c_int, arguments: *const *const c_char) -> c_int {
    kernlet_monitor::signals::block_broken_pipes();
    open_standard_descriptors();
    // The standard library knows them only from a C library that hands them to constructors, which not every one does.
    let given = |at: usize| {
        // SAFETY: it is one of them.
        let argument = unsafe { CStr::from_ptr(*arguments.add(at)) };
        OsStr::from_bytes(argument.to_bytes()).to_os_string()
    };
    let arguments: Vec<OsString> = (0..usize::try_from(count).unwrap_or(0)).map(given).collect();
    let result = match commands::run::plain(&arguments) {
        Some(request) => commands::run::execute(request, &Common::default()),
        None => dispatch(&arguments),
    };
    // Leaving this way writes what the standard output still holds back.
    std::process::exit(i32::from(result.unwrap_or_else(Failure::report)))
}

/// C's main, in the archive that `build.rs` makes.
///
/// # Safety
/// As C's start calls it.
#[cfg(kernlet_archive)]
#[expect(unsafe_code, reason = "the name is C's, and so are the arguments")]
#[unsafe(export_name = "main")]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: passed on.
    unsafe { begin(count, arguments) }
}

/// Opens what is closed of the standard descriptors: else the next file would be taken for one of them.
fn open_standard_descriptors() {
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for descriptor in standard {
        if rustix::io::fcntl_getfd(descriptor).is_err()
            && let Ok(null) = File::options().read(true).write(true).open("/dev/null")
        {
            // Its number is the lowest that was free.
            let _ = null.into_raw_fd();
        }
    }
}

fn dispatch(arguments: &[OsString]) -> Result<u8, Failure> {
    let mut command = arguments::command(arguments.get(1));
    let matches = command.try_get_matches_from_mut(arguments).map_err(Failure::usage)?;
    let common = Common::of(&matches);
    let Some((name, matches)) = matches.subcommand() else { return Ok(0) };
    match name {
        "build" => commands::build::execute(matches, &common),
        "run" => commands::run::execute(commands::run::Request::from_matches(matches)?, &common),
        "ps" => commands::ps::execute(matches, &common),
        "logs" => commands::logs::execute(matches),
        "stop" | "kill" | "rm" | "wait" => commands::lifecycle::execute(name, matches),
        "inspect" => commands::inspect::execute(matches),
        "new" => commands::new::execute(matches, &common),
        _ => commands::completions::execute(matches),
    }
}
