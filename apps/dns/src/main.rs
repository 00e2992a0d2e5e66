//! The DNS server: serves every `NAME.zone` in /zones on port 53, over UDP and TCP.
//!
//! SIGHUP reads the zones again; a zone that is broken then goes on being served as it was. SIGTERM ends it.
#![cfg_attr(kernlet_image, no_std, no_main)]
#![forbid(unsafe_code)]

mod server;

use kernlet::alloc::rc::Rc;
use kernlet::alloc::string::String;
use kernlet::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use kernlet::signal::{SIGHUP, SIGINT, SIGTERM, Signals};
use kernlet::task::spawn;
use kernlet::{Error, eprintln};
use server::{Shared, load, tcp, udp};

const USAGE: &str = "\
usage: dns [--port PORT] [--zones DIR]
  --port PORT   the UDP and TCP port to serve on (53)
  --zones DIR   where the NAME.zone files are (/zones)";

struct Options {
    port: u16,
    zones: String,
}

impl Options {
    /// Reads the arguments.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { port: 53, zones: "/zones".into() };
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| kernlet::alloc::format!("{argument} needs a value"));
            match argument.as_str() {
                "--port" => {
                    let text = value()?;
                    options.port = text.parse().ok().filter(|&p| p != 0).ok_or_else(|| {
                        kernlet::alloc::format!("--port: `{text}` is no port; it is a number from 1 to 65535")
                    })?;
                }
                "--zones" => options.zones = value()?,
                other => return Err(kernlet::alloc::format!("unknown argument `{other}`")),
            }
        }
        Ok(options)
    }
}

#[kernlet::main]
async fn main() -> Result<u8, Error> {
    let arguments = kernlet::env::args().skip(1).map(|argument| argument.into_owned());
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("dns: {problem}\n{USAGE}");
            return Ok(2);
        }
    };
    let mut signals = Signals::new(&[SIGHUP, SIGTERM, SIGINT]);
    let shared = Rc::new(Shared::new(dns::Zones::new(kernlet::random::u64())));
    load::all(&shared, &options.zones).await;

    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, options.port));
    let datagrams = UdpSocket::bind(any).await?;
    let listener = TcpListener::bind(any).await?;
    spawn("udp", udp::serve(datagrams, shared.clone()));
    spawn("tcp", tcp::serve(listener, shared.clone()));
    kernlet::log::info!("serving {} zones on port {}", shared.zones.borrow().iter().count(), options.port);
    loop {
        match signals.next().await {
            SIGHUP => load::all(&shared, &options.zones).await,
            _ => return Ok(0),
        }
    }
}
