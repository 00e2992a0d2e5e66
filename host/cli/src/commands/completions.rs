//! `kernlet completions`.

use crate::arguments;
use crate::report::Failure;
use clap::ArgMatches;
use clap_complete::Shell;

/// Prints the completions of a shell.
pub fn execute(matches: &ArgMatches) -> Result<u8, Failure> {
    let Some(&shell) = matches.get_one::<Shell>("shell") else { return Ok(0) };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(None), "kernlet", &mut script);
    crate::show::print(&String::from_utf8_lossy(&script));
    Ok(0)
}
