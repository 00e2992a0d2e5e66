//! The arguments of the program.

use kernlet::alloc::format;
use kernlet::alloc::string::String;
use kernlet::time::Duration;

/// What it says when it is asked, or told nonsense.
pub const USAGE: &str = "\
usage: http [--port PORT] [--root DIR] [--list] [--log] [--keep-alive SECONDS] [--connections N]
  --port PORT            the TCP port to serve on (80)
  --root DIR             the folder that is served (/www)
  --list                 list a directory that has no index.html
  --log                  write a line for each request to standard output (Common Log Format)
  --keep-alive SECONDS   how long a connection may wait for its next request (60)
  --connections N        connections at once; with more, those that wait longest are closed (16000)";

/// What was asked for.
pub struct Options {
    /// The port to serve on.
    pub port: u16,
    /// The folder that is served, without a slash at its end.
    pub root: String,
    /// Whether directories are listed.
    pub list: bool,
    /// Whether requests are logged.
    pub log: bool,
    /// How long a connection may be idle.
    pub keep_alive: Duration,
    /// Connections at once.
    pub connections: usize,
}

impl Options {
    /// Reads the arguments; `None` when help was asked for.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            port: 80,
            root: "/www".into(),
            list: false,
            log: false,
            keep_alive: Duration::from_secs(60),
            connections: 16_000,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--port" => options.port = number(&argument, &value()?, 1, 65_535)? as u16,
                "--root" => {
                    let root = value()?;
                    if !root.starts_with('/') {
                        return Err(format!("--root: `{root}` is no absolute path, such as /www"));
                    }
                    options.root = root.trim_end_matches('/').into();
                    if options.root.is_empty() {
                        options.root = "/.".into();
                    }
                }
                "--list" => options.list = true,
                "--log" => options.log = true,
                "--keep-alive" => {
                    options.keep_alive = Duration::from_secs(number(&argument, &value()?, 1, 86_400)?.into());
                }
                "--connections" => {
                    options.connections = number(&argument, &value()?, 1, 1_000_000)? as usize;
                }
                "-h" | "--help" => return Ok(None),
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        Ok(Some(options))
    }
}

fn number(option: &str, text: &str, least: u32, most: u32) -> Result<u32, String> {
    let parsed = text.parse().ok().filter(|n| (least..=most).contains(n));
    parsed.ok_or_else(|| format!("{option}: `{text}` is not a number from {least} to {most}"))
}
