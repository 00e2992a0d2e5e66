//! The arguments of the program.

use dns::{Any, Cookies, Network, Networks, Policy};
use kernlet::alloc::boxed::Box;
use kernlet::alloc::format;
use kernlet::alloc::string::String;
use kernlet::alloc::vec::Vec;

/// What `--help` says.
pub const USAGE: &str = "\
usage: dns [OPTION]...
An authoritative DNS server: serves every NAME.zone file as the zone NAME.

  --port PORT              serve on this UDP and TCP port (53)
  --zones DIR              where the NAME.zone files are (/zones)
  --watch SECONDS          look for changed zone files this often (0: at SIGHUP and NOTIFY only)
  --allow-axfr CIDR,...    who may transfer zones (nobody)
  --allow-notify CIDR,...  whose NOTIFY has the zone files looked at (everybody)
  --any one|all            answer ANY with one RRset (RFC 8482) or with all (one)
  --nsid TEXT              tell TEXT to who asks for NSID
  --chaos-id TEXT          tell TEXT to who asks for id.server or hostname.bind
  --chaos-version TEXT     tell TEXT to who asks for version.server or version.bind
  --cookie-secret HEX      make server cookies with these 128 bits, shared with other servers (random)
  --cookie-secret-file FILE  the same from a file
  --require-cookie         answer UDP queries that have a client cookie only with BADCOOKIE
  --no-cookies             do not know the COOKIE option
  --rate-limit N           send at most N equal replies a second to one network over UDP (0: any number)
  --rate-limit-slip N      send every Nth of those beyond truncated (2; 0: none)
  --tcp-connections N      TCP connections at once (1000)
  --tcp-idle SECONDS       how long a TCP connection may be silent (10)
  --metrics PORT           serve counters for Prometheus on this TCP port (not at all)
  --help                   this text
";

/// What the arguments say.
pub struct Options {
    /// The port to serve on.
    pub port: u16,
    /// Where the zone files are.
    pub zones: String,
    /// Where the secret of server cookies is.
    pub secret_file: Option<String>,
    /// How often to look for changed zone files, in seconds.
    pub watch: u32,
    /// The policy.
    pub policy: Policy,
    /// Equal replies a second; zero for no limit.
    pub rate: u32,
    /// Which of those beyond are truncated.
    pub slip: u32,
    /// TCP connections at once.
    pub connections: usize,
    /// How long one may be silent, in seconds.
    pub idle: u32,
    /// The port for counters.
    pub metrics: Option<u16>,
}

/// What there is to do.
pub enum Wish {
    /// To serve.
    Serve(Box<Options>),
    /// To tell how to be called.
    Help,
}

