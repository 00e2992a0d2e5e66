//! Unmodified Linux programs, against the same programs run by Linux itself.

mod calls;
mod loops;
mod memory;
mod servers;
mod size;
mod start;

pub use calls::measure as calls;
pub use loops::measure as loops;
pub use memory::{resident, vm};
pub use servers::{Options, measure as servers};
pub use size::measure as size;
pub use start::measure as start;

use crate::error::BenchError;
use crate::kernlet::Kernlet;
use crate::place::{output, tool};
use std::path::PathBuf;
use std::process::Command;

/// Debian's own, whatever else PATH has.
const PYTHON: &str = "/usr/bin/python3";

/// Compiles a C program.
fn compile(kernlet: &Kernlet, name: &str, source: &str, options: &[&str]) -> Result<PathBuf, BenchError> {
    let compiler = tool("cc", "gcc libc6-dev")?;
    let source = kernlet.place.write(&format!("{name}.c"), source)?;
    let program = kernlet.place.path(name);
    output("cc", Command::new(compiler).arg("-O2").args(options).arg("-o").arg(&program).arg(&source))?;
    kernlet.place.give(&program)?;
    Ok(program)
}
