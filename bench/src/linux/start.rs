//! Spawn to first byte.

use super::{PYTHON, compile};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::latency::{Until, alternate};
use crate::report::Report;
use std::ffi::OsString;
use std::path::Path;

const HELLO: &str = r#"#include <stdio.h>
int main(void) { puts("Hello from C!"); return 0; }
"#;
const PRINT: &str = "print('Hello')";

/// Prebuilt images of a static and a dynamic C program and of Python, each against the program itself.
pub fn measure(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let fixed = compile(&kernlet, "hello-static", HELLO, &["-static"])?;
    let dynamic = compile(&kernlet, "hello-dynamic", HELLO, &[])?;
    let python = Path::new(PYTHON);
    let cases: [(&Path, &[&str], usize, goals::Goal); 3] = [
        (&fixed, &[], rounds, goals::LINUX_START_STATIC),
        (&dynamic, &[], rounds, goals::LINUX_START_DYNAMIC),
        (python, &["-c", PRINT], rounds.div_ceil(5), goals::LINUX_START_PYTHON),
    ];
    for (program, arguments, rounds, goal) in cases {
        let image = kernlet.build_program(program, &[])?;
        let native = [program.as_os_str()].into_iter().chain(arguments.iter().map(|a| a.as_ref()));
        let native: Vec<OsString> = native.map(OsString::from).collect();
        let ours = [kernlet.binary.as_os_str(), "run".as_ref(), image.as_os_str()].map(OsString::from);
        let ours = ours.into_iter().chain(arguments.iter().map(OsString::from)).collect();
        let times = alternate(&kernlet.place, Until::Byte, rounds, &[ours, native])?;
        report.ratio(goal, times[0], times[1], |ms| format!("{ms:.3} ms"));
    }
    Ok(())
}
