//! Memory of servers that wait, and the least memory of a VM.

use super::servers::Server;
use super::{PYTHON, compile};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::tool;
use crate::report::Report;
use crate::vm::{least, prints};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const HELLO: &str = r#"#include <stdio.h>
int main(void) { puts("Hello from C!"); return 0; }
"#;
/// How long a server is left alone before it is looked at.
const IDLE: Duration = Duration::from_millis(500);
/// How long a server in a VM may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The port that it serves inside.
const INSIDE: u16 = 7000;
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

/// The least `-m` with which a static hello prints under QEMU's microvm, beyond the image itself, and with which redis and nginx
/// answer, beyond what they have of their files in memory.
pub fn vm(kernlet: Option<&Path>, report: &mut Report) -> Result<(), BenchError> {
    tool("qemu-system-x86_64", "qemu-system-x86")?;
    let kernlet = Kernlet::find(kernlet)?;
    let program = compile(&kernlet, "hello-static", HELLO, &["-static"])?;
    let image = kernlet.build_program(&program, &[])?;
    let files = image.metadata().map_err(BenchError::io(image.display()))?.len() as f64 / MB;
    let memory = least("a static hello", |memory| prints(&image, memory))?;
    report.value(goals::LINUX_VM_HELLO, memory - files);
    for (server, asked, answer, goal) in [
        (Server::redis(&kernlet)?, "PING\r\n", "+PONG\r\n", goals::LINUX_VM_REDIS),
        (
            Server::nginx(&kernlet)?,
            "GET /file.html HTTP/1.0\r\n\r\n",
            "0123456789abcde\n",
            goals::LINUX_VM_NGINX,
        ),
    ] {
        // What a program has of its files in memory, it has natively as well.
        let native = server.start_native(&kernlet)?;
        std::thread::sleep(IDLE);
        let files = native.processes.iter().filter_map(|&pid| rss_of_files(pid)).max().unwrap_or(0);
        let (image, arguments) = server.image(&kernlet, INSIDE)?;
        let memory = least(server.name, |memory| {
            let port = crate::dns::free_port()?;
            let options = ["-b", "qemu", "-m", &format!("{memory}M"), "-p", &format!("{port}:{INSIDE}")];
            let mut words: Vec<String> = options.map(Into::into).to_vec();
            words.push(image.display().to_string());
            words.extend(arguments.iter().cloned());
            let mut instances = kernlet.instances()?;
            // One that ends at once is no instance.
            let started = instances.start(format!("bench-{}-{port}", server.name), &words);
            Ok(started.is_ok() && answers(port, asked, answer))
        })?;
        eprintln!("{}: {memory} MB, of which {:.2} MB are its files", server.name, files as f64 / MB);
        report.value(goal, memory - files as f64 / MB);
    }
    Ok(())
}

/// Whether a server of the host's port gives this answer.
fn answers(port: u16, asked: &str, answer: &str) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(asked.as_bytes())?;
            let (mut said, mut piece) = (Vec::new(), [0; 2048]);
            loop {
                let length = stream.read(&mut piece)?;
                said.extend_from_slice(&piece[..length]);
                if length == 0 || said.ends_with(answer.as_bytes()) {
                    return Ok(length > 0);
                }
            }
        };
        match ask() {
            Ok(true) => return true,
            // Nobody holds the port any more: the instance has ended.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return false,
            Ok(false) | Err(_) => std::thread::sleep(IDLE),
        }
    }
    false
}

/// Resident bytes of a process that are files'.
fn rss_of_files(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssFile:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
