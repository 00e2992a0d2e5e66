//! The kernlet command: what its users type, turned into calls of `kernlet-image` and `kernlet-monitor`.
//!
//! 1. [`arguments`] is the command line as CLI.md fixes it. On the way to a plain `kernlet run IMAGE` nothing of it
//!    is built: that way is measured in microseconds.
//! 2. `commands` has a file for each command.
//! 3. [`report`] shows every error in one style: what is wrong, then the mend. Results go to stdout, all else to
//!    stderr.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod progress;
mod report;
mod show;
mod what;

use arguments::Common;
use report::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let result = match commands::run::plain(&arguments) {
        Some(request) => commands::run::execute(request, &Common::default()),
        None => dispatch(&arguments),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: &[OsString]) -> Result<u8, Failure> {
    let mut command = arguments::command(arguments.get(1));
    let matches = command.try_get_matches_from_mut(arguments).map_err(Failure::usage)?;
    let common = Common::of(&matches);
    let Some((name, matches)) = matches.subcommand() else { return Ok(0) };
    match name {
        "build" => commands::build::execute(matches, &common),
        "run" => commands::run::execute(commands::run::Request::from_matches(arguments, matches)?, &common),
        "ps" => commands::ps::execute(matches, &common),
        "logs" => commands::logs::execute(matches),
        "stop" | "kill" | "rm" | "wait" => commands::lifecycle::execute(name, matches),
        "inspect" => commands::inspect::execute(matches),
        "new" => commands::new::execute(matches, &common),
        _ => commands::completions::execute(matches),
    }
}
