//! The size of the library OS with the Linux layer, as it lies in every image.

use super::compile;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::output;
use crate::report::Report;
use std::path::Path;

const NOTHING: &str = r#"void _start(void) { __asm__("mov $60, %eax; xor %edi, %edi; syscall"); }
"#;

/// The image's segments but for the last, which holds manifest and root, in units of 1,024 bytes.
pub fn measure(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let program = compile(&kernlet, "nothing", NOTHING, &["-static", "-nostdlib", "-s"])?;
    let image = kernlet.build_program(&program, &["--libs-only"])?;
    let said = output("kernlet inspect", kernlet.command().args(["inspect", "--json"]).arg(&image))?;
    let sizes = |said: &str| -> Option<Vec<u64>> {
        let about: serde_json::Value = serde_json::from_str(said).ok()?;
        about["segments"].as_array()?.iter().map(|segment| segment["file_size"].as_u64()).collect()
    };
    let sizes = sizes(&said).ok_or_else(|| BenchError::failed("kernlet inspect", said))?;
    let own: u64 = sizes.iter().rev().skip(1).sum();
    report.value(goals::LINUX_SIZE, own as f64 / 1024.0);
    Ok(())
}
