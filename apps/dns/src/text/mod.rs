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
mod record;
mod special;
mod svcb;
mod types;

use crate::hash::NameHash;
use crate::name::{Name, NameBuffer};
use crate::zone::tree::NodeId;
use crate::zone::{Assembly, Builder, Place, Problem, Zone, ZoneError, ZoneErrors};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use fields::Origin;
use lexer::{Lexer, Start};
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
    let refused = |problem| ZoneErrors(vec![ZoneError { file: file.into(), line: 0, problem }]);
    let builder = Builder::new(origin, hash).map_err(refused)?;
    // What is large is on the heap: the task that waits meanwhile holds but pointers to it.
    let mut reader = Reader::new(builder, origin, file);
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
    let mut assembly = reader.assembly().map_err(refused)?;
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
    #[inline(never)]
    fn new(builder: Builder, origin: &Name, file: &str) -> Box<Self> {
        let wire = origin.wire();
        let (node, hash) = (builder.tree.apex, builder.tree.apex_hash);
        let mut reader = Box::new(Self {
            builder,
            open: Vec::new(),
            origin: Origin { labels: wire[..wire.len() - 1].into(), node, hash },
            owner: None,
            default_ttl: None,
            last_ttl: None,
            soa_minimum: None,
            last_type: None,
            buffer: NameBuffer::new(),
        });
        reader.open(file, Place { file: 0, line: 0 });
        reader
    }

    /// Goes on with what was read.
    #[inline(never)]
    fn assembly(self: Box<Self>) -> Result<Box<Assembly>, Problem> {
        Assembly::new(self.builder).map(Box::new)
    }

    /// Begins with a file.
    fn open(&mut self, name: &str, place: Place) {
        let file = self.builder.files.len() as u16;
        self.builder.files.push(name.into());
        let outer = (self.origin.clone(), self.owner);
        let (name, text) = (name.into(), Vec::new());
        self.open.push(Open { name, file, text, done: 0, line: 1, offset: 0, ended: false, place, outer });
    }

    /// Takes note of what came of reading the innermost file.
    #[inline(never)]
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
    #[inline(never)]
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
        let place = Place { file, line: open.line };
        if let Err(problem) = self.builder.reserve(text.len() - start, AT_ONCE) {
            self.builder.error(place, problem);
            return Progress::Done;
        }
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
                let full = problem == Problem::NoMemory;
                self.builder.error(place, problem);
                if full {
                    return Progress::Done;
                }
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
}
