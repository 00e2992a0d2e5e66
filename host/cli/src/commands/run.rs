//! `kernlet run`.

use crate::arguments::Common;
use crate::report::{FAILED, Failure, say};
use crate::{show, what};
use clap::ArgMatches;
use kernlet_monitor::options::{self, Backend, Net, OptionError, Restart, Size};
use kernlet_monitor::{Home, Options, Ready, terminal};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

/// What `kernlet run` is to do.
#[derive(Debug)]
pub struct Request {
    what: OsString,
    options: Options,
}

/// `kernlet run [OPTION...] WHAT [ARG...]` with none but the most used options, each a word of its own and well-formed:
/// building a parser takes a sixth of a start. Everything else is the parser's, errors above all.
pub fn plain(arguments: &[OsString]) -> Option<Request> {
    let ([_, command], mut words) = arguments.split_first_chunk::<2>()?;
    if command != "run" {
        return None;
    }
    let mut options = Options::new(PathBuf::new());
    let mut memory = None;
    let what = loop {
        let (word, rest) = words.split_first()?;
        words = rest;
        let mut value = || {
            let (value, rest) = words.split_first()?;
            words = rest;
            value.to_str().filter(|value| !value.starts_with('-'))
        };
        match word.as_bytes() {
            b"-p" | b"--publish" => options.publish.push(value()?.parse().ok()?),
            b"-v" | b"--volume" => options.volumes.push(value()?.parse().ok()?),
            b"-m" | b"--memory" => once(&mut memory, value()?.parse::<Size>().ok()?)?,
            b"--name" => once(&mut options.name, value()?.to_string())?,
            b"-d" | b"--detach" if !options.detach => options.detach = true,
            b"--rm" if !options.remove => options.remove = true,
            word if word.starts_with(b"-") => return None,
            _ => break word,
        }
    };
    options.memory = memory.map_or(options::DEFAULT_MEMORY, |size| size.0);
    options.args = program_arguments(words.iter());
    options.interactive = !options.detach;
    options.terminal = !options.detach && terminal::attended();
    Some(Request { what: what.clone(), options })
}

/// Sets what may be given once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Everything after WHAT is the program's; one leading `--` is dropped.
fn program_arguments<'a>(args: impl Iterator<Item = &'a OsString> + Clone) -> Vec<Vec<u8>> {
    let skip = usize::from(args.clone().next().is_some_and(|first| first == "--"));
    args.skip(skip).map(|argument| argument.as_bytes().to_vec()).collect()
}

fn parse<T: FromStr<Err = OptionError>>(matches: &ArgMatches, name: &str) -> Result<Option<T>, OptionError> {
    matches.get_one::<String>(name).map(|text| text.parse()).transpose()
}

fn parse_all<T: FromStr<Err = OptionError>>(matches: &ArgMatches, name: &str) -> Result<Vec<T>, OptionError> {
    matches.get_many::<String>(name).into_iter().flatten().map(|text| text.parse()).collect()
}

fn checked<T>(
    matches: &ArgMatches,
    name: &str,
    check: impl FnOnce(&str) -> Result<T, OptionError>,
) -> Result<Option<T>, OptionError> {
    matches.get_one::<String>(name).map(|text| check(text)).transpose()
}

fn lookup(name: &[u8]) -> Option<Vec<u8>> {
    std::env::var_os(OsStr::from_bytes(name)).map(OsString::into_vec)
}

/// The variables that `-e` and `--env-file` set; those of `-e` come last and win.
pub fn environment(matches: &ArgMatches) -> Result<Vec<Vec<u8>>, Failure> {
    let mut all = Vec::new();
    let files = matches.try_get_many::<PathBuf>("env-file").ok().flatten();
    for path in files.into_iter().flatten() {
        let contents = std::fs::read(path).map_err(|error| {
            Failure::new(
                format!("--env-file {} cannot be read: {error}", path.display()),
                "name a file with a NAME=VALUE a line",
            )
        })?;
        all.extend(options::environment_file(&contents, lookup)?);
    }
    for entry in matches.get_many::<OsString>("env").into_iter().flatten() {
        all.extend(options::environment(entry.as_bytes(), lookup)?);
    }
    Ok(all)
}

