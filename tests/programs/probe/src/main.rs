//! Does what the tests ask for: ends in every way, touches files, sockets, signals and clocks.
#![cfg_attr(kernlet_image, no_std, no_main)]

mod end;
mod files;

use kernlet::alloc::string::String;
use kernlet::alloc::vec::Vec;
use kernlet::signal::{SIGHUP, SIGTERM, SIGUSR1, Signals};
use kernlet::time::{Duration, Instant, sleep, unix_time};
use kernlet::{env, println};

#[kernlet::main]
async fn main() -> u8 {
    let arguments: Vec<String> = env::args().skip(1).map(|a| a.into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["exit", status] => return status.parse().unwrap_or(99),
        ["panic"] => end::panic(),
        ["null"] => end::null(),
        ["wild"] => end::wild(),
        ["execute"] => end::execute(),
        ["overflow"] => println!("{}", end::overflow(1)),
        ["memory"] => end::memory(),
        ["spin"] => loop {
            core::hint::spin_loop();
        },
        ["args", ..] => {
            for argument in &arguments[1..] {
                println!("[{argument}]");
            }
        }
        ["env"] => {
            for (key, value) in env::vars() {
                println!("{key}={value}");
            }
            println!(
                "hostname {} directory {} identity {:?}",
                env::hostname(),
                env::current_dir(),
                env::identity()
            );
        }
        ["sleep", milliseconds] => {
            println!("sleeping");
            sleep(Duration::from_millis(milliseconds.parse().unwrap_or(0))).await;
            println!("awake");
        }
        ["clock"] => {
            let start = Instant::now();
            sleep(Duration::from_millis(50)).await;
            println!("slept {} ms, unix {} s", start.elapsed().as_millis(), unix_time().as_secs());
        }
        ["signals"] => return signals().await,
        ["wait"] => wait().await,
        ["random"] => println!("{:016x}", kernlet::random::u64()),
        ["cat"] => return cat().await,
        ["log", count] => {
            for i in 0..count.parse().unwrap_or(0u64) {
                println!("line {i} of a log that is long enough to need rotating before long");
            }
        }
        ["connect", host, port] => return connect(host, port.parse().unwrap_or(0)).await,
        ["datagram", host, port] => return datagram(host, port.parse().unwrap_or(0)).await,
        ["touch-both", first, second] => touch_both(first, second).await,
        ["address"] => println!("{:#x}", end::null as *const () as usize),
        _ => return files::run(&arguments).await,
    }
    0
}

/// Says hello to a server and tells what it answers.
async fn connect(host: &str, port: u16) -> u8 {
    let talk = async {
        let addresses = kernlet::net::resolve(host).await?;
        let address = *addresses.first().ok_or(kernlet::Error::ENOENT)?;
        let stream = kernlet::net::TcpStream::connect((address, port)).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown(kernlet::net::Shutdown::Write)?;
        let mut buffer = [0; 64];
        let count = stream.read(&mut buffer).await?;
        kernlet::io::write(kernlet::io::Stream::Out, &buffer[..count]);
        Ok::<_, kernlet::Error>(())
    };
    match talk.await {
        Ok(()) => 0,
        Err(error) => {
            println!("{error}");
            1
        }
    }
}

/// Says hello to a server by UDP and tells what it answers, and from where.
async fn datagram(host: &str, port: u16) -> u8 {
    let talk = async {
        let addresses = kernlet::net::resolve(host).await?;
        let address = *addresses.first().ok_or(kernlet::Error::ENOENT)?;
        let socket = kernlet::net::UdpSocket::bind(([0, 0, 0, 0], 0)).await?;
        socket.send_to(b"hello", (address, port).into()).await?;
        let mut buffer = [0; 64];
        let (count, peer) = socket.recv_from(&mut buffer).await?;
        kernlet::io::write(kernlet::io::Stream::Out, &buffer[..count]);
        println!(" from {peer}");
        Ok::<_, kernlet::Error>(())
    };
    match talk.await {
        Ok(()) => 0,
        Err(error) => {
            println!("{error}");
            1
        }
    }
}

/// Asks for a file that may hang, and goes on asking for another.
async fn touch_both(first: &str, second: &str) {
    let first = String::from(first);
    kernlet::task::spawn("first", async move {
        let found = kernlet::fs::metadata(&first).await;
        println!("first: {:?}", found.map(|m| m.len()));
    });
    let mut count = 0u32;
    loop {
        if kernlet::fs::metadata(second).await.is_ok() {
            count += 1;
            println!("second: {count}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Tells of each signal; ends with 0 at SIGTERM.
async fn signals() -> u8 {
    let mut signals = Signals::new(&[SIGHUP, SIGUSR1, SIGTERM]);
    println!("ready");
    loop {
        match signals.next().await {
            SIGTERM => return 0,
            number => println!("signal {number}"),
        }
    }
}

/// Waits for ever in two tasks of which the backtraces can be asked for.
async fn wait() {
    let (_sender, receiver) = kernlet::task::channel::<u8>(1);
    kernlet::task::spawn("waits-for-a-value", async move { receiver.receive().await });
    println!("ready");
    loop {
        sleep(Duration::from_secs(3600)).await;
    }
}

/// Copies standard input to standard output.
async fn cat() -> u8 {
    let mut buffer = [0; 4096];
    loop {
        match kernlet::io::read(&mut buffer).await {
            Ok(0) => return 0,
            Ok(count) => kernlet::io::write(kernlet::io::Stream::Out, &buffer[..count]),
            Err(error) => {
                kernlet::eprintln!("standard input: {error}");
                return 1;
            }
        }
    }
}
