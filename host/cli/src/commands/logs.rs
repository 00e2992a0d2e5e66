//! `kernlet logs`.

use crate::report::Failure;
use clap::ArgMatches;
use kernlet_monitor::control::Client;
use kernlet_monitor::log::{Reader, Record, Stream};
use kernlet_monitor::{Directory, Home};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

/// Shows an instance's log.
pub fn execute(matches: &ArgMatches) -> Result<u8, Failure> {
    let name = matches.get_one::<String>("name").map(String::as_str).unwrap_or_default();
    let directory = Home::from_environment()?.find(name)?;
    let since = matches.get_one::<String>("since").map(|text| since(text, SystemTime::now())).transpose()?;
    let tail = matches.get_one::<String>("tail").map(|text| tail(text)).transpose()?.flatten();
    let reader = Reader { since, tail };
    let mut printer = Printer { timestamps: matches.get_flag("timestamps"), line_open: [false; 2] };
    let shown = if matches.get_flag("follow") {
        follow(&directory, reader, &mut printer)
    } else {
        reader.read(directory.as_fd(), &mut |record| printer.show(record)).map(drop)
    };
    match shown {
        // Nobody reads any more: `kernlet logs NAME | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(Failure::bare(format!("the log of {name} cannot be read: {error}"))),
        Ok(()) => Ok(0),
    }
}

/// Shows what is there, then what is added, until the instance has ended.
fn follow(directory: &Directory, reader: Reader, printer: &mut Printer) -> io::Result<()> {
    let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &changes,
        directory.path(),
        WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO,
    )?;
    let monitor = Client::connect(directory)?;
    if let Some(monitor) = &monitor {
        monitor.wait()?;
    }
    let mut show = |record: Record<'_>| printer.show(record);
    let mut follower = reader.read(directory.as_fd(), &mut show)?;
    let Some(monitor) = monitor else { return Ok(()) };
    let mut events = [0; 4096];
    loop {
        let mut polled = [PollFd::new(&changes, PollFlags::IN), PollFd::new(&monitor, PollFlags::IN)];
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = !polled[1].revents().is_empty();
        while rustix::io::read(&changes, &mut events).is_ok_and(|length| length > 0) {}
        follower.more(directory.as_fd(), &mut show)?;
        if ended {
            return Ok(());
        }
    }
}

/// Writes each stream to the one of the same name.
struct Printer {
    timestamps: bool,
    /// The last piece of standard output and error left its line open.
    line_open: [bool; 2],
}

impl Printer {
    fn show(&mut self, record: Record<'_>) -> io::Result<()> {
        let is_output = record.stream == Stream::Output;
        let open = &mut self.line_open[usize::from(!is_output)];
        let mut text = Vec::new();
        if self.timestamps && !*open {
            write!(text, "{} ", humantime::format_rfc3339_micros(record.time))?;
        }
        if record.stream == Stream::Remark {
            text.extend_from_slice(b"kernlet: ");
        }
        text.extend_from_slice(record.text);
        if record.complete {
            text.push(b'\n');
        }
        *open = !record.complete;
        let fd = if is_output { rustix::stdio::stdout() } else { rustix::stdio::stderr() };
        write_all(fd, &text)
    }
}

fn write_all(fd: impl AsFd, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match rustix::io::write(&fd, text) {
            Ok(written) => text = &text[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn since(text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
    let absolute = || {
        let seconds: f64 = text.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    };
    let relative = || now.checked_sub(humantime::parse_duration(text).ok()?);
    let written = || humantime::parse_rfc3339_weak(text).ok();
    absolute().or_else(relative).or_else(written).ok_or_else(|| {
        Failure::new(
            format!("--since {text}: this is no time"),
            "a span such as 10m or 1h30m, a time such as 2026-01-31T12:00:00Z, or seconds since 1970",
        )
    })
}

fn tail(text: &str) -> Result<Option<usize>, Failure> {
    match text {
        "all" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            Failure::new(format!("--tail {text}: this is no number of lines"), "--tail 100, or --tail all")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_ways() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let of = |text| since(text, now).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(of("10m"), 1_000_000 - 600);
        assert_eq!(of("1970-01-02T00:00:00Z"), 86_400);
        assert_eq!(of("77.5"), 77);
        assert!(since("yesterday", now).is_err());
        assert_eq!(tail("5").unwrap(), Some(5));
        assert_eq!(tail("all").unwrap(), None);
        assert!(tail("-1").is_err());
    }
}
