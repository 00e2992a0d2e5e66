//! Master files: RFC 1035 section 5, with the $TTL of RFC 2308 section 4 and the unknown types of RFC 3597.
//!
//! Reading is bounded whatever the text: a file costs time and memory in proportion to its length, includes
//! are limited in depth and number, and nothing recurses but includes.

mod base;
mod fields;
mod generic;
mod lexer;
mod loc;
mod number;
mod special;
mod svcb;
mod types;

use crate::hash::NameHash;
use crate::name::{Name, NameBuffer};
use crate::rtype as t;
use crate::zone::rrset::{FIXED, QUESTION_POINTER, TTL_AT};
use crate::zone::tree::NodeId;
use crate::zone::{Assembly, Builder, Place, Problem, Zone, ZoneError, ZoneErrors, quote, read_u32};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use fields::{Fields, Origin};
use lexer::{Lexer, Start, Token};
use number::parse_time;
pub(crate) use types::name as type_name;

/// Gives the octets of a file by its name, as the caller or an $INCLUDE names it, or says why it cannot.
pub type Loader<'l, 'f> = &'l mut dyn FnMut(&str) -> Result<Cow<'f, [u8]>, Box<str>>;

/// How deep files may include one another.
const MAX_DEPTH: usize = 8;
/// How many files a zone may be made of: depth alone would allow exponentially many.
const MAX_FILES: usize = 1000;
/// The longest record, with its comments: four times what the longest data takes when each octet is an escape.
const MAX_RECORD: usize = 1 << 20;
/// How many records are read in one step.
const AT_ONCE: usize = 128;

/// Reads and checks a zone.
pub(crate) async fn load<S: Source>(
    hash: NameHash,
    origin: &Name,
    file: &str,
    source: &mut S,
) -> Result<Zone, ZoneErrors> {
    let builder = match Builder::new(origin, hash) {
        Ok(builder) => builder,
        Err(problem) => return Err(ZoneErrors(vec![ZoneError { file: file.into(), line: 0, problem }])),
    };
    let wire = origin.wire();
    let (node, node_hash) = (builder.tree.apex, builder.tree.apex_hash);
    let mut reader = Reader {
        builder,
        open: Vec::new(),
        origin: Origin { labels: wire[..wire.len() - 1].into(), node, hash: node_hash },
        owner: None,
        default_ttl: None,
        last_ttl: None,
        soa_minimum: None,
        last_type: None,
        buffer: NameBuffer::new(),
    };
    reader.open(file, Place { file: 0, line: 0 });
    loop {
        match reader.step() {
            Progress::Done => break,
            Progress::More => source.pause().await,
            Progress::Short => {
                let Some(open) = reader.open.last_mut() else { break };
                let read = source.read(&open.name, open.offset, &mut open.text).await;
                reader.came(read);
            }
        }
    }
    if !reader.builder.errors.is_empty() {
        return Err(ZoneErrors(reader.builder.errors));
    }
    let mut assembly = Assembly::new(reader.builder);
    while !assembly.step() {
        source.pause().await;
    }
    assembly.finish().map_err(ZoneErrors)
}

/// Gives the text of zone files, piece by piece.
pub trait Source {
    /// Appends the next octets of a file to `into`, those from `offset` on, and says how many; none at its end. `name`
    /// is as the caller or an $INCLUDE names it. An error says why there is no such text.
    fn read(
        &mut self,
        name: &str,
        offset: u64,
        into: &mut Vec<u8>,
    ) -> impl Future<Output = Result<usize, Box<str>>>;

    /// Called after each few microseconds of work: lets others work.
    fn pause(&mut self) -> impl Future<Output = ()>;
}

/// How far reading has come.
enum Progress {
    /// There is more to understand.
    More,
    /// More text of the innermost file is needed.
    Short,
    /// All is read.
    Done,
}

/// A file that is being read.
struct Open {
    name: Box<str>,
    /// Its index among the zone's files.
    file: u16,
    /// What was read of it, how much of that was understood, the line after that, and where in the file it ends.
    text: Vec<u8>,
    done: usize,
    line: u32,
    offset: u64,
    ended: bool,
    /// Where it is included, and what the including file goes on with.
    place: Place,
    outer: (Origin, Option<NodeId>),
}

struct Reader {
    builder: Builder,
    /// The files that are being read, the outermost first.
    open: Vec<Open>,
    origin: Origin,
    /// The owner of the record before.
    owner: Option<NodeId>,
    /// What $TTL says.
    default_ttl: Option<u32>,
    /// The last one stated, which counts as long as there is no $TTL (RFC 1035 section 5.1).
    last_ttl: Option<u32>,
    /// What counts if none was stated at all.
    soa_minimum: Option<u32>,
    /// The type of the record before, since zones have long runs of one type.
    last_type: Option<&'static types::TypeInfo>,
    buffer: NameBuffer,
}

