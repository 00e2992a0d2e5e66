//! The command line. Its names are fixed: users' scripts depend on them.

use clap::builder::{OsStringValueParser, PathBufValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use clap_complete::Shell;
use std::ffi::OsString;

/// All commands, in the order of `kernlet --help`.
const COMMANDS: [(&str, Define); 11] = [
    ("build", build),
    ("run", run),
    ("ps", ps),
    ("logs", logs),
    ("stop", stop),
    ("kill", kill),
    ("rm", rm),
    ("wait", wait),
    ("inspect", inspect),
    ("new", new),
    ("completions", completions),
];

/// Defines a command.
type Define = fn() -> Command;

/// What every command understands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Common {
    /// `--verbose`.
    pub verbose: bool,
    /// `-q`.
    pub quiet: bool,
}

impl Common {
    /// As given before or after the command's name.
    pub fn of(matches: &ArgMatches) -> Self {
        Self { verbose: matches.get_flag("verbose"), quiet: matches.get_flag("quiet") }
    }
}

/// The command line. When `first` names a command, only that one is built: each costs time.
pub fn command(first: Option<&OsString>) -> Command {
    let named = first.and_then(|first| first.to_str());
    let only = COMMANDS.iter().find(|(name, _)| Some(*name) == named);
    let flag = |name, short: Option<char>, help| {
        let arg = Arg::new(name).long(name).action(ArgAction::SetTrue).global(true).help(help);
        short.into_iter().fold(arg, Arg::short).help_heading("Everywhere")
    };
    let command = Command::new("kernlet")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Seals a program with a library OS into one image, and runs that image anywhere")
        .after_help(
            "`kernlet run --help` tells about running; `kernlet new NAME` makes a program to begin with.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(flag("verbose", None, "Say more about what is being done"))
        .arg(flag("quiet", Some('q'), "Say nothing but results and errors"));
    match only {
        Some((_, build)) => command.subcommand(build()),
        None => command.subcommands(COMMANDS.iter().map(|(_, define)| define())),
    }
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn list(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn names(help: &'static str) -> Arg {
    Arg::new("names").value_name("NAME").required(true).num_args(1..).help(help)
}

/// What both `build` and `run` tell the program.
fn identity_options(command: Command) -> Command {
    command
        .arg(
            list("env", "K=V", "Set a variable of the program's environment")
                .short('e')
                .value_parser(OsStringValueParser::new()),
        )
        .arg(option("workdir", "DIR", "The program's working directory").short('w'))
        .arg(option("user", "UID[:GID]", "Who the program is inside; 0:0 unless given").short('u'))
}

fn build() -> Command {
    let path = || PathBufValueParser::new();
    identity_options(
        Command::new("build")
            .about("Seal a program into one image file")
            .override_usage("kernlet build [OPTIONS] WHAT -o IMAGE [-- ARG...]")
            .after_help("Examples:\n  kernlet build apps/dns -o dns.img\n  kernlet build redis-server -o redis.img -- --port 6379"),
    )
    .arg(
        Arg::new("what")
            .value_name("WHAT")
            .required(true)
            .value_parser(path())
            .value_hint(ValueHint::AnyPath)
            .help("A Linux program, or the directory of a native crate"),
    )
    .arg(option("output", "IMAGE", "Where to write the image").short('o').required(true).value_parser(path()))
    .arg(list("root", "DIR", "Add a directory to the image's read-only root").value_parser(path()))
    .arg(list("file", "HOST[:GUEST]", "Add a file to the image's read-only root"))
    .arg(flag("libs-only", "Add no more than libraries"))
    .arg(flag("trace", "Run the program once and keep only what it opened"))
    .arg(
        Arg::new("args")
            .value_name("ARG")
            .num_args(0..)
            .last(true)
            .value_parser(OsStringValueParser::new())
            .help("The image's default arguments"),
    )
}

/// `run` and all its options.
pub fn run() -> Command {
    let command = Command::new("run")
        .about("Start an instance of a program")
        .override_usage("kernlet run [OPTIONS] WHAT [ARG...]")
        .after_help(
            "Examples:\n  kernlet run hello.img\n  kernlet run -d --name dns -p 5353:53/udp -v ./zones:/zones:ro apps/dns",
        )
        .arg(option("backend", "BACKEND", "auto, process or qemu").short('b').default_value("auto"))
        .arg(flag("detach", "Run in the background and print the instance's name").short('d'))
        .arg(flag("interactive", "Connect standard input").short('i'))
        .arg(flag("tty", "Give the program a terminal").short('t'))
        .arg(option("name", "NAME", "The instance's name; two random words unless given"))
        .arg(flag("rm", "Forget the instance when it has ended"))
        .arg(option("restart", "POLICY", "no, on-failure[:N] or always").default_value("no"))
        .arg(
            list("publish", "[ADDR:]PORT:PORT[/PROTO]", "Publish a port on the host; tcp unless said")
                .short('p'),
        )
        .arg(option("net", "NET", "auto, none or tap=IFNAME[,ip=ADDR/LEN][,gw=ADDR][,mac=MAC]").default_value("auto"))
        .arg(list("allow-connect", "HOST:PORT[/PROTO]", "Allow outgoing connections; `*` is any host or port"))
        .arg(list("volume", "HOST:GUEST[:ro]", "Show a host file or directory to the program").short('v'));
    identity_options(command)
        .arg(list("env-file", "FILE", "Read variables from a file").value_parser(PathBufValueParser::new()))
        .arg(option("hostname", "NAME", "The machine's name inside; the instance's unless given"))
        .arg(
            option("memory", "SIZE", "The instance's memory, such as 64M or 1G; 256M unless given")
                .short('m'),
        )
        .arg(option("cpus", "N", "Virtual CPUs; 1 unless given"))
        .arg(flag("strict", "End the program at a system call that is not implemented, instead of ENOSYS"))
        .arg(
            Arg::new("what")
                .value_name("WHAT [ARG...]")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .value_parser(OsStringValueParser::new())
                .value_hint(ValueHint::AnyPath)
                .help("An image, a Linux program or the directory of a native crate, and the program's arguments"),
        )
}

fn ps() -> Command {
    Command::new("ps")
        .about("List instances")
        .after_help("With -q only the names: kernlet rm $(kernlet ps -aq)")
        .arg(flag("all", "Those that have ended too").short('a'))
        .arg(flag("json", "As JSON"))
}

fn logs() -> Command {
    Command::new("logs")
        .about("Show what an instance wrote")
        .after_help("Example:\n  kernlet logs -f --since 10m dns")
        .arg(flag("follow", "Go on as more is written").short('f'))
        .arg(option("since", "TIME", "Nothing older: 10m, 2026-01-31T12:00:00Z, or seconds since 1970"))
        .arg(option("tail", "N", "Only so many of the last lines, or `all`").short('n'))
        .arg(flag("timestamps", "Show when each line was written").short('t'))
        .arg(Arg::new("name").value_name("NAME").required(true).help("The instance"))
}

fn stop() -> Command {
    let time = option("time", "SECONDS", "How long the program has before it is killed").short('t');
    Command::new("stop")
        .about("Ask instances to end, then kill them")
        .arg(time.default_value("10").value_parser(value_parser!(u32)))
        .arg(names("The instances"))
}

fn kill() -> Command {
    Command::new("kill")
        .about("Send a signal to instances")
        .after_help(
            "Example: a backtrace of every task in a native program's log\n  kernlet kill -s QUIT dns",
        )
        .arg(option("signal", "SIGNAL", "By name or number").short('s').default_value("KILL"))
        .arg(names("The instances"))
}

fn rm() -> Command {
    Command::new("rm")
        .about("Forget instances that have ended")
        .arg(flag("force", "Kill those that run").short('f'))
        .arg(names("The instances"))
}

fn wait() -> Command {
    Command::new("wait")
        .about("Wait until instances have ended, and print their statuses")
        .arg(names("The instances"))
}

fn inspect() -> Command {
    Command::new("inspect")
        .about("Show what is in an image, or everything about an instance")
        .arg(flag("json", "As JSON"))
        .arg(
            Arg::new("what")
                .value_name("IMAGE or NAME")
                .required(true)
                .value_parser(OsStringValueParser::new())
                .value_hint(ValueHint::AnyPath)
                .help("An image's file, or an instance"),
        )
}

fn new() -> Command {
    Command::new("new").about("Make a native crate that builds and runs").arg(
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .value_parser(PathBufValueParser::new())
            .help("The crate's name, or the path of its directory"),
    )
}

fn completions() -> Command {
    Command::new("completions")
        .about("Print completions for a shell")
        .after_help(
            "Example:\n  kernlet completions bash > ~/.local/share/bash-completion/completions/kernlet",
        )
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command(None).debug_assert();
    }

    #[test]
    fn one_command_alone_parses_as_among_all() {
        let line = ["kernlet", "run", "-q", "-p", "1:2", "x", "--rm"];
        for mut command in [command(None), command(Some(&"run".into()))] {
            let matches = command.try_get_matches_from_mut(line).unwrap();
            assert!(Common::of(&matches).quiet);
            let (_, matches) = matches.subcommand().unwrap();
            assert!(!matches.get_flag("rm"));
            assert_eq!(matches.get_many::<OsString>("what").unwrap().count(), 2);
        }
    }
}
