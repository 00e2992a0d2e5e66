//! How long a start takes, measured in a process of its own that runs as the ordinary user: nothing but the
//! program lies between the spawn and what is waited for.

use crate::dns::zone::{Mix, Query, queries};
use crate::dns::{first, free_port, zone_folder};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::peer;
use crate::place::{Place, Running, output, tool};
use crate::report::{Report, median, milliseconds};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HELLO: &str = r#"#include <stdio.h>
int main(void) { puts("Hello from C!"); return 0; }
"#;
/// The large root, in MiB.
const LARGE_ROOT: u64 = 300;
/// Between one command and the next, among the loop's arguments.
const NEXT: &str = ";";

/// What ends the measured interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// The first byte on stdout.
    Byte,
    /// The first right DNS answer.
    Answer,
    /// The name of a detached instance on stdout; `%n` is the round's number, `%p` the first port and that.
    Name,
}

/// The measuring loop, as the process that runs it gets it.
#[derive(Clone, Debug, clap::Args)]
pub struct Loop {
    until: Until,
    rounds: usize,
    /// The first of the ports, one for each round.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Commands, each after `;` and, for answers, a port.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    commands: Vec<OsString>,
}

/// Spawn to first byte: hello by kernlet, and a static glibc program.
pub fn start(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/hello")?;
    let compiler = tool("cc", "gcc libc6-dev")?;
    let source = kernlet.place.write("hello.c", HELLO)?;
    let hello = kernlet.place.path("hello");
    output("cc", Command::new(compiler).args(["-O2", "-static", "-o"]).arg(&hello).arg(&source))?;
    let ours = [kernlet.binary.as_os_str(), "run".as_ref(), image.as_os_str()].map(OsString::from);
    let times = alternate(&kernlet.place, Until::Byte, rounds, &[ours.to_vec(), vec![hello.into()]])?;
    report.ratio(goals::START, times[0], times[1], |ms| format!("{ms:.3} ms"));
    Ok(())
}