impl Request {
    /// From the parsed command line.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, Failure> {
        let values: Vec<&OsString> = matches.get_many("what").into_iter().flatten().collect();
        let mut values = values.into_iter();
        let what = values.next().cloned().unwrap_or_default();
        let mut options = Options::new(PathBuf::new());
        options.args = program_arguments(values);
        options.name = matches.get_one::<String>("name").cloned();
        options.backend = parse::<Backend>(matches, "backend")?.unwrap_or_default();
        options.env = environment(matches)?;
        options.workdir = checked(matches, "workdir", options::workdir)?;
        options.identity = checked(matches, "user", options::identity)?;
        options.strict = matches.get_flag("strict");
        options.hostname = checked(matches, "hostname", options::hostname)?;
        options.memory = parse::<Size>(matches, "memory")?.map_or(options::DEFAULT_MEMORY, |size| size.0);
        checked(matches, "cpus", options::cpus)?;
        options.publish = parse_all(matches, "publish")?;
        options.net = parse::<Net>(matches, "net")?.unwrap_or_default();
        options.connect = parse_all(matches, "allow-connect")?;
        options.volumes = parse_all(matches, "volume")?;
        options.restart = parse::<Restart>(matches, "restart")?.unwrap_or_default();
        options.remove = matches.get_flag("rm");
        if options.remove && options.restart != Restart::No {
            return Err(Failure::new(
                format!("--rm and --restart {} contradict each other", options.restart),
                "leave out one of the two",
            ));
        }
        options.detach = matches.get_flag("detach");
        let (interactive, tty) = (matches.get_flag("interactive"), matches.get_flag("tty"));
        let attended = !options.detach && terminal::attended();
        options.interactive = interactive || !options.detach;
        options.terminal = tty || attended && !interactive;
        Ok(Self { what, options })
    }
}

/// Runs, and gives the program's status.
pub fn execute(mut request: Request, common: &Common) -> Result<u8, Failure> {
    let home = Home::from_environment()?;
    let found = what::open(&request.what, &home, common)?;
    request.options.image = found.path;
    if !request.options.detach {
        return Ok(kernlet_monitor::run(&home, found.image, request.options, None)?);
    }
    let failed =
        |error: std::io::Error| Failure::bare(format!("cannot start a monitor in the background: {error}"));
    let (mut answer, ready) = std::io::pipe().map_err(failed)?;
    match kernlet_monitor::fork(found.image.file().as_fd(), ready.as_fd()).map_err(failed)? {
        Some(monitor) => {
            drop(ready);
            let mut name = String::new();
            answer.read_to_string(&mut name).map_err(failed)?;
            if name.is_empty() {
                // It has said why on the standard error that it shares.
                let ended = rustix::process::waitpid(Some(monitor), WaitOptions::empty());
                let status = ended.ok().flatten().and_then(|(_, status)| status.exit_status());
                let status = status.and_then(|code| u8::try_from(code).ok());
                return Err(Failure::told().with_status(status.unwrap_or(FAILED)));
            }
            show::print(&name);
            Ok(0)
        }
        None => {
            // The pipe's other end went with all that was open.
            std::mem::forget(answer);
            let mut parent = Parent::leave(ready.into()).map_err(|error| {
                Failure::bare(format!("cannot go into the background: {}", std::io::Error::from(error)))
            })?;
            Ok(kernlet_monitor::run(&home, found.image, request.options, Some(&mut parent))?)
        }
    }
}

/// The process that waits for a detached instance to be entered.
struct Parent(Option<OwnedFd>);

