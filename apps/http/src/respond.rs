//! Answers: heads, and which parts of a file follow them.

use crate::condition::{self, Verdict};
use crate::head::{ALLOW, Field, Head, Method};
use crate::range::{self, Ranges};
use crate::representation::{Representation, content_fields};
use crate::{Status, date, number};
use alloc::vec::Vec;

/// What follows a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing, or what was written into the buffer already.
    None,
    /// These octets of the file: the first, and how many.
    Part(u64, u64),
    /// Several parts of the file as `multipart/byteranges`: before each stands a text; a last one has no part.
    Parts(Vec<(Vec<u8>, u64, u64)>),
}

/// The date of answers, written once a second.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Seconds since 1970.
    pub now: u64,
    common: [u8; COMMON.len()],
}

/// What every answer says of its origin.
const COMMON: &[u8; 57] = b"Server: kernlet\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\0\0\0";
/// Where the date stands in it.
const DATE_AT: usize = 23;

impl Default for Clock {
    fn default() -> Self {
        Self { now: 0, common: *COMMON }
    }
}

impl Clock {
    /// Sets the time of day, in seconds since 1970.
    pub fn set(&mut self, now: u64) {
        if self.now != now {
            self.now = now;
            self.common[DATE_AT..DATE_AT + date::LENGTH].copy_from_slice(&date::write(now));
        }
    }

    fn fields(&self) -> &[u8] {
        &self.common[..COMMON.len() - 3]
    }
}

/// How the connection goes on, which the answer's fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It stays open, which HTTP/1.1 need not say.
    Stays,
    /// It stays open, which HTTP/1.0 must say.
    StaysOld,
    /// It is closed after this answer.
    Closes,
}

impl Connection {
    /// What a request leads to when nothing else closes the connection.
    pub fn of(head: &Head<'_, '_>) -> Self {
        match (head.keep_alive, head.minor) {
            (false, _) => Self::Closes,
            (true, 0) => Self::StaysOld,
            (true, _) => Self::Stays,
        }
    }

    fn fields(self) -> &'static [u8] {
        match self {
            Self::Stays => b"",
            Self::StaysOld => b"Connection: keep-alive\r\n",
            Self::Closes => b"Connection: close\r\n",
        }
    }
}

/// Begins a head: the status line and what all answers have.
fn begin(out: &mut Vec<u8>, status: Status, clock: &Clock, connection: Connection) {
    out.extend_from_slice(b"HTTP/1.1 ");
    number::decimal(out, status.0.into());
    out.push(b' ');
    out.extend_from_slice(status.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(clock.fields());
    out.extend_from_slice(connection.fields());
}

/// Answers a GET or HEAD request with a file: conditions, ranges and all. Appends the head to `out`, and tells the
/// status and what of the file follows.
pub fn respond(
    out: &mut Vec<u8>,
    head: &Head<'_, '_>,
    file: &Representation,
    clock: &Clock,
    connection: Connection,
) -> (Status, Content) {
    match condition::evaluate(head, file, clock.now) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            begin(out, Status::NOT_MODIFIED, clock, connection);
            out.extend_from_slice(file.identifying_fields());
            out.extend_from_slice(b"\r\n");
            return (Status::NOT_MODIFIED, Content::None);
        }
        Verdict::Failed => {
            error(out, Some(head), Status::PRECONDITION_FAILED, clock, connection);
            return (Status::PRECONDITION_FAILED, Content::None);
        }
    }
    // Ranges are defined for GET alone (RFC 9110, section 14.2).
    if head.method == Method::Get
        && let Some(value) = head.single(Field::Range)
        && condition::range_applies(head, file, clock.now)
    {
        match range::parse(value, file.length) {
            Ranges::Ignored => {}
            Ranges::Unsatisfiable => {
                let length = |out: &mut Vec<u8>| {
                    out.extend_from_slice(b"Content-Range: bytes */");
                    number::decimal(out, file.length);
                    out.extend_from_slice(b"\r\n");
                };
                plain(out, Some(head), Status::RANGE_NOT_SATISFIABLE, clock, connection, length);
                return (Status::RANGE_NOT_SATISFIABLE, Content::None);
            }
            Ranges::Parts(parts) => {
                begin(out, Status::PARTIAL_CONTENT, clock, connection);
                out.extend_from_slice(file.fields());
                return (Status::PARTIAL_CONTENT, partial(out, file, &parts));
            }
        }
    }
    begin(out, Status::OK, clock, connection);
    out.extend_from_slice(file.fields());
    file.content_fields(out);
    out.extend_from_slice(b"\r\n");
    let content = if head.method == Method::Head { Content::None } else { Content::Part(0, file.length) };
    (Status::OK, content)
}

