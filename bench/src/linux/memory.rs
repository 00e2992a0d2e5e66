//! Memory of servers that wait, and the least memory of a VM.

use super::servers::Server;
use super::{PYTHON, compile};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::tool;
use crate::report::Report;
use crate::vm::{least, prints};
use std::path::Path;
use std::time::Duration;

const HELLO: &str = r#"#include <stdio.h>
int main(void) { puts("Hello from C!"); return 0; }
"#;
/// How long a server is left alone before it is looked at.
const IDLE: Duration = Duration::from_millis(500);
const MB: f64 = 1024.0 * 1024.0;

/// Resident memory of redis, nginx and Python's web server while they wait: more in kernlet than natively, in MB.
pub fn resident(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let cases = [
        (Server::redis(&kernlet)?, goals::LINUX_RESIDENT_REDIS),
        (Server::nginx(&kernlet)?, goals::LINUX_RESIDENT_NGINX),
        (Server::python(&kernlet, PYTHON)?, goals::LINUX_RESIDENT_PYTHON),
    ];
    for (server, goal) in cases {
        let mut instances = kernlet.instances()?;
        let ours = server.start_instance(&kernlet, &mut instances)?;
        let native = server.start_native(&kernlet)?;
        std::thread::sleep(IDLE);
        // The instance is the larger of the two processes.
        let inside = ours.processes.iter().filter_map(|&pid| rss(pid)).max().unwrap_or(0);
        let outside = native.processes.iter().filter_map(|&pid| rss(pid)).max().unwrap_or(0);
        eprintln!("{}: {:.2} MB, natively {:.2} MB", server.name, inside as f64 / MB, outside as f64 / MB);
        report.value(goal, (inside as f64 - outside as f64) / MB);
    }
    Ok(())
}

/// Resident bytes of a process.
fn rss(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

/// The least `-m` with which a static hello prints under QEMU's microvm, beyond the image itself.
pub fn vm(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    tool("qemu-system-x86_64", "qemu-system-x86")?;
    let kernlet = Kernlet::find(kernlet)?;
    let program = compile(&kernlet, "hello-static", HELLO, &["-static"])?;
    let image = kernlet.build_program(&program, &[])?;
    let files = image.metadata().map_err(BenchError::io(image.display()))?.len() as f64 / MB;
    let memory = least("a static hello", |memory| prints(&image, memory))?;
    report.value(goals::LINUX_VM_HELLO, memory - files);
    Ok(())
}
