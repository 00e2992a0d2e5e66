//! The head of a request: request line and fields (RFC 9112, sections 2 to 5), read in place.

use crate::Status;
use crate::number;
use core::mem::MaybeUninit;

/// The largest head that is read, in octets.
pub const LARGEST: usize = 16 << 10;
/// The longest request target, in octets: RFC 9112, section 3, recommends at least 8000 for the whole line.
pub const LONGEST_TARGET: usize = 8 << 10;
/// Fields that one head may have.
pub const MOST_FIELDS: usize = 100;

/// Room for the fields of a head.
pub type Room<'b> = [MaybeUninit<httparse::Header<'b>>; MOST_FIELDS];

/// Empty room, which costs nothing to make.
pub fn room<'b>() -> Room<'b> {
    [const { MaybeUninit::uninit() }; MOST_FIELDS]
}

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// One that is known, but that static files do not have: 405.
    Refused,
    /// Any other: 501.
    Unknown,
}

/// What the methods of a file are, for the field Allow.
pub const ALLOW: &str = "GET, HEAD, OPTIONS";

/// The fields that matter to a server of static files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Field {
    Host = 1,
    Connection = 1 << 1,
    ContentLength = 1 << 2,
    TransferEncoding = 1 << 3,
    Expect = 1 << 4,
    AcceptEncoding = 1 << 5,
    IfMatch = 1 << 6,
    IfNoneMatch = 1 << 7,
    IfModifiedSince = 1 << 8,
    IfUnmodifiedSince = 1 << 9,
    IfRange = 1 << 10,
    Range = 1 << 11,
    Referer = 1 << 12,
    UserAgent = 1 << 13,
}

use Field::*;

/// Every field with its name.
const FIELDS: [(&str, Field); 14] = [
    ("host", Host),
    ("connection", Connection),
    ("content-length", ContentLength),
    ("transfer-encoding", TransferEncoding),
    ("expect", Expect),
    ("accept-encoding", AcceptEncoding),
    ("if-match", IfMatch),
    ("if-none-match", IfNoneMatch),
    ("if-modified-since", IfModifiedSince),
    ("if-unmodified-since", IfUnmodifiedSince),
    ("if-range", IfRange),
    ("range", Range),
    ("referer", Referer),
    ("user-agent", UserAgent),
];

impl Field {
    fn of(name: &str) -> Option<Self> {
        // Most of what browsers send is told apart by its length alone.
        let matches =
            |(known, _): &&(&str, Self)| known.len() == name.len() && known.eq_ignore_ascii_case(name);
        FIELDS.iter().find(matches).map(|(_, field)| *field)
    }
}

/// How the end of a request's content is found (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none, or it has this many octets.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// The head of a request.
#[derive(Debug)]
pub struct Head<'h, 'b> {
    /// The method.
    pub method: Method,
    /// The method as it came.
    pub method_text: &'b str,
    /// The request target as it came.
    pub target: &'b [u8],
    /// 1 of HTTP/1.1, 0 of HTTP/1.0.
    pub minor: u8,
    /// Octets of the head with the empty line at its end.
    pub length: usize,
    /// Where the content ends.
    pub framing: Framing,
    /// Whether the connection stays open after the answer, as far as the client is concerned.
    pub keep_alive: bool,
    headers: &'h [httparse::Header<'b>],
    present: u16,
}

