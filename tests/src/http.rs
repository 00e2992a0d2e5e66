//! Raw HTTP connections, for what no decent client does, and starting the web server.

use crate::{User, eventually, free_port, image};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Starts the web server of `apps/http` on a free port: options of `kernlet run`, then arguments of the server. Gives
/// instance and port.
pub fn start(user: &User, options: &[&str], arguments: &[&str]) -> (String, u16) {
    let image = image("apps/http");
    let port = free_port();
    let publish = format!("{port}:80");
    let mut all = vec!["-p", &publish];
    all.extend(options);
    all.push(image.to_str().expect("temporary paths are UTF-8"));
    all.extend(arguments);
    let name = user.detached(all);
    eventually("the server answers", || {
        status(port, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 204
    });
    (name, port)
}

/// A connection.
pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(crate::PATIENCE)).expect("a time can be set");
    stream
}

/// Sends text and reads to the end of the connection. An end by reset counts as one.
pub fn exchange(port: u16, text: &[u8]) -> Vec<u8> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return vec![] };
    stream.set_read_timeout(Some(crate::PATIENCE)).expect("a time can be set");
    let _ = stream.write_all(text);
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The status of the first answer; 0 when there is none.
pub fn status(port: u16, text: &str) -> u16 {
    status_of(&exchange(port, text.as_bytes()))
}

/// The status of an answer; 0 when it is none.
pub fn status_of(answer: &[u8]) -> u16 {
    let line = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    line.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// An answer that was read from a connection that stays open.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, in lower case.
    pub head: String,
    /// Its content.
    pub body: Vec<u8>,
}

/// Reads one answer to a GET request.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("an answer has an end of its head");
        head.push(octet[0]);
    }
    let status = status_of(&head);
    let head = String::from_utf8(head).expect("heads are ASCII").to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("the content is as long as it says");
    Answer { status, head, body }
}

/// Whether the server answers somebody else.
pub fn serves(port: u16) -> bool {
    status(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200
}

/// Whether the other end has closed: reading gives an end or an error, and not nothing.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a time can be set");
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}
