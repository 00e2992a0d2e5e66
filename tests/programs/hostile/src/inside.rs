//! Attacks by the library OS's own means: paths, the broker's socket, the control socket.

use crate::attack::Outcome;
use crate::call::call;
use kernlet::alloc::vec::Vec;
use kernlet::fs::{self, File};
use kernlet_platform::boot::blob;

/// How often a race is tried.
const ROUNDS: usize = 20_000;
/// How many requests a flood has.
const FLOOD: usize = 300_000;

/// Runs the attack of that name, if it is one of these.
pub async fn run(name: &str) -> Option<Outcome> {
    let (kind, argument) = name.split_once(':')?;
    Some(match kind {
        "path" => fs::read(argument).await.map(|_| 0).map_err(|error| error.0),
        "race" => race(argument).await,
        "descriptors" => descriptors(argument).await,
        "relayed" => relayed(argument).await,
        "fill" => fill(argument).await,
        "setuid" => raw(&named(12, 0o7755, argument)),
        "directory-setuid" => raw(&named(5, 0o7777, argument)),
        "broker-flood" => flood(blob().descriptors().broker, &named(4, 1, argument)),
        "broker-garbage" => raw(argument.as_bytes()),
        "control-flood" => flood(blob().descriptors().control, argument.as_bytes()),
        "log-flood" => log_flood(argument.len()),
        _ => return None,
    })
}

/// Reads a file again and again, while somebody outside moves its directory about.
async fn race(path: &str) -> Outcome {
    let mut last = Err(0);
    for _ in 0..ROUNDS {
        match fs::read(path).await {
            Ok(contents) if contents == b"secret" => return Ok(0),
            Ok(_) => {}
            Err(error) => last = Err(error.0),
        }
    }
    last
}

/// Opens a file until that fails.
async fn descriptors(path: &str) -> Outcome {
    let mut all = Vec::new();
    loop {
        match File::open(path).await {
            Ok(file) => all.push(file),
            Err(error) => return Err(error.0),
        }
    }
}

/// Fills a file until that fails.
async fn fill(path: &str) -> Outcome {
    let bytes = kernlet::alloc::vec![7; 4 << 20];
    fs::write(path, &bytes).await.map(|()| 0).map_err(|error| error.0)
}

/// Sends a datagram to a granted port of the host, so that the connection is open, then by raw calls to another.
async fn relayed(ports: &str) -> Outcome {
    let (granted, other) = ports.split_once(',').ok_or(22)?;
    let reach = async {
        let addresses = kernlet::net::resolve("host.kernlet.internal").await?;
        let address = *addresses.first().ok_or(kernlet::Error::ENOENT)?;
        let socket = kernlet::net::UdpSocket::bind(([0, 0, 0, 0], 0)).await?;
        let port: u16 = granted.parse().map_err(|_| kernlet::Error::EINVAL)?;
        socket.send_to(b"granted", (address, port).into()).await?;
        Ok::<_, kernlet::Error>(socket)
    };
    let socket = reach.await.map_err(|error| error.0)?;
    let sent = crate::attack::run(&kernlet::alloc::format!("send-to:{other}")).unwrap_or(Err(22));
    drop(socket);
    sent
}

/// A broker request of one number and a path in volume 0.
fn named(operation: u16, number: u32, path: &str) -> Vec<u8> {
    let mut message = 0xffff_0000u32.to_le_bytes().to_vec();
    message.extend_from_slice(&operation.to_le_bytes());
    message.extend_from_slice(&[0; 6]);
    message.extend_from_slice(&number.to_le_bytes());
    message.extend_from_slice(&(path.len() as u16).to_le_bytes());
    message.extend_from_slice(path.as_bytes());
    message
}

/// Sends a message to the broker, and waits for what it answers.
fn raw(message: &[u8]) -> Outcome {
    let broker = blob().descriptors().broker as usize;
    call(1, [broker, message.as_ptr() as usize, message.len(), 0, 0, 0])?;
    let mut answer = [0u32; 64];
    // Poll for reading, at most ten seconds.
    let mut waits = broker as u64 | 1 << 32;
    call(7, [core::ptr::from_mut(&mut waits) as usize, 1, 10_000, 0, 0, 0])?;
    match call(0, [broker, answer.as_mut_ptr() as usize, size_of_val(&answer), 0, 0, 0])? {
        0 => Err(32),
        _ if answer[1] != 0 => Err(answer[1] as i32),
        length => Ok(length),
    }
}

/// Sends a message as often and as fast as it is taken, and never reads an answer.
fn flood(socket: i32, message: &[u8]) -> Outcome {
    let mut last = Ok(0);
    for _ in 0..FLOOD {
        last = call(1, [socket as usize, message.as_ptr() as usize, message.len(), 0, 0, 0]);
        if last == Err(32) {
            break;
        }
    }
    last
}

/// Writes megabytes to both outputs, without a line's end.
fn log_flood(megabytes: usize) -> Outcome {
    let bytes = kernlet::alloc::vec![b'x'; 1 << 16];
    for _ in 0..megabytes * 8 {
        for output in [1, 2] {
            call(1, [output, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0])?;
        }
    }
    Ok(0)
}
