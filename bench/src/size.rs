//! The size of images.

use crate::error::BenchError;
use crate::goals::{self, Goal};
use crate::kernlet::Kernlet;
use crate::report::Report;
use std::path::Path;

const CRATES: [(&str, Goal); 3] =
    [("apps/hello", goals::SIZE_HELLO), ("apps/dns", goals::SIZE_DNS), ("apps/http", goals::SIZE_HTTP)];

/// The whole files: library OS, program, root file system and manifest, in units of 1,024 bytes.
pub fn measure(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    for (folder, goal) in CRATES {
        let image = kernlet.build(folder)?;
        let size = image.metadata().map_err(BenchError::io(image.display()))?.len();
        report.value(goal, size as f64 / 1024.0);
    }
    Ok(())
}