/// Ends the head of a 206.
fn partial(out: &mut Vec<u8>, file: &Representation, parts: &[(u64, u64)]) -> Content {
    if let &[(first, last)] = parts {
        content_range(out, first, last, file.length);
        content_fields(out, file.kind, last - first + 1);
        out.extend_from_slice(b"\r\n");
        return Content::Part(first, last - first + 1);
    }
    // The parts are those of one file, so a boundary that is in its content would harm nobody but its author; it is
    // made of the tag, so that it differs from file to file and is the same each time.
    let boundary: Vec<u8> = b"part-"
        .iter()
        .chain(file.etag().opaque)
        .copied()
        .filter(|b| b.is_ascii_alphanumeric() || *b == b'-')
        .take(60)
        .collect();
    let mut pieces = Vec::with_capacity(parts.len() + 1);
    let mut length = 0;
    for &(first, last) in parts {
        let mut text = Vec::with_capacity(160);
        text.extend_from_slice(b"\r\n--");
        text.extend_from_slice(&boundary);
        text.extend_from_slice(b"\r\nContent-Type: ");
        text.extend_from_slice(file.kind.as_bytes());
        text.extend_from_slice(b"\r\n");
        content_range(&mut text, first, last, file.length);
        text.extend_from_slice(b"\r\n");
        length += text.len() as u64 + last - first + 1;
        pieces.push((text, first, last - first + 1));
    }
    let end = [b"\r\n--", &boundary[..], b"--\r\n"].concat();
    length += end.len() as u64;
    pieces.push((end, 0, 0));
    out.extend_from_slice(b"Content-Type: multipart/byteranges; boundary=");
    out.extend_from_slice(&boundary);
    out.extend_from_slice(b"\r\nContent-Length: ");
    number::decimal(out, length);
    out.extend_from_slice(b"\r\n\r\n");
    Content::Parts(pieces)
}

fn content_range(out: &mut Vec<u8>, first: u64, last: u64, length: u64) {
    out.extend_from_slice(b"Content-Range: bytes ");
    number::decimal(out, first);
    out.push(b'-');
    number::decimal(out, last);
    out.push(b'/');
    number::decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Answers with a status and a line of text that says it. `head` is `None` when the request could not be read.
pub fn error(
    out: &mut Vec<u8>,
    head: Option<&Head<'_, '_>>,
    status: Status,
    clock: &Clock,
    connection: Connection,
) {
    plain(out, head, status, clock, connection, |out| {
        if status == Status::METHOD_NOT_ALLOWED {
            allow(out);
        }
        if status == Status::SERVICE_UNAVAILABLE {
            out.extend_from_slice(b"Retry-After: 5\r\n");
        }
    });
}

fn allow(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Allow: ");
    out.extend_from_slice(ALLOW.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn plain(
    out: &mut Vec<u8>,
    head: Option<&Head<'_, '_>>,
    status: Status,
    clock: &Clock,
    connection: Connection,
    more: impl FnOnce(&mut Vec<u8>),
) {
    begin(out, status, clock, connection);
    more(out);
    let reason = status.reason().as_bytes();
    content_fields(out, "text/plain; charset=utf-8", reason.len() as u64 + 5);
    out.extend_from_slice(b"\r\n");
    if head.is_none_or(|h| h.method != Method::Head) {
        number::decimal(out, status.0.into());
        out.push(b' ');
        out.extend_from_slice(reason);
        out.push(b'\n');
    }
}

/// Answers an OPTIONS request.
pub fn options(out: &mut Vec<u8>, clock: &Clock, connection: Connection) {
    begin(out, Status::NO_CONTENT, clock, connection);
    allow(out);
    out.extend_from_slice(b"\r\n");
}

/// Sends the client to `location`, an encoded path.
pub fn redirect(
    out: &mut Vec<u8>,
    head: &Head<'_, '_>,
    location: &[u8],
    clock: &Clock,
    connection: Connection,
) {
    plain(out, Some(head), Status::MOVED_PERMANENTLY, clock, connection, |out| {
        out.extend_from_slice(b"Location: ");
        out.extend_from_slice(location);
        out.extend_from_slice(b"\r\n");
    });
}

/// Answers with a page that was made for this request.
pub fn page(out: &mut Vec<u8>, head: &Head<'_, '_>, html: &[u8], clock: &Clock, connection: Connection) {
    begin(out, Status::OK, clock, connection);
    out.extend_from_slice(b"Cache-Control: no-cache\r\n");
    content_fields(out, "text/html; charset=utf-8", html.len() as u64);
    out.extend_from_slice(b"\r\n");
    if head.method != Method::Head {
        out.extend_from_slice(html);
    }
}

/// The interim answer that lets a client send its content.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[cfg(test)]
mod tests;
