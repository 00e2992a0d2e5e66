//! Counters over HTTP, for Prometheus.

use super::Shared;
use kernlet::alloc::format;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::string::String;
use kernlet::net::{TcpListener, TcpStream};
use kernlet::time::{Duration, sleep, timeout};
use kernlet::{Error, alloc};

/// How long one request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request.
const LONGEST: usize = 4096;

/// Answers for ever, one request after another: who asks comes every few seconds.
pub async fn serve(listener: TcpListener, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            // Who is too slow, or goes away, gets nothing.
            Ok((stream, _)) => drop(timeout(PATIENCE, request(&stream, &shared)).await),
            Err(error) => {
                kernlet::log::warning!("metrics: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn request(stream: &TcpStream, shared: &Shared) -> Result<(), Error> {
    let mut head = alloc::vec![0; LONGEST];
    let mut length = 0;
    while !head[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut head[length..]).await?;
        if count == 0 {
            return Ok(());
        }
        length += count;
    }
    let mut words = head[..length].split(|&byte| byte == b' ' || byte == b'\r');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let (status, text) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics" | b"/") => ("200 OK", text(shared)),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "the counters are at /metrics\n".into()),
        _ => ("405 Method Not Allowed", "only GET\n".into()),
    };
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    if method != b"HEAD" {
        reply.push_str(&text);
    }
    stream.write_all(reply.as_bytes()).await
}

fn text(shared: &Shared) -> String {
    shared
        .counters
        .as_ref()
        .map(|counters| counters.borrow().text(&shared.zones.borrow()))
        .unwrap_or_default()
}
