//! The size of the library OS with the Linux layer: the image of a program that has next to nothing.

use super::compile;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::report::Report;
use std::path::Path;

const NOTHING: &str = r#"void _start(void) { __asm__("mov $60, %eax; xor %edi, %edi; syscall"); }
"#;

/// The whole file but for the program's own, in units of 1,024 bytes.
pub fn measure(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let program = compile(&kernlet, "nothing", NOTHING, &["-static", "-nostdlib", "-s"])?;
    let image = kernlet.build_program(&program, &["--libs-only"])?;
    let size = |path: &Path| Ok(path.metadata().map_err(BenchError::io(path.display()))?.len());
    let own = size(&image)?.saturating_sub(size(&program)?);
    report.value(goals::LINUX_SIZE, own as f64 / 1024.0);
    Ok(())
}
