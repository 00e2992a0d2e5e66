//! What is told of processes and the system: /proc (proc(5)) and /sys (sysfs(5)), as programs read them.
//!
//! A node is its path within its mount. What it is is found out when somebody comes to it, and its text is made when it is
//! read from the beginning.

mod cpu;
mod net;
mod own;
mod system;
mod text;

pub use text::Text;

use super::path;
use super::tree::directory::Listed;
use super::tree::node::{S_IFDIR, S_IFLNK, S_IFREG};
use super::tree::walk::Target;
use super::tree::{Kind, Location, Node, Sort, System, Times};
use crate::Errno;
use crate::process::Process;
use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// Makes a text; the number is of the thread or descriptor that it is about.
type Make = fn(&Process, u32, &mut String) -> Result<(), Errno>;

/// Takes what is written.
type Set = fn(&Process, u32, &[u8]) -> Result<(), Errno>;

/// A file that is made up.
#[derive(Clone, Copy)]
struct Made {
    path: &'static str,
    make: Make,
    /// What writing does; `None`: it cannot be written.
    set: Option<Set>,
}

/// Files that are made up.
struct Table {
    made: &'static [Made],
    /// Those that always say the same: each a path, a 1 and the text, and a 0. Together they take no more room than that.
    constants: &'static [u8],
}

impl Table {
    fn constants(&self) -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
        self.constants.split(|&b| b == 0).filter_map(|entry| {
            let end = entry.iter().position(|&b| b == 1)?;
            Some((&entry[..end], &entry[end + 1..]))
        })
    }

    fn paths(&self) -> impl Iterator<Item = &'static [u8]> {
        let made = self.made.iter().map(|made| made.path.as_bytes());
        made.chain(self.constants().map(|(path, _)| path))
    }
}

impl Made {
    const fn new(path: &'static str, make: Make) -> Self {
        Self { path, make, set: None }
    }
}

/// Something that is made up: its path within its mount, without a slash at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    path: Vec<u8>,
    /// It is of /sys.
    sys: bool,
}

impl Generated {
    /// The process whose directory it is.
    pub fn of_process(&self) -> Option<u32> {
        if self.sys { None } else { number(&self.path) }
    }
}

/// What a path within a mount is.
#[derive(Clone, Copy)]
enum Shape {
    Directory,
    Link,
    File(Made, u32),
    Constant(&'static [u8]),
}

/// The top of a mount.
pub fn top(system: &Rc<System>) -> Rc<Node> {
    let generated = Generated { path: Vec::new(), sys: matches!(system.sort, Sort::Sys) };
    node(system, generated, Shape::Directory)
}

fn node(system: &Rc<System>, generated: Generated, shape: Shape) -> Rc<Node> {
    let mode = match shape {
        Shape::Directory => S_IFDIR | 0o555,
        Shape::Link => S_IFLNK | 0o777,
        Shape::File(made, _) if made.set.is_some() => S_IFREG | 0o644,
        Shape::File(..) | Shape::Constant(_) => S_IFREG | 0o444,
    };
    // A number that is the same each time: FNV-1a of the path.
    let hash = generated.path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let now = kernlet_platform::clock::wall();
    let times = Times { accessed: now, modified: now, changed: now, created: 0 };
    Node::with(system, hash >> 16 | 1 << 48, mode, (0, 0), 1, times, Kind::Generated(generated))
}

fn number(name: &[u8]) -> Option<u32> {
    core::str::from_utf8(name).ok()?.parse().ok().filter(|_| name == b"0" || name.first() != Some(&b'0'))
}

/// A file of a table.
fn of_table(table: &Table, path: &[u8], about: u32) -> Option<Shape> {
    if let Some(made) = table.made.iter().find(|made| made.path.as_bytes() == path) {
        return Some(Shape::File(*made, about));
    }
    table.constants().find(|(name, _)| *name == path).map(|(_, text)| Shape::Constant(text))
}

/// What a path of a table is: a file, or a directory on the way to one.
fn in_table(table: &Table, path: &[u8]) -> Option<Shape> {
    of_table(table, path, 0).or_else(|| {
        let below = |name: &[u8]| name.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/"));
        table.paths().any(below).then_some(Shape::Directory)
    })
}

fn shape(process: &Process, generated: &Generated) -> Option<Shape> {
    let path = &generated.path[..];
    if path.is_empty() {
        return Some(Shape::Directory);
    }
    if generated.sys {
        return in_table(&system::SYS, path);
    }
    let (first, rest) = match path.iter().position(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &path[path.len()..]),
    };
    match (path, number(first)) {
        (b"self" | b"thread-self" | b"mounts" | b"net", _) => Some(Shape::Link),
        (_, Some(id)) if process.thread(id).is_some() || id == process.id => own(process, id, rest),
        (_, Some(_)) => None,
        _ => in_table(&system::PROC, path),
    }
}