impl Parent {
    /// Leaves its session, and its input and output.
    fn leave(ready: OwnedFd) -> Result<Self, Errno> {
        let null = null()?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::process::setsid()?;
        Ok(Self(Some(ready)))
    }
}

impl Ready for Parent {
    fn entered(&mut self, name: &str) {
        match null().and_then(|null| rustix::stdio::dup2_stderr(&null)) {
            Ok(()) => {}
            Err(_) => say("warning: /dev/null cannot be opened\n"),
        }
        // The parent waits for the end of this pipe.
        if let Some(parent) = self.0.take() {
            let _ = rustix::io::write(&parent, format!("{name}\n").as_bytes());
        }
        let _ = std::env::set_current_dir("/");
    }
}

fn null() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;

    fn line(text: &[&str]) -> Vec<OsString> {
        ["kernlet", "run"].iter().chain(text).map(OsString::from).collect()
    }

    fn parsed(text: &[&str]) -> Result<Request, Failure> {
        let line = line(text);
        let matches = arguments::command(line.get(1)).try_get_matches_from(&line).map_err(Failure::usage)?;
        Request::from_matches(matches.subcommand().unwrap().1)
    }

    #[test]
    fn the_short_way_and_the_parser_agree() {
        for text in [
            &["x.img"][..],
            &["x.img", "a", "-b", "--rm", "--", "c"],
            &["x.img", "--", "-c", "--"],
            &["x.img", "--", "--"],
            &["x.img", "-p", "1:2"],
            &["x.img", ""],
            &["-d", "x.img"],
            &["-p", "1:2", "-p", "[::1]:53:53/udp", "-v", "/a:/b:ro", "--volume", ".:/c", "x.img", "-d"],
            &["--rm", "-m", "64M", "--name", "one", "x.img", "--", "-p"],
            &["--detach", "--publish", "80:80", "--memory", "1G", "-v", "x:/y", "x.img"],
        ] {
            let (short, long) = (plain(&line(text)).unwrap(), parsed(text).unwrap());
            assert_eq!(short.what, long.what, "{text:?}");
            assert_eq!(format!("{:?}", short.options), format!("{:?}", long.options), "{text:?}");
        }
        for text in [
            &[][..],
            &["-d"],
            &["-p", "1:2"],
            &["-p", "-d", "x.img"],
            &["-p", "none", "x.img"],
            &["-v", "none", "x.img"],
            &["-m", "1", "x.img"],
            &["-m", "64M", "-m", "64M", "x.img"],
            &["--name", "a", "--name", "b", "x.img"],
            &["--rm", "--rm", "x.img"],
            &["-d", "-d", "x.img"],
            &["-p1:2", "x.img"],
            &["--publish=1:2", "x.img"],
            &["-q", "x.img"],
            &["--", "x.img"],
        ] {
            assert!(plain(&line(text)).is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_follows_what_is_the_programs() {
        let request = parsed(&["--rm", "-p", "8080:80", "x.img", "-p", "--name", "x"]).unwrap();
        assert!(request.options.remove && request.options.name.is_none());
        assert_eq!(request.options.args, [b"-p".to_vec(), b"--name".to_vec(), b"x".to_vec()]);
    }

    #[test]
    fn malformed_options_are_failures_of_kernlet() {
        for bad in [
            &["-p", "x", "i"][..],
            &["-m", "1M", "i"],
            &["--cpus", "2", "i"],
            &["--backend", "xen", "i"],
            &["--net", "bridge", "i"],
            &["-v", "a", "i"],
            &["--restart", "often", "i"],
            &["--rm", "--restart", "always", "i"],
            &["--env-file", "/no/such/file", "i"],
            &["--no-such-option", "i"],
            &[],
        ] {
            let failure = parsed(bad).unwrap_err();
            assert!(format!("{failure:?}").contains("status: 125"), "{bad:?}");
        }
    }
}
