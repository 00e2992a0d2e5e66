//! From the library OS's entry to the program's first instruction.

use crate::Errno;
use crate::files;
use crate::load;
use crate::memory::Space;
use crate::process::Process;
use crate::system::Credentials;
use crate::thread::{self, Thread};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Arguments, Write};
use kernlet_platform::console::{self, Stream};
use kernlet_platform::control::{Message, send};
use kernlet_platform::program::{self, Context};
use kernlet_platform::{boot, power, sealed};
use kernlet_time::Duration;
use kernlet_wire::manifest::Manifest;

/// The exit status of a program that cannot be executed, and of one that is not there (as a shell has them).
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

struct Line(Vec<u8>);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A name that is filled up with 0.
fn named(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&b| b == 0).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Writes a line to standard error; see [`crate::report!`].
pub fn report(text: Arguments<'_>) {
    let mut line = Line(Vec::new());
    let _ = writeln!(line, "kernlet: {text}");
    console::write(Stream::Err, &line.0);
}

/// Runs the image's program. Does not return: the instance ends with the program.
pub fn run() -> ! {
    if let Err(lack) = program::prepare() {
        report(format_args!("{lack}"));
        power::exit(NOT_EXECUTABLE);
    }
    kernlet_exec::block_on(async {
        if let Err((path, error)) = start().await {
            report(format_args!("{} cannot be executed: {error}", String::from_utf8_lossy(&path)));
            power::exit(if error == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE });
        }
        core::future::pending::<()>().await;
    });
    power::exit(0)
}

async fn start() -> Result<(), (Vec<u8>, Errno)> {
    let manifest = Manifest::parse(sealed::segment()).ok();
    let blob = boot::blob();
    let mut arguments: Vec<Vec<u8>> = blob.arguments().map(<[u8]>::to_vec).collect();
    let mut environment: Vec<Vec<u8>> = blob.environment().map(<[u8]>::to_vec).collect();
    if let Some(manifest) = manifest.as_ref().filter(|_| arguments.is_empty()) {
        // Started without a monitor of ours.
        arguments = manifest.lead().chain(manifest.args()).map(<[u8]>::to_vec).collect();
        environment = manifest.env().map(<[u8]>::to_vec).collect();
    }
    if let Some((level, file)) = manifest.as_ref().and_then(Manifest::cpu)
        && let Some(feature) = program::lacks(level)
    {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (file, model, feature) = (text(file), text(named(&program::model())), text(named(&feature)));
        report(format_args!(
            "{file} needs a CPU with x86-64-v{level}, and this one ({model}) has no {feature}"
        ));
        power::exit(NOT_EXECUTABLE);
    }
    let path = manifest.and_then(|m| m.program).unwrap_or_default().to_vec();
    let program = load::Program { path: path.clone(), arguments, environment };
    let failed = |error| (path.clone(), error);
    let places = load::Places::random();
    let mut context = Box::new(Context::new());
    let (user, group) = blob.identity();
    let credentials = Credentials::of(user, group);
    let process = Process::new(Space::new(places.top), credentials, blob.strict());
    if let Some(trace) = files::trace::Trace::begin().await {
        let _ = process.files.tree.trace.set(trace);
    }
    files::begin(&process);
    let thread = Thread::new(&process);
    load::load(&thread, &program, &places, &mut context).await.map_err(failed)?;
    process.tell_identity();
    crate::signal::listen(&process);
    let mut name = [0; 16];
    let last = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let length = last.len().min(15);
    name[..length].copy_from_slice(&last[..length]);
    thread.name.set(name);
    kernlet_exec::spawn("rest", rest());
    send(Message::Entered);
    thread::spawn(thread, context);
    Ok(())
}

/// What was read of the image's files while the program started stays mapped here, though the host has it as well. So it is let
/// go of, a second long often, then at growing distances; after some minutes nothing wakes a program that waits.
async fn rest() {
    const FIRST: Duration = Duration::from_millis(250);
    for round in 0..13u32 {
        kernlet_exec::sleep(FIRST * (1 << round.saturating_sub(3))).await;
        sealed::rest();
    }
}