/// What a path below the directory of a thread is.
fn own(process: &Process, id: u32, path: &[u8]) -> Option<Shape> {
    let names: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
    match &names[..] {
        [b"" | b"fd" | b"fdinfo" | b"task" | b"net"] => Some(Shape::Directory),
        [b"exe" | b"cwd" | b"root"] => Some(Shape::Link),
        [b"fd", name] => {
            let descriptor = i32::try_from(number(name)?).ok()?;
            process.files.get(descriptor).ok().map(|_| Shape::Link)
        }
        [b"fdinfo", name] => {
            let descriptor = number(name)?;
            process.files.get(i32::try_from(descriptor).ok()?).ok()?;
            Some(Shape::File(Made::new("fdinfo", own::descriptor), descriptor))
        }
        [b"task", thread] => process.thread(number(thread)?).map(|_| Shape::Directory),
        [b"task", thread, rest @ ..] => {
            let thread = number(thread)?;
            process.thread(thread)?;
            // A thread has what its process has, but threads.
            if rest.first() == Some(&&b"task"[..]) { None } else { own(process, thread, &rest.join(&b'/')) }
        }
        [b"net", name] => of_table(&net::FILES, name, id),
        _ => of_table(&own::FILES, path, id),
    }
}

/// What is under a name of a directory that is made up.
///
/// # Errors
/// ENOENT.
pub fn find(process: &Process, here: &Rc<Node>, of: &Generated, name: &[u8]) -> Result<Rc<Node>, Errno> {
    let mut path = of.path.clone();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    let generated = Generated { path, sys: of.sys };
    let shape = shape(process, &generated).ok_or(Errno::ENOENT)?;
    let found = node(&here.system, generated, shape);
    if found.is_directory() {
        *found.place.borrow_mut() = Some((here.clone(), name.to_vec()));
    }
    Ok(found)
}

/// The names of a directory that is made up.
///
/// # Errors
/// ENOTDIR.
pub fn list(process: &Process, of: &Generated) -> Result<Vec<Listed>, Errno> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut add = |name: &[u8]| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_vec());
        }
    };
    let path = &of.path[..];
    let table = if of.sys { &system::SYS } else { &system::PROC };
    let prefix = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
    for path in table.paths() {
        if let Some(rest) = path.strip_prefix(&prefix[..]) {
            add(rest.split(|&b| b == b'/').next().unwrap_or(rest));
        }
    }
    let text = |number: u32| alloc::format!("{number}").into_bytes();
    if !of.sys {
        let parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        match &parts[..] {
            [b""] => {
                [&b"self"[..], b"thread-self", b"mounts", b"net"].into_iter().for_each(&mut add);
                add(&text(process.id));
            }
            [.., b"fd" | b"fdinfo"] => {
                process.files.table.borrow().open().for_each(|(descriptor, _)| add(&text(descriptor as u32)));
            }
            [.., b"net"] => net::FILES.paths().for_each(&mut add),
            [.., b"task"] => process.threads.borrow().iter().for_each(|(&id, _)| add(&text(id))),
            [.., last] if number(last).is_some() => {
                own::FILES.paths().for_each(&mut add);
                [&b"fd"[..], b"fdinfo", b"exe", b"cwd", b"root", b"net"].into_iter().for_each(&mut add);
                if !parts.contains(&&b"task"[..]) {
                    add(b"task");
                }
            }
            _ => {}
        }
    }
    let listed = |name: Vec<u8>| {
        let path = [&prefix[..], &name].concat();
        let sort = match shape(process, &Generated { path, sys: of.sys }) {
            Some(Shape::Directory) => S_IFDIR,
            Some(Shape::Link) => S_IFLNK,
            _ => S_IFREG,
        };
        Listed { name, number: 1, sort }
    };
    Ok(names.into_iter().map(listed).collect())
}

/// Where a link that is made up leads; `None` when it is none.
///
/// # Errors
/// ENOENT.
pub fn link<'n>(process: &Process, of: &Generated) -> Result<Option<Target<'n>>, Errno> {
    if !matches!(shape(process, of), Some(Shape::Link)) {
        return Ok(None);
    }
    let parts: Vec<&[u8]> = of.path.split(|&b| b == b'/').collect();
    let jump = match &parts[..] {
        [.., b"fd", name] => {
            let descriptor = number(name).and_then(|n| i32::try_from(n).ok()).ok_or(Errno::ENOENT)?;
            let open = process.files.get(descriptor).map_err(|_| Errno::ENOENT)?;
            let place = open.place.as_ref().and_then(|place| place.found.clone());
            place.unwrap_or(Location::Open(open))
        }
        [.., b"cwd"] => path::start(process),
        [.., b"root"] => Location::of(process.files.tree.top().clone()),
        _ => return link_text(process, of).map(|text| Some(Target::Path(Cow::Owned(text)))),
    };
    Ok(Some(Target::Jump(jump)))
}

