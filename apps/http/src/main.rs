//! The web server: serves the files below /www on port 80.
//!
//! SIGTERM ends it when the answers under way are sent, or after a few seconds.
#![cfg_attr(kernlet_image, no_std, no_main)]
#![forbid(unsafe_code)]

mod options;
mod server;

use kernlet::alloc::rc::Rc;
use kernlet::net::{Ipv6Addr, TcpListener};
use kernlet::signal::{SIGINT, SIGTERM, Signals};
use kernlet::task::spawn;
use kernlet::{Error, eprintln};
use options::{Options, USAGE};
use server::Server;

#[kernlet::main]
async fn main() -> Result<u8, Error> {
    let arguments = kernlet::env::args().skip(1).map(|argument| argument.into_owned());
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            kernlet::println!("{USAGE}");
            return Ok(0);
        }
        Err(problem) => {
            eprintln!("http: {problem}\n{USAGE}");
            return Ok(2);
        }
    };
    match kernlet::fs::metadata(&options.root).await {
        Ok(about) if about.is_dir() => {}
        other => {
            let why = other.err().unwrap_or(Error::ENOTDIR);
            eprintln!(
                "http: {}: {why}; mount a folder there (-v FOLDER:{}:ro), or name another (--root)",
                options.root, options.root
            );
            return Ok(1);
        }
    }
    let mut signals = Signals::new(&[SIGTERM, SIGINT]);
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, options.port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("http: port {}: {error}", options.port);
            return Ok(1);
        }
    };
    kernlet::log::info!("serving {} on port {}", options.root, options.port);
    let server = Rc::new(Server::new(options));
    let accepting = spawn("accept", server::accept(listener, server.clone()));
    spawn("deadlines", server::watch_deadlines(server.clone()));
    signals.next().await;
    accepting.cancel();
    server::finish(&server).await;
    Ok(0)
}