impl Reader {
    /// Begins with a file.
    fn open(&mut self, name: &str, place: Place) {
        let file = self.builder.files.len() as u16;
        self.builder.files.push(name.into());
        let outer = (self.origin.clone(), self.owner);
        let (name, text) = (name.into(), Vec::new());
        self.open.push(Open { name, file, text, done: 0, line: 1, offset: 0, ended: false, place, outer });
    }

    /// Takes note of what came of reading the innermost file.
    fn came(&mut self, read: Result<usize, Box<str>>) {
        let Some(open) = self.open.last_mut() else { return };
        match read {
            Ok(0) => open.ended = true,
            Ok(count) => open.offset += count as u64,
            Err(why) => {
                let (problem, place) = (Problem::Unreadable(open.name.clone(), why), open.place);
                self.builder.error(place, problem);
                open.text.clear();
                (open.done, open.ended) = (0, true);
            }
        }
    }

    /// Understands some records of the innermost file; what is wrong inside is noted.
    fn step(&mut self) -> Progress {
        let depth = self.open.len();
        if self.builder.errors.len() >= crate::zone::MOST_ERRORS {
            return Progress::Done;
        }
        let Some(open) = self.open.last_mut() else { return Progress::Done };
        let (file, ended) = (open.file, open.ended);
        let mut text = core::mem::take(&mut open.text);
        // A byte order mark is no part of the first name.
        if open.offset == text.len() as u64 && open.done == 0 && text.starts_with(b"\xef\xbb\xbf") {
            open.done = 3;
        }
        // Up to the end of a line, so that no word is cut.
        let end = match ended {
            true => text.len(),
            false => text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
        };
        let start = open.done.min(end);
        let mut lexer = Lexer::new(&text[start..end], open.line, !ended);
        let (mut done, mut line);
        let mut left = AT_ONCE;
        loop {
            let start = lexer.start();
            (done, line) = (lexer.record_start(), lexer.line);
            let place = Place { file, line };
            let result = match start {
                _ if left == 0 => break,
                Start::End => break,
                Start::Blank => self.record(&mut lexer, place, None),
                Start::Word => self.line(&mut lexer, place),
            };
            if lexer.short {
                break;
            }
            if let Err(problem) = result {
                self.builder.error(place, problem);
                lexer.skip_record();
                if lexer.short {
                    break;
                }
            }
            if self.open.len() > depth {
                (done, line) = (lexer.position(), lexer.line);
                break;
            }
            left -= 1;
        }
        let unfinished = lexer.short || left > 0;
        let included = self.open.len() > depth;
        let open = &mut self.open[depth - 1];
        (open.done, open.line) = (start + done, line);
        if included || !unfinished {
            open.text = text;
            return Progress::More;
        }
        if ended {
            if let Some(open) = self.open.pop() {
                // The including file goes on where it was.
                (self.origin, self.owner) = open.outer;
            }
            return Progress::More;
        }
        text.drain(..open.done);
        (open.done, open.text) = (0, text);
        if open.text.len() <= MAX_RECORD {
            return Progress::Short;
        }
        let place = Place { file, line };
        self.builder.error(place, Problem::LineTooLong);
        Progress::Done
    }

    /// A line that starts with a word: a directive, or a record with its owner.
    fn line(&mut self, lexer: &mut Lexer<'_>, place: Place) -> Result<(), Problem> {
        // An opening parenthesis may stand alone before the end of the file.
        let Some(first) = lexer.next()? else { return Ok(()) };
        if first.quoted || !first.text.starts_with(b"$") {
            return self.record(lexer, place, Some(first));
        }
        let mut argument = |what| match lexer.next() {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(Problem::MissingField(what)),
            Err(problem) => Err(problem),
        };
        let directive = first.text;
        if directive.eq_ignore_ascii_case(b"$TTL") {
            self.default_ttl = Some(parse_time(argument("a time to live")?.text)?);
        } else if directive.eq_ignore_ascii_case(b"$ORIGIN") {
            let name = argument("a name")?;
            self.origin = self.origin_named(name.text)?;
        } else if directive.eq_ignore_ascii_case(b"$INCLUDE") {
            let name = argument("a file name")?;
            let inner = match lexer.next()? {
                Some(origin) => self.origin_named(origin.text)?,
                None => self.origin.clone(),
            };
            end(lexer)?;
            let mut path = Vec::new();
            crate::name::unescape_all(name.text, &mut path)?;
            let path =
                String::from_utf8(path).map_err(|_| Problem::BadField("a file name", quote(name.text)))?;
            if self.open.iter().any(|open| *open.name == *path) {
                return Err(Problem::IncludeLoop(path.into()));
            }
            if self.open.len() >= MAX_DEPTH || self.builder.files.len() >= MAX_FILES {
                return Err(Problem::IncludeLimit);
            }
            self.open(&path, place);
            self.origin = inner;
            return Ok(());
        } else {
            return Err(Problem::UnknownDirective(quote(directive)));
        }
        end(lexer)
    }