/// Reads a head from the start of `bytes`; `None` when it has not come whole. Empty lines in front are passed over.
///
/// # Errors
/// The status with which to refuse it. Where requests end is not known after that, so the connection must be closed.
pub fn parse<'h, 'b>(bytes: &'b [u8], room: &'h mut Room<'b>) -> Result<Option<Head<'h, 'b>>, Status> {
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, room) {
        Ok(httparse::Status::Complete(length)) if length <= LARGEST => length,
        Ok(_) if bytes.len() >= LARGEST => {
            return Err(if bytes.contains(&b'\n') { Status::FIELDS_TOO_LARGE } else { Status::URI_TOO_LONG });
        }
        Ok(_) => return Ok(None),
        Err(httparse::Error::Version) => return Err(Status::VERSION_NOT_SUPPORTED),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::FIELDS_TOO_LARGE),
        Err(_) => return Err(Status::BAD_REQUEST),
    };
    let httparse::Request { method: Some(method_text), path: Some(target), version: Some(minor), headers } =
        request
    else {
        return Err(Status::BAD_REQUEST);
    };
    let headers: &'h [httparse::Header<'b>] = headers;
    let present = headers.iter().filter_map(|h| Field::of(h.name)).fold(0, |set, field| set | field as u16);
    let mut head = Head {
        method: method(method_text),
        method_text,
        target: target.as_bytes(),
        minor,
        length,
        framing: Framing::Length(0),
        keep_alive: minor > 0,
        headers,
        present,
    };
    head.check_host()?;
    head.framing = head.framing()?;
    if head.has(Connection) {
        head.keep_alive = match head.minor {
            0 => head.lists(Connection, b"keep-alive") && !head.lists(Connection, b"close"),
            _ => !head.lists(Connection, b"close"),
        };
    }
    if head.target.len() > LONGEST_TARGET {
        return Err(Status::URI_TOO_LONG);
    }
    Ok(Some(head))
}

fn method(text: &str) -> Method {
    match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" | "CONNECT" => Method::Refused,
        _ => Method::Unknown,
    }
}

impl<'b> Head<'_, 'b> {
    /// Whether the field is there.
    pub fn has(&self, field: Field) -> bool {
        self.present & field as u16 != 0
    }

    /// The values of a field, one for each line of it.
    pub fn values(&self, field: Field) -> impl Iterator<Item = &'b [u8]> {
        let there = self.has(field);
        let lines = self.headers.iter().filter(move |h| there && Field::of(h.name) == Some(field));
        lines.map(|h| h.value.trim_ascii())
    }

    /// The value of a field that may stand once; `None` when it is not there, or more than once.
    pub fn single(&self, field: Field) -> Option<&'b [u8]> {
        let mut values = self.values(field);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a field that is a list has this member.
    fn lists(&self, field: Field, member: &[u8]) -> bool {
        self.members(field).any(|m| m.eq_ignore_ascii_case(member))
    }

    fn members(&self, field: Field) -> impl Iterator<Item = &'b [u8]> {
        self.values(field)
            .flat_map(|v| v.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|m| !m.is_empty())
    }

    /// The client waits for `100 Continue` before it sends content.
    ///
    /// # Errors
    /// 417 when it expects something else.
    pub fn expects_continue(&self) -> Result<bool, Status> {
        if self.minor == 0 || !self.has(Expect) {
            return Ok(false);
        }
        match self.single(Expect) {
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            _ => Err(Status::EXPECTATION_FAILED),
        }
    }

    /// RFC 9112, section 3.2: one Host, and in HTTP/1.1 not none; and it must be one.
    fn check_host(&self) -> Result<(), Status> {
        let mut hosts = self.values(Host);
        let host = hosts.next();
        if hosts.next().is_some() || (host.is_none() && self.minor > 0) {
            return Err(Status::BAD_REQUEST);
        }
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(b);
        if host.is_some_and(|h| !h.iter().all(allowed)) { Err(Status::BAD_REQUEST) } else { Ok(()) }
    }

    /// RFC 9112, section 6.3. Whatever could be read in two ways, on which request smuggling lives, is refused.
    fn framing(&self) -> Result<Framing, Status> {
        if self.has(TransferEncoding) {
            if self.has(ContentLength) || self.minor == 0 {
                return Err(Status::BAD_REQUEST);
            }
            let mut codings = self.members(TransferEncoding);
            let (first, second) = (codings.next(), codings.next());
            let chunked = |coding: Option<&[u8]>| coding.is_some_and(|c| c.eq_ignore_ascii_case(b"chunked"));
            return match second {
                None if chunked(first) => Ok(Framing::Chunked),
                // No other coding is known. That chunked is not the last one leaves the end open.
                _ if chunked(codings.last().or(second)) && !chunked(first) => Err(Status::NOT_IMPLEMENTED),
                _ => Err(Status::BAD_REQUEST),
            };
        }
        if !self.has(ContentLength) {
            return Ok(Framing::Length(0));
        }
        let length = self.single(ContentLength).and_then(number::parse);
        length.map(Framing::Length).ok_or(Status::BAD_REQUEST)
    }
}

#[cfg(test)]
mod tests;
