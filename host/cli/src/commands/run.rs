//! `kernlet run`.

use crate::arguments::Common;
use crate::report::{Failure, say};
use crate::{show, what};
use clap::ArgMatches;
use kernlet_monitor::options::{self, Backend, Net, OptionError, Restart, Size};
use kernlet_monitor::{Home, Options, Ready, terminal};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// The name by which a detached monitor is called; `ps` shows it.
const MONITOR: &str = "kernlet-monitor";

/// What `kernlet run` is to do.
#[derive(Debug)]
pub struct Request {
    what: OsString,
    options: Options,
    /// The command line up to WHAT, for the monitor of a detached instance.
    head: Vec<OsString>,
    /// For people to read instead of the image's path.
    shown_as: Option<PathBuf>,
    /// This process was started to be that monitor.
    is_monitor: bool,
}

/// `kernlet run WHAT [ARG...]` without any option, which needs no parser.
pub fn plain(arguments: &[OsString]) -> Option<Request> {
    let (program, rest) = arguments.split_first()?;
    let ([command, what], args) = rest.split_first_chunk::<2>()?;
    if command != "run" || what.as_bytes().starts_with(b"-") || program == MONITOR {
        return None;
    }
    let mut options = Options::new(PathBuf::new());
    options.args = program_arguments(args.iter());
    options.terminal = terminal::attended();
    Some(Request { what: what.clone(), options, head: Vec::new(), shown_as: None, is_monitor: false })
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
    pub fn from_matches(arguments: &[OsString], matches: &ArgMatches) -> Result<Self, Failure> {
        let values: Vec<&OsString> = matches.get_many("what").into_iter().flatten().collect();
        let given = values.len();
        let mut values = values.into_iter();
        let what = values.next().cloned().unwrap_or_default();
        let mut options = Options::new(PathBuf::new());
        options.args = program_arguments(values);
        options.name = matches.get_one::<String>("name").cloned();
        options.backend = parse::<Backend>(matches, "backend")?.unwrap_or_default();
        options.env = environment(matches)?;
        options.workdir = checked(matches, "workdir", options::workdir)?;
        options.identity = checked(matches, "user", options::identity)?;
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
        let head = arguments.get(1..arguments.len().saturating_sub(given)).unwrap_or_default().to_vec();
        let is_monitor = options.detach && arguments.first().is_some_and(|name| name == MONITOR);
        let shown_as = matches.get_one::<PathBuf>("shown-as").cloned();
        Ok(Self { what, options, head, shown_as, is_monitor })
    }
}

/// Runs, and gives the program's status.
pub fn execute(mut request: Request, common: &Common) -> Result<u8, Failure> {
    let home = Home::from_environment()?;
    let found = what::open(&request.what, &home, common)?;
    let shown = request.shown_as.take().unwrap_or(found.path);
    request.options.image = shown;
    if !request.options.detach {
        return Ok(kernlet_monitor::run(&home, found.image, request.options, None)?);
    }
    if !request.is_monitor {
        return detach(&request, &found.file);
    }
    let mut parent = Parent::take()?;
    Ok(kernlet_monitor::run(&home, found.image, request.options, Some(&mut parent))?)
}

/// Starts a monitor of its own session, and waits until it says that the program was entered.
///
/// It is a new process, not a fork of this one: so it holds nothing that it does not need.
fn detach(request: &Request, image: &Path) -> Result<u8, Failure> {
    let failed =
        |error: std::io::Error| Failure::bare(format!("cannot start a monitor in the background: {error}"));
    let (mut answer, ready) = std::io::pipe().map_err(failed)?;
    // Whoever gave this process a pipe waits for its end. Kernels before 5.11 cannot do it; the instance is closed to
    // what was inherited all the same.
    let _ = kernlet_monitor::keep_descriptors_to_ourselves();
    let run = request.head.iter().position(|word| word == "run").map_or(0, |at| at + 1);
    let (before, after) = request.head.split_at(run);
    let mut monitor = Command::new("/proc/self/exe")
        .arg0(MONITOR)
        .args(before)
        .arg("--shown-as")
        .arg(&request.options.image)
        .args(after)
        .arg(image)
        .arg("--")
        .args(request.options.args.iter().map(|argument| OsStr::from_bytes(argument)))
        .stdin(Stdio::from(OwnedFd::from(ready)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut name = String::new();
    answer.read_to_string(&mut name).map_err(failed)?;
    if name.is_empty() {
        // It has said why on the standard error that it shares.
        let status = monitor.wait().map_err(failed)?.code();
        return Err(
            Failure::told().with_status(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(125))
        );
    }
    show::print(&name);
    Ok(0)
}

/// The process that waits for a detached instance to be entered.
struct Parent(File);

impl Parent {
    /// Takes it off the standard input, and leaves its session.
    fn take() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::bare(format!("cannot go into the background: {error}"));
        let ready =
            rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(|e| failed(e.into()))?;
        let null = File::open("/dev/null").map_err(failed)?;
        rustix::stdio::dup2_stdin(&null).map_err(|e| failed(e.into()))?;
        rustix::process::setsid().map_err(|e| failed(e.into()))?;
        Ok(Self(ready.into()))
    }
}

impl Ready for Parent {
    fn entered(&mut self, name: &str) {
        if let Ok(null) = File::options().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stderr(&null);
            if let Ok(nothing) = null.try_clone() {
                // The parent waits for the end of this pipe.
                let mut parent = std::mem::replace(&mut self.0, nothing);
                let _ = parent.write_all(format!("{name}\n").as_bytes());
            }
        } else {
            say("warning: /dev/null cannot be opened\n");
        }
        let _ = std::env::set_current_dir("/");
    }
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
        Request::from_matches(&line, matches.subcommand().unwrap().1)
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
        ] {
            let (short, long) = (plain(&line(text)).unwrap(), parsed(text).unwrap());
            assert_eq!(short.what, long.what, "{text:?}");
            assert_eq!(format!("{:?}", short.options), format!("{:?}", long.options), "{text:?}");
        }
        assert!(plain(&line(&["--rm", "x.img"])).is_none());
        assert!(plain(&line(&[])).is_none());
    }

    #[test]
    fn what_follows_what_is_the_programs() {
        let request = parsed(&["--rm", "-p", "8080:80", "x.img", "-p", "--name", "x"]).unwrap();
        assert!(request.options.remove && request.options.name.is_none());
        assert_eq!(request.options.args, [b"-p".to_vec(), b"--name".to_vec(), b"x".to_vec()]);
        assert_eq!(request.head, ["run", "--rm", "-p", "8080:80"]);
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
