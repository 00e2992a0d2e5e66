//! The DNS server: serves every `NAME.zone` in /zones on port 53, over UDP and TCP; `--help` lists its options.
//!
//! SIGHUP reads the zones again; a zone that is broken then goes on being served as it was. SIGTERM ends it.
#![cfg_attr(kernlet_image, no_std, no_main)]
#![forbid(unsafe_code)]

mod server;

use core::cell::Cell;
use kernlet::alloc::rc::Rc;
use kernlet::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use kernlet::signal::{SIGHUP, SIGINT, SIGTERM, Signals};
use kernlet::task::{WaitQueue, spawn};
use kernlet::time::{Duration, timeout};
use kernlet::{Error, eprintln, print};
use server::load::Loader;
use server::options::{Options, USAGE, Wish};
use server::{Shared, metrics, tcp, udp};

#[kernlet::main]
async fn main() -> Result<u8, Error> {
    let arguments = kernlet::env::args().skip(1).map(|argument| argument.into_owned());
    let mut options = match Options::parse(arguments) {
        Ok(Wish::Serve(options)) => *options,
        Ok(Wish::Help) => {
            print!("{USAGE}");
            return Ok(0);
        }
        Err(problem) => {
            eprintln!("dns: {problem}");
            return Ok(2);
        }
    };
    if let Err(problem) = options.read_secret().await {
        eprintln!("dns: {problem}");
        return Ok(2);
    }
    let mut signals = Signals::new(&[SIGHUP, SIGTERM, SIGINT]);
    let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let (port, watch, counters) = (options.port, options.watch, options.metrics);
    let mut loader = Loader::new(options.zones.clone());
    let shared = Rc::new(Shared::new(options));
    loader.load(&shared, false).await;

    let datagrams = UdpSocket::bind(any(port)).await?;
    let listener = TcpListener::bind(any(port)).await?;
    spawn("udp", udp::serve(datagrams, shared.clone()));
    spawn("tcp", tcp::serve(listener, shared.clone()));
    if let Some(port) = counters {
        spawn("metrics", metrics::serve(TcpListener::bind(any(port)).await?, shared.clone()));
    }
    kernlet::log::info!("serving {} zones on port {port}", shared.zones.borrow().iter().count());
    let hangup = Rc::new(Hangup { came: Cell::new(false) });
    spawn("zones", follow(loader, shared.clone(), hangup.clone(), watch));
    loop {
        match signals.next().await {
            SIGHUP => {
                hangup.came.set(true);
                shared.changes.wake_all();
            }
            _ => return Ok(0),
        }
    }
}

/// How long after looking at the zone files nothing but SIGHUP has them looked at again.
const CALM: Duration = Duration::from_secs(1);

/// Tells the task that loads zones of a SIGHUP.
struct Hangup {
    came: Cell<bool>,
}

/// Loads zones again when they change: at SIGHUP all, after a NOTIFY and every `watch` seconds those that changed.
async fn follow(mut loader: Loader, shared: Rc<Shared>, hangup: Rc<Hangup>, watch: u32) {
    let changes: &WaitQueue = &shared.changes;
    loop {
        let asked = changes.until(|| (hangup.came.get() || shared.notified.get()).then_some(()));
        if watch > 0 {
            let _ = timeout(Duration::from_secs(watch.into()), asked).await;
        } else {
            asked.await;
        }
        shared.notified.set(false);
        let all = hangup.came.take();
        loader.load(&shared, !all).await;
        // However many NOTIFY come, looking takes little of the time.
        let _ = timeout(CALM, changes.until(|| hangup.came.get().then_some(()))).await;
    }
}
