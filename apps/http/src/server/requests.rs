//! From what came in to answers.

use super::Server;
use super::connection::Connection;
use super::files::{Found, Lookup, Served, Source};
use super::segment::Segment;
use http::body::Body;
use http::head::{self, Field, Head, Method};
use http::respond::{self, Content};
use http::{Status, encoding, target};
use kernlet::alloc::vec::Vec;

/// Answers are sent when they come to this size, whatever else has been asked for.
const FULL: usize = 32 << 10;
/// Content up to this size is copied behind its head; more is sent from where it lies.
const COPIED: u64 = 4 << 10;

/// How it goes on.
pub enum Action {
    /// More has to come in.
    More,
    /// What was answered has to be sent first.
    Flush,
    /// A file has to be looked for; then the same request again, with what was found.
    Find(Lookup),
    /// No more requests are answered.
    Close,
    /// The same, and where the next one would begin is not known.
    Refuse,
}

/// What became of one request.
enum Answered {
    Stays,
    Closes,
    Waits(Lookup),
}

impl Connection {
    /// Answers the requests in `input`, as far as they are whole; `found` belongs to the first of them. Tells how much
    /// of the input is done with.
    pub(super) fn work(
        &mut self,
        server: &Server,
        input: &[u8],
        output: &mut Vec<u8>,
        mut found: Option<Result<Found, Status>>,
    ) -> (usize, Action) {
        let mut used = 0;
        loop {
            if output.len() >= FULL || !self.segments.is_empty() {
                return (used, Action::Flush);
            }
            if let Some(body) = &mut self.body {
                match body.read(&input[used..]) {
                    Ok(count) => used += count,
                    Err(status) => return self.refuse(server, input, output, status),
                }
                if !body.ended() {
                    return (used, Action::More);
                }
                self.body = None;
            }
            if !self.held.is_empty() {
                let held = core::mem::take(&mut self.held);
                let mut room = head::room();
                // It was read before.
                let Ok(Some(head)) = head::parse(&held, &mut room) else { return (used, Action::Refuse) };
                match self.answer(server, &head, output, found.take()) {
                    Answered::Stays => continue,
                    Answered::Closes => return (used, Action::Close),
                    Answered::Waits(lookup) => {
                        self.held = held;
                        return (used, Action::Find(lookup));
                    }
                }
            }
            while input[used..].starts_with(b"\r\n") {
                used += 2;
            }
            let rest = &input[used..];
            let fresh = rest.get(self.examined..).unwrap_or(rest);
            if rest.is_empty() || (self.examined > 0 && rest.len() < head::LARGEST && !fresh.contains(&b'\n'))
            {
                return (used, Action::More);
            }
            let mut room = head::room();
            let head = match head::parse(rest, &mut room) {
                Ok(Some(head)) => head,
                Ok(None) => {
                    self.examined = rest.len();
                    return (used, Action::More);
                }
                Err(status) => return self.refuse(server, input, output, status),
            };
            self.examined = 0;
            match self.begin_body(&head, output) {
                Ok(false) => {}
                Ok(true) => {
                    self.held = rest[..head.length].into();
                    used += head.length;
                    continue;
                }
                Err(status) => {
                    self.error(server, Some(&head), output, status, respond::Connection::Closes);
                    return (input.len(), Action::Refuse);
                }
            }
            let length = head.length;
            match self.answer(server, &head, output, found.take()) {
                Answered::Stays => used += length,
                Answered::Closes => return (used + length, Action::Close),
                Answered::Waits(lookup) => return (used, Action::Find(lookup)),
            }
        }
    }

    /// Whether a request has content that must be read over before it is answered.
    ///
    /// # Errors
    /// The status with which it is refused at once, its content unread.
    fn begin_body(&mut self, head: &Head<'_, '_>, output: &mut Vec<u8>) -> Result<bool, Status> {
        let expects = head.expects_continue()?;
        let Some(body) = Body::new(head.framing)? else { return Ok(false) };
        match head.method {
            Method::Get | Method::Head | Method::Options => {}
            Method::Refused if expects => return Err(Status::METHOD_NOT_ALLOWED),
            Method::Unknown if expects => return Err(Status::NOT_IMPLEMENTED),
            Method::Refused | Method::Unknown => {}
        }
        if expects {
            output.extend_from_slice(respond::CONTINUE);
        }
        self.body = Some(body);
        Ok(true)
    }

    fn refuse(
        &mut self,
        server: &Server,
        input: &[u8],
        output: &mut Vec<u8>,
        status: Status,
    ) -> (usize, Action) {
        self.body = None;
        self.error(server, None, output, status, respond::Connection::Closes);
        (input.len(), Action::Refuse)
    }

    fn error(
        &mut self,
        server: &Server,
        head: Option<&Head<'_, '_>>,
        output: &mut Vec<u8>,
        status: Status,
        connection: respond::Connection,
    ) {
        self.answered += 1;
        let clock = server.clock.borrow();
        respond::error(output, head, status, &clock, connection);
        if let Some(log) = &server.log {
            log.note(&self.stream, head, clock.now, status.0, 0);
        }
    }

