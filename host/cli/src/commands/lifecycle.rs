//! `kernlet stop`, `kill`, `rm` and `wait`: each for several instances, as in Docker.

use crate::report::Failure;
use crate::show::print;
use clap::ArgMatches;
use kernlet_monitor::control::Client;
use kernlet_monitor::signals;
use kernlet_monitor::state::KILLED_WITH_MONITOR;
use kernlet_monitor::{Directory, Home};
use std::time::{Duration, Instant};

/// How long a monitor may take to leave after it said that its instance has ended.
const LEAVING: Duration = Duration::from_secs(5);

/// Does `command` with every instance that is named; one that fails does not keep the others from it.
pub fn execute(command: &str, matches: &ArgMatches) -> Result<u8, Failure> {
    let home = Home::from_environment()?;
    let action = match command {
        "stop" => {
            Action::Stop(Duration::from_secs(matches.get_one::<u32>("time").copied().unwrap_or(10).into()))
        }
        "kill" => Action::Kill(signal(matches.get_one::<String>("signal").map_or("KILL", String::as_str))?),
        "rm" => Action::Remove { force: matches.get_flag("force") },
        _ => Action::Wait,
    };
    let names: Vec<&String> = matches.get_many("names").into_iter().flatten().collect();
    // Ask all first, so that several end at the same time.
    let begun: Vec<_> = names
        .iter()
        .map(|name| (name, home.find(name).map_err(Failure::from).and_then(|d| action.begin(d))))
        .collect();
    let mut failed = false;
    for (name, begun) in begun {
        match begun.and_then(|begun| action.finish(begun)) {
            Ok(Some(status)) => print(&format!("{status}\n")),
            Ok(None) => print(&format!("{name}\n")),
            Err(failure) => {
                let _ = failure.report();
                failed = true;
            }
        }
    }
    if failed { Err(Failure::told()) } else { Ok(0) }
}

fn signal(text: &str) -> Result<u8, Failure> {
    signals::number(text).ok_or_else(|| {
        Failure::new(
            format!("--signal {text}: there is no such signal"),
            "a name or number, such as TERM, USR1 or 9",
        )
    })
}

enum Action {
    Stop(Duration),
    Kill(u8),
    Remove { force: bool },
    Wait,
}

/// An instance, and its monitor when it was asked something.
struct Begun {
    directory: Directory,
    monitor: Option<Client>,
}

fn unreachable(name: &str) -> impl Fn(std::io::Error) -> Failure + use<> {
    let name = name.to_string();
    move |error| Failure::bare(format!("the monitor of {name} does not answer: {error}"))
}

impl Action {
    fn begin(&self, directory: Directory) -> Result<Begun, Failure> {
        let unreachable = unreachable(directory.name());
        if let Self::Remove { force: false } = self {
            if directory.watched() {
                let name = directory.name();
                return Err(Failure::new(
                    format!("the instance {name} is running"),
                    format!("stop it first: kernlet stop {name}; or both at once: kernlet rm -f {name}"),
                ));
            }
            return Ok(Begun { directory, monitor: None });
        }
        let monitor = Client::connect(&directory).map_err(&unreachable)?;
        if let Some(monitor) = &monitor {
            match self {
                Self::Stop(grace) => monitor.stop(*grace),
                Self::Remove { .. } => monitor.stop(Duration::ZERO),
                Self::Wait => monitor.wait(),
                Self::Kill(_) => Ok(()),
            }
            .map_err(&unreachable)?;
        }
        Ok(Begun { directory, monitor })
    }

    /// Finishes; the status that is to be printed instead of the name.
    fn finish(&self, begun: Begun) -> Result<Option<u8>, Failure> {
        let Begun { directory, monitor } = begun;
        let unreachable = unreachable(directory.name());
        match self {
            Self::Kill(number) => {
                let reached =
                    monitor.map(|monitor| monitor.signal(*number)).transpose().map_err(unreachable)?;
                if reached != Some(true) {
                    let message = format!("the instance {} is not running", directory.name());
                    return Err(Failure::new(message, "`kernlet ps -a` shows the states of all"));
                }
                Ok(None)
            }
            Self::Wait => match monitor {
                Some(monitor) => {
                    let status = monitor.ended().map_err(unreachable)?.unwrap_or(KILLED_WITH_MONITOR);
                    leave(&directory);
                    Ok(Some(status))
                }
                None => Ok(Some(directory.state()?.exit_code.unwrap_or(KILLED_WITH_MONITOR))),
            },
            Self::Stop(_) | Self::Remove { .. } => {
                if let Some(monitor) = monitor {
                    monitor.ended().map_err(unreachable)?;
                    leave(&directory);
                }
                if let Self::Remove { .. } = self {
                    directory.remove()?;
                }
                Ok(None)
            }
        }
    }
}

/// Waits until the monitor is gone: then its ports are free and its directory can be removed.
fn leave(directory: &Directory) {
    let until = Instant::now() + LEAVING;
    while directory.watched() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}