/// Spawn to first byte of hello with a root of 300 MB, and with none.
pub fn start_large(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let root = kernlet.place.create_dir("root")?;
    // Not sparse, and no two pieces alike.
    let mut piece = vec![0; 1 << 20];
    let path = root.join("large");
    let mut file = std::fs::File::create(&path).map_err(BenchError::io(path.display()))?;
    for number in 0..LARGE_ROOT {
        piece.chunks_exact_mut(8).enumerate().for_each(|(at, word)| {
            word.copy_from_slice(
                &((number << 20 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes(),
            );
        });
        file.write_all(&piece).map_err(BenchError::io(path.display()))?;
    }
    let images = [kernlet.build("apps/hello")?, kernlet.build_with_root("apps/hello", &root)?];
    let [small, large] = images.map(|image| {
        [kernlet.binary.as_os_str(), "run".as_ref(), image.as_os_str()].map(OsString::from).to_vec()
    });
    let times = alternate(&kernlet.place, Until::Byte, rounds, &[large, small])?;
    report.ratio(goals::START_LARGE, times[0], times[1], |ms| format!("{ms:.3} ms"));
    Ok(())
}

/// The median time until each of `count` detached instances has told its name: `command` with the rounds' numbers.
pub fn names(place: &Place, count: usize, port: u16, command: &[String]) -> Result<f64, BenchError> {
    let this = std::env::current_exe().map_err(BenchError::io("this program"))?;
    let mut measuring = place.command(place.copy(&this, "bench")?);
    measuring
        .args(["latency-loop", "--port", &port.to_string(), "name", &count.to_string(), NEXT])
        .args(command);
    let text = output("measuring", &mut measuring)?;
    Ok(median(text.lines().filter_map(|line| line.parse().ok()).collect()))
}

/// Spawn to first answer, with the zone of 1,000 names: kernlet, NSD and Knot.
pub fn first_answer(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?;
    let zones = zone_folder(&kernlet.place)?;
    let ports = [free_port()?, free_port()?, free_port()?];
    let peers = [peer::nsd(&kernlet.place, &zones, ports[1])?, peer::knot(&kernlet.place, &zones, ports[2])?];
    let (publish, volume) = (format!("{}:53/udp", ports[0]), format!("{zones}:/zones"));
    let binary = kernlet.binary.display().to_string();
    let image = image.display().to_string();
    let ours =
        [&ports[0].to_string(), &binary, "run", "-p", &publish, "-v", &volume, &image].map(OsString::from);
    let mut commands = vec![ours.to_vec()];
    for (peer, port) in peers.iter().zip(&ports[1..]) {
        let words = [&[port.to_string()], peer.arguments()].concat();
        commands.push(words.into_iter().map(OsString::from).collect());
    }
    let times = alternate(&kernlet.place, Until::Answer, rounds, &commands)?;
    report.ratio(goals::FIRST_ANSWER, times[0], times[1], |ms| format!("{ms:.2} ms"));
    report.ratio(goals::FIRST_ANSWER_KNOT, times[0], times[2], |ms| format!("{ms:.2} ms"));
    Ok(())
}

/// The median of each command, in milliseconds.
pub fn alternate(
    place: &Place,
    until: Until,
    rounds: usize,
    commands: &[Vec<OsString>],
) -> Result<Vec<f64>, BenchError> {
    let this = std::env::current_exe().map_err(BenchError::io("this program"))?;
    let mut command = place.command(place.copy(&this, "bench")?);
    command.arg("latency-loop").arg(if until == Until::Byte { "byte" } else { "answer" });
    command.arg(rounds.max(1).to_string());
    for arguments in commands {
        command.arg(NEXT).args(arguments);
    }
    let text = output("measuring", &mut command)?;
    let mut times = vec![vec![]; commands.len()];
    for line in text.lines() {
        for (times, time) in times.iter_mut().zip(line.split(' ')) {
            times.push(time.parse().map_err(|_| BenchError::failed("measuring", line))?);
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// Runs the loop: one line for each round, one number of milliseconds for each command.
pub fn run(options: &Loop) -> Result<(), BenchError> {
    let queries = queries(Mix::default());
    let mut stdout = std::io::stdout().lock();
    let commands: Vec<&[OsString]> = options.commands.split(|word| word == NEXT).skip(1).collect();
    // The first round warms caches, and tells what does not work. Instances that stay are made once each.
    let warm = usize::from(options.until != Until::Name);
    for round in 0..options.rounds + warm {
        let mut line = vec![];
        for arguments in &commands {
            let time = match options.until {
                Until::Byte => first_byte(arguments)?,
                Until::Answer => answered(arguments, &queries)?,
                Until::Name => first_byte(&numbered(arguments, round, options.port))?,
            };
            line.push(format!("{:.6}", milliseconds(time)));
        }
        if round >= warm {
            writeln!(stdout, "{}", line.join(" ")).map_err(BenchError::io("stdout"))?;
        }
    }
    Ok(())
}

/// The arguments of one round.
fn numbered(arguments: &[OsString], round: usize, port: u16) -> Vec<OsString> {
    let (number, port) = (round.to_string(), (usize::from(port) + round).to_string());
    let replaced =
        |word: &OsString| word.to_string_lossy().replace("%n", &number).replace("%p", &port).into();
    arguments.iter().map(replaced).collect()
}

fn first_byte(arguments: &[OsString]) -> Result<Duration, BenchError> {
    let name = arguments[0].to_string_lossy();
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(BenchError::io(&name))?;
    let mut text = vec![0];
    let mut stdout = child.stdout.take();
    let first = stdout.as_mut().map_or(Ok(()), |stdout| stdout.read_exact(&mut text));
    let time = start.elapsed();
    let rest = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut text));
    let status = child.wait().map_err(BenchError::io(&name))?;
    if first.and(rest).is_err()
        || !status.success()
        || !text.starts_with(b"Hello") && !text.starts_with(b"bench")
    {
        return Err(BenchError::failed(
            name,
            format!("{status}, wrote {:?}", String::from_utf8_lossy(&text)),
        ));
    }
    Ok(time)
}

fn answered(arguments: &[OsString], queries: &[Query]) -> Result<Duration, BenchError> {
    let name = arguments[1].to_string_lossy();
    let port = arguments[0].to_str().and_then(|port| port.parse::<u16>().ok()).unwrap_or(0);
    // The processes of the server before may outlive its first one a little.
    if !first::becomes_free(port) {
        return Err(BenchError::failed(name, format!("port {port} is still in use")));
    }
    let mut command = Command::new(&arguments[1]);
    command.args(&arguments[2..]).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let server = Running(command.spawn().map_err(BenchError::io(&name))?);
    let time =
        first::answer((Ipv4Addr::LOCALHOST, port).into(), queries, start).map_err(BenchError::io(&name))?;
    drop(server);
    time.ok_or_else(|| BenchError::Silent(name.into_owned()))
}
