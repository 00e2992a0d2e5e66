//! Answers with what it was sent, over TCP and UDP (RFC 862), on port 7 unless its argument says another.
#![cfg_attr(kernlet_image, no_std, no_main)]
#![forbid(unsafe_code)]

use kernlet::Error;
use kernlet::net::{Batch, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use kernlet::task::spawn;

/// Datagrams that are taken at once, and the largest, in bytes.
const BATCH: (usize, usize) = (32, 2048);

#[kernlet::main]
async fn main() -> Result<u8, Error> {
    let port = match kernlet::env::args().nth(1).map(|text| text.parse::<u16>()) {
        None => 7,
        Some(Ok(port)) => port,
        Some(Err(_)) => {
            kernlet::eprintln!("usage: echo [PORT]");
            return Ok(2);
        }
    };
    let any = (Ipv6Addr::UNSPECIFIED, port);
    let datagrams = UdpSocket::bind(any).await?;
    let listener = TcpListener::bind(any).await?;
    kernlet::println!("echo: serving on port {port}");
    spawn("datagrams", async move {
        let mut batch = Batch::new(BATCH.0, BATCH.1);
        loop {
            let echo = |datagram: &[u8], _peer, reply: &mut [u8]| {
                reply[..datagram.len()].copy_from_slice(datagram);
                datagram.len()
            };
            if let Err(error) = datagrams.serve_batch(&mut batch, echo).await {
                kernlet::log::warning!("datagrams: {error}");
            }
        }
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn("connection", connection(stream))),
            Err(error) => {
                kernlet::log::warning!("accept: {error}");
                kernlet::time::sleep(kernlet::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream) -> Result<(), Error> {
    let mut buffer = kernlet::alloc::vec![0; 16 << 10];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