    /// The origin that a directive names.
    fn origin_named(&mut self, text: &[u8]) -> Result<Origin, Problem> {
        let (node, hash) = fields::node(text, &self.origin, &mut self.builder.tree, &mut self.buffer)?;
        let name = self.builder.tree.name(node);
        let wire = name.wire();
        Ok(Origin { labels: wire[..wire.len() - 1].into(), node, hash })
    }

    /// A record; without an owner it has the one of the record before.
    fn record(
        &mut self,
        lexer: &mut Lexer<'_>,
        place: Place,
        owner: Option<Token<'_>>,
    ) -> Result<(), Problem> {
        let mut token = lexer.next();
        if let Some(owner) = owner {
            // A bad owner must not hand its records to the name before.
            self.owner = None;
            let found = fields::node(owner.text, &self.origin, &mut self.builder.tree, &mut self.buffer)?;
            self.owner = Some(found.0);
        } else if let Ok(None) = token {
            // Parentheses around nothing.
            return Ok(());
        }
        let (mut ttl, mut class) = (None, false);
        let rtype = loop {
            let Some(word) = token? else { return Err(Problem::MissingField("a record type")) };
            let text = word.text;
            if text.first().is_some_and(u8::is_ascii_digit) && ttl.is_none() {
                ttl = Some(parse_time(text)?);
            } else if !class && is_class(text)? {
                class = true;
            } else {
                break text;
            }
            token = lexer.next();
        };
        let (rtype, fields) = self.rtype(rtype)?;
        let node = self.owner.ok_or(Problem::NoOwner)?;
        if ttl.is_some() {
            self.last_ttl = ttl;
        }
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl).or(self.soa_minimum);
        if ttl.is_none() && rtype != t::SOA {
            return Err(Problem::NoTtl);
        }
        let start = self.builder.data.len();
        let result = self.stored(lexer, rtype, fields, ttl);
        let result = result.and_then(|()| self.builder.stage(place, node, rtype, start));
        if result.is_err() {
            self.builder.data.truncate(start);
        }
        result
    }

    /// Appends the stored form of a record.
    fn stored(
        &mut self,
        lexer: &mut Lexer<'_>,
        rtype: u16,
        fields: Option<&'static [types::Field]>,
        ttl: Option<u32>,
    ) -> Result<(), Problem> {
        let out = &mut self.builder.data;
        let start = out.len();
        out.extend_from_slice(&QUESTION_POINTER);
        out.extend_from_slice(&rtype.to_be_bytes());
        out.extend_from_slice(&t::CLASS_IN.to_be_bytes());
        out.extend_from_slice(&ttl.unwrap_or(0).to_be_bytes());
        let mut fields_of = Fields {
            lexer,
            peeked: None,
            tree: &mut self.builder.tree,
            out,
            origin: &self.origin,
            buffer: &mut self.buffer,
        };
        fields_of.data(rtype, fields)?;
        if rtype == t::SOA {
            let minimum = read_u32(&out[out.len() - 4..]);
            self.soa_minimum = Some(minimum);
            if ttl.is_none() {
                out[start + TTL_AT..start + FIXED].copy_from_slice(&minimum.to_be_bytes());
            }
        }
        Ok(())
    }

    /// The number and fields of a type.
    fn rtype(&mut self, text: &[u8]) -> Result<(u16, Option<&'static [types::Field]>), Problem> {
        let last = self.last_type.filter(|info| text.eq_ignore_ascii_case(info.name.as_bytes()));
        if let Some(info) = last.or_else(|| types::by_name(text)) {
            self.last_type = Some(info);
            return Ok((info.code, Some(info.fields)));
        }
        let code = types::numbered(b"TYPE", text).ok_or_else(|| Problem::UnknownType(quote(text)))?;
        if t::is_meta(code) {
            return Err(Problem::NotZoneData(quote(text)));
        }
        Ok((code, types::fields(code)))
    }
}

/// Whether a word is a class; one that is not served is an error.
fn is_class(text: &[u8]) -> Result<bool, Problem> {
    let other = [&b"CH"[..], b"HS", b"CS"].iter().any(|class| text.eq_ignore_ascii_case(class));
    match types::numbered(b"CLASS", text) {
        _ if text.eq_ignore_ascii_case(b"IN") => Ok(true),
        Some(t::CLASS_IN) => Ok(true),
        None if !other => Ok(false),
        _ => Err(Problem::NotClassIn(quote(text))),
    }
}

/// A directive must end here.
fn end(lexer: &mut Lexer<'_>) -> Result<(), Problem> {
    match lexer.next()? {
        Some(token) => Err(Problem::ExtraField(quote(token.text))),
        None => Ok(()),
    }
}