impl Options {
    /// Reads the arguments; an error names the option and the mend.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wish, String> {
        let mut options = Self {
            port: 53,
            zones: "/zones".into(),
            secret_file: None,
            watch: 0,
            policy: Policy { notify: Networks([Network::ALL].into()), ..Policy::default() },
            rate: 0,
            slip: 2,
            connections: 1000,
            idle: 10,
            metrics: None,
        };
        let (mut secret, mut cookies) = (None, true);
        while let Some(argument) = arguments.next() {
            // Both `--option value` and `--option=value`.
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(String::from(value))),
                _ => (argument.as_str(), None),
            };
            match name {
                "--help" | "-h" => return Ok(Wish::Help),
                "--require-cookie" | "--no-cookies" if given.is_some() => {
                    return Err(format!("{name} takes no value"));
                }
                "--require-cookie" => options.policy.require_cookie = true,
                "--no-cookies" => cookies = false,
                _ if !name.starts_with("--") || !USAGE.split_ascii_whitespace().any(|word| word == name) => {
                    return Err(format!("unknown option `{name}`; --help lists all"));
                }
                _ => {
                    let value = given.or_else(|| arguments.next());
                    let value = value.ok_or_else(|| format!("{name} needs a value; see --help"))?;
                    options.set(name, &value, &mut secret)?;
                }
            }
        }
        if cookies {
            let random = || {
                let mut secret = [0; 16];
                kernlet::random::fill(&mut secret);
                secret
            };
            options.policy.cookies = Some(Cookies::new(secret.unwrap_or_else(random)));
        } else if options.policy.require_cookie || secret.is_some() || options.secret_file.is_some() {
            return Err("--no-cookies contradicts --require-cookie and --cookie-secret".into());
        }
        Ok(Wish::Serve(options.into()))
    }

    /// Takes one option with its value.
    fn set(&mut self, name: &str, value: &str, secret: &mut Option<[u8; 16]>) -> Result<(), String> {
        let wrong = |what: &str| format!("{name}: `{value}` is not {what}");
        let number = |least: u32, most: u32| {
            let found = value.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
            found.ok_or_else(|| wrong(&format!("a number from {least} to {most}")))
        };
        match name {
            "--port" => self.port = number(1, 65535)? as u16,
            "--zones" => self.zones = value.trim_end_matches('/').into(),
            "--watch" => self.watch = number(0, 86400)?,
            "--allow-axfr" => self.policy.transfer.0.extend(networks(value).ok_or_else(|| wrong(NETWORKS))?),
            "--allow-notify" => {
                // Said once, it is no longer everybody.
                self.policy.notify.0.retain(|network| *network != Network::ALL);
                self.policy.notify.0.extend(networks(value).ok_or_else(|| wrong(NETWORKS))?);
            }
            "--any" => {
                self.policy.any = match value {
                    "one" => Any::One,
                    "all" => Any::All,
                    _ => return Err(wrong("`one` or `all`")),
                }
            }
            "--nsid" => self.policy.nsid = Some(text(value).ok_or_else(|| wrong(TEXT))?),
            "--chaos-id" => self.policy.identity = Some(text(value).ok_or_else(|| wrong(TEXT))?),
            "--chaos-version" => self.policy.version = Some(text(value).ok_or_else(|| wrong(TEXT))?),
            "--cookie-secret" => *secret = Some(bits(value).ok_or_else(|| wrong("32 hexadecimal digits"))?),
            "--cookie-secret-file" => self.secret_file = Some(value.into()),
            "--rate-limit" => self.rate = number(0, 1_000_000)?,
            "--rate-limit-slip" => self.slip = number(0, 100)?,
            "--tcp-connections" => self.connections = number(1, 100_000)? as usize,
            "--tcp-idle" => self.idle = number(1, 3600)?,
            "--metrics" => self.metrics = Some(number(1, 65535)? as u16),
            _ => return Err(format!("unknown option `{name}`; --help lists all")),
        }
        Ok(())
    }
}

impl Options {
    /// Reads the file with the secret of server cookies, if one is named.
    pub async fn read_secret(&mut self) -> Result<(), String> {
        let Some(file) = &self.secret_file else { return Ok(()) };
        let text = super::load::small(file)
            .await
            .map_err(|error| format!("--cookie-secret-file: {file}: {error}"))?;
        let secret = core::str::from_utf8(text.trim_ascii()).ok().and_then(bits);
        let secret = secret.ok_or_else(|| {
            format!("--cookie-secret-file: {file}: what is in it is not 32 hexadecimal digits")
        })?;
        self.policy.cookies = Some(Cookies::new(secret));
        Ok(())
    }
}

/// 128 bits in hexadecimal.
fn bits(text: &str) -> Option<[u8; 16]> {
    let mut bits = [0; 16];
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    for (n, &digit) in digits.iter().enumerate() {
        bits[n / 2] = bits[n / 2] << 4 | (digit as char).to_digit(16)? as u8;
    }
    Some(bits)
}

const NETWORKS: &str = "a list of networks such as 10.0.0.0/8,2001:db8::/32,192.0.2.1";
const TEXT: &str = "a text of 1 to 128 characters";

fn networks(value: &str) -> Option<Vec<Network>> {
    let mut networks = Vec::new();
    for part in value.split(',') {
        networks.push(part.trim_ascii().parse().ok()?);
    }
    Some(networks)
}

fn text(value: &str) -> Option<Box<[u8]>> {
    (1..=128).contains(&value.len()).then(|| value.as_bytes().into())
}