    /// Answers one request.
    fn answer(
        &mut self,
        server: &Server,
        head: &Head<'_, '_>,
        output: &mut Vec<u8>,
        found: Option<Result<Found, Status>>,
    ) -> Answered {
        let connection = match respond::Connection::of(head) {
            _ if server.stopping.get() => respond::Connection::Closes,
            asked => asked,
        };
        let ends = if connection == respond::Connection::Closes { Answered::Closes } else { Answered::Stays };
        let wanted = match self.find(server, head, found) {
            Err(status) => {
                self.error(server, Some(head), output, status, connection);
                return ends;
            }
            Ok(Wanted::Waits(lookup)) => return Answered::Waits(lookup),
            Ok(wanted) => wanted,
        };
        self.answered += 1;
        match wanted {
            Wanted::Waits(_) => {}
            Wanted::File(file) => self.file(server, head, &file, output, connection),
            Wanted::Options => {
                respond::options(output, &server.clock.borrow(), connection);
                self.log(server, head, Status::NO_CONTENT, 0);
            }
            Wanted::Redirect(location) => {
                respond::redirect(output, head, &location, &server.clock.borrow(), connection);
                self.log(server, head, Status::MOVED_PERMANENTLY, 0);
            }
            Wanted::Listing(page) => {
                respond::page(output, head, &page, &server.clock.borrow(), connection);
                self.log(server, head, Status::OK, page.len() as u64);
            }
        }
        ends
    }

    /// What a request asks for.
    fn find(
        &self,
        server: &Server,
        head: &Head<'_, '_>,
        found: Option<Result<Found, Status>>,
    ) -> Result<Wanted, Status> {
        match head.method {
            Method::Get | Method::Head => {}
            Method::Options if head.target == b"*" => return Ok(Wanted::Options),
            Method::Options => {
                let path = target::path_and_query(head.target).ok_or(Status::BAD_REQUEST)?;
                return target::decode(target::path(path)).map(|_| Wanted::Options);
            }
            Method::Refused => return Err(Status::METHOD_NOT_ALLOWED),
            Method::Unknown => return Err(Status::NOT_IMPLEMENTED),
        }
        if let Some(found) = found {
            return Ok(match found? {
                Found::File(file) => Wanted::File(file),
                Found::Redirect(location) => Wanted::Redirect(location),
                Found::Listing(page) => Wanted::Listing(page),
            });
        }
        let path_and_query = target::path_and_query(head.target).ok_or(Status::BAD_REQUEST)?;
        let raw = target::path(path_and_query);
        let gzip =
            head.has(Field::AcceptEncoding) && encoding::gzip_wanted(head.values(Field::AcceptEncoding));
        if let Some(file) = server.files.known(raw, gzip) {
            return Ok(Wanted::File(file));
        }
        let query = path_and_query[raw.len()..].into();
        Ok(Wanted::Waits(Lookup { path: target::decode(raw)?, raw: raw.into(), query, gzip }))
    }

    fn file(
        &mut self,
        server: &Server,
        head: &Head<'_, '_>,
        file: &Served,
        output: &mut Vec<u8>,
        connection: respond::Connection,
    ) {
        let clock = server.clock.borrow();
        let (status, content) = respond::respond(output, head, &file.representation, &clock, connection);
        let mut length = 0;
        match content {
            Content::None => {}
            Content::Part(first, count) => {
                length = count;
                match &file.source {
                    Source::Static(bytes) if count <= COPIED => copy(output, bytes, first, count),
                    Source::Copy(bytes, _) if count <= COPIED => copy(output, bytes, first, count),
                    source => self.segments.push_back(segment(source, first, count)),
                }
            }
            Content::Parts(parts) => {
                for (text, first, count) in parts {
                    length += text.len() as u64 + count;
                    self.segments.push_back(Segment::Own(text, 0));
                    if count > 0 {
                        self.segments.push_back(segment(&file.source, first, count));
                    }
                }
            }
        }
        self.log(server, head, status, length);
    }

    fn log(&self, server: &Server, head: &Head<'_, '_>, status: Status, length: u64) {
        if let Some(log) = &server.log {
            let length = if head.method == Method::Head { 0 } else { length };
            log.note(&self.stream, Some(head), server.clock.borrow().now, status.0, length);
        }
    }
}

/// What a request asks for.
enum Wanted {
    File(kernlet::alloc::rc::Rc<Served>),
    Redirect(Vec<u8>),
    Listing(Vec<u8>),
    Options,
    Waits(Lookup),
}

/// Where a part begins and ends in a file in memory, of which it is a part.
fn bounds(length: usize, first: u64, count: u64) -> (usize, usize) {
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(length);
    (at(first), at(first.saturating_add(count)))
}

fn copy(output: &mut Vec<u8>, bytes: &[u8], first: u64, count: u64) {
    let (first, end) = bounds(bytes.len(), first, count);
    output.extend_from_slice(&bytes[first..end]);
}

fn segment(source: &Source, first: u64, count: u64) -> Segment {
    match source {
        Source::Static(bytes) => {
            let (first, end) = bounds(bytes.len(), first, count);
            Segment::Static(&bytes[first..end])
        }
        Source::Copy(bytes, _) => {
            let (first, end) = bounds(bytes.len(), first, count);
            Segment::Shared(bytes.clone(), first, end)
        }
        Source::Open(file) => Segment::File(file.clone(), first, count),
    }
}