/// What a link that is made up says.
///
/// # Errors
/// EINVAL when it is none; ENOENT.
pub fn link_text(process: &Process, of: &Generated) -> Result<Vec<u8>, Errno> {
    let parts: Vec<&[u8]> = of.path.split(|&b| b == b'/').collect();
    match &parts[..] {
        [b"self"] => Ok(alloc::format!("{}", process.id).into_bytes()),
        [b"thread-self"] => {
            // Of the thread whose turn it is.
            let threads = process.threads.borrow();
            let runs = threads.values().filter_map(|t| t.upgrade()).find(|t| t.cpu.runs());
            let id = runs.map_or(process.id, |thread| thread.id);
            Ok(alloc::format!("{}/task/{id}", process.id).into_bytes())
        }
        [b"mounts"] => Ok(b"self/mounts".to_vec()),
        [b"net"] => Ok(b"self/net".to_vec()),
        [.., b"fd", name] => {
            let descriptor = number(name).and_then(|n| i32::try_from(n).ok()).ok_or(Errno::ENOENT)?;
            process.files.get(descriptor).map(|open| path::of_description(&open)).map_err(|_| Errno::ENOENT)
        }
        [.., b"exe"] => process.executable.borrow().as_deref().map(path::of_description).ok_or(Errno::ENOENT),
        [.., b"cwd"] => Ok(path::start(process).path().unwrap_or_else(|| b"/ (deleted)".to_vec())),
        [.., b"root"] => Ok(b"/".to_vec()),
        _ => Err(Errno::EINVAL),
    }
}

/// What stat(2) tells as the size: that of links is not known, and texts have none.
pub fn size(_process: &Process, _of: &Generated) -> u64 {
    0
}

/// Makes the text of a file.
fn make(process: &Process, of: &Generated) -> Result<Vec<u8>, Errno> {
    let (made, about) = match shape(process, of) {
        Some(Shape::File(made, about)) => (made, about),
        Some(Shape::Constant(text)) => return Ok(text.into()),
        _ => return Err(Errno::ENOENT),
    };
    if made.path == own::AUXILIARY {
        // The only one that is no text.
        return Ok(process.auxiliary.borrow().iter().flat_map(|word| word.to_le_bytes()).collect());
    }
    let mut text = String::new();
    (made.make)(process, about, &mut text)?;
    Ok(text.into_bytes())
}

/// Writes to a file.
fn set(process: &Process, of: &Generated, bytes: &[u8]) -> Result<(), Errno> {
    let Some(Shape::File(made, about)) = shape(process, of) else { return Err(Errno::ENOENT) };
    made.set.ok_or(Errno::EINVAL)?(process, about, bytes)
}

/// Whether a file can be written at all.
pub fn is_writable(process: &Process, of: &Generated) -> bool {
    matches!(shape(process, of), Some(Shape::File(made, _)) if made.set.is_some())
}

/// Writes formatted text to a string, which has room for everything.
macro_rules! put {
    ($text:expr, $($what:tt)*) => {{ let _ = core::write!($text, $($what)*); }};
}
use put;

/// How the values of lines are told.
#[derive(Clone, Copy)]
enum Told {
    /// In KiB, as /proc/meminfo has it.
    Kibibytes,
    /// As a set of bits.
    Bits,
    /// In decimal.
    Number,
}

/// Lines of a name and a value each; the names are separated by spaces.
#[inline(never)]
fn lines(text: &mut String, names: &str, values: &[u64], told: Told) {
    for (name, &value) in names.as_bytes().split(|&b| b == b' ').zip(values) {
        let before = text.len();
        text.extend(name.iter().map(|&b| char::from(b)));
        text.push(':');
        match told {
            Told::Kibibytes => {
                while text.len() - before < 16 {
                    text.push(' ');
                }
                put!(text, "{:8} kB", value / 1024);
            }
            Told::Bits => {
                text.push('\t');
                put!(text, "{value:016x}");
            }
            Told::Number => put!(text, "\t{value}"),
        }
        text.push('\n');
    }
}

/// So many digits of a number.
#[inline(never)]
fn hexadecimal(text: &mut String, value: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let digit = (value >> (4 * digit) & 0xf) as u32;
        text.push(char::from_digit(digit, 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// Bytes that may not be text, as text.
fn lossy(text: &mut String, bytes: &[u8]) {
    put!(text, "{}", String::from_utf8_lossy(bytes));
}
