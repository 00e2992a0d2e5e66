//! Requests to the broker, made of the fuzzer's bytes.

use crate::Input;
use kernlet_wire::boot::Protocol;
use kernlet_wire::broker::{At, LEAVE, LinuxRequest, Lock, Object, OpenFlags, Part, Request};

/// Paths that lead somewhere, and some that lead out.
const PATHS: [&[u8]; 16] = [
    b"",
    b"file",
    b"sub",
    b"sub/inner",
    b"sub/../file",
    b"new",
    b"sub/new",
    b"out",
    b"absolute",
    b"up/outside/secret",
    b"../outside/secret",
    b"/etc/passwd",
    b"pipe",
    b"loop",
    b".",
    b"sub/./",
];

/// One of the paths, or any bytes.
fn path<'a>(input: &mut Input<'a>) -> &'a [u8] {
    match input.u8() {
        0xff => input.bytes(4200),
        known => PATHS[usize::from(known) % PATHS.len()],
    }
}

/// What every program may ask.
pub fn request<'a>(input: &mut Input<'a>) -> Request<'a> {
    let kind = input.below(21);
    let at = |input: &mut Input<'a>| At { volume: u32::from(input.u8()) % 5, path: path(input) };
    match kind {
        0 | 16 => {
            let at = at(input);
            Request::Open { at, flags: OpenFlags(input.u8().into()), mode: input.u16().into() }
        }
        1 => Request::Close { handle: input.below(5) as u32 },
        2 => Request::Sync { handle: input.below(5) as u32, data_only: input.u8() & 1 != 0 },
        3 => Request::Stat { at: at(input), follow: input.u8() & 1 != 0 },
        4 => Request::CreateDirectory { at: at(input), mode: input.u16().into() },
        5 => Request::RemoveFile { at: at(input) },
        6 => Request::RemoveDirectory { at: at(input) },
        7 => Request::Rename { from: at(input), to: path(input) },
        8 => Request::Link { from: at(input), to: path(input) },
        9 => Request::Symlink { at: at(input), target: path(input) },
        10 => Request::ReadLink { at: at(input) },
        11 => Request::SetMode { at: at(input), mode: input.u16().into() },
        12 => Request::SetTimes { at: at(input), accessed: Some(input.u16().into()), modified: None },
        13 => Request::Truncate { at: at(input), length: input.u16().into() },
        14 => Request::FileSystem { at: at(input) },
        17 => Request::Read {
            handle: input.below(5) as u32,
            offset: input.u16().into(),
            length: input.u16().into(),
        },
        18 => {
            let (handle, offset) = (input.below(5) as u32, input.u16().into());
            Request::Write { handle, offset, bytes: input.bytes(255) }
        }
        19 => Request::StatOpen { handle: input.below(5) as u32 },
        20 => Request::TruncateOpen { handle: input.below(5) as u32, length: input.u16().into() },
        _ => Request::Connect { host: "192.0.2.1", port: input.u16(), protocol: Protocol::Tcp },
    }
}

/// What only Linux programs ask.
pub fn linux_request<'a>(input: &mut Input<'a>) -> LinuxRequest<'a> {
    let kind = input.below(13);
    let handle = input.below(6) as u32;
    let at = |input: &mut Input<'a>| At { volume: u32::from(input.u8()) % 5, path: path(input) };
    let object = |input: &mut Input<'a>| match input.u8() {
        0..80 => Object::Open(handle),
        how => Object::At { at: at(input), follow: how & 1 != 0 },
    };
    let lock = |input: &mut Input<'a>| [Lock::Shared, Lock::Exclusive, Lock::Unlock][input.below(3)];
    // Mostly small, so that locks meet; now and then where they wrap.
    let part = |input: &mut Input<'a>| {
        let far = if input.u8() > 250 { u64::MAX / 2 - 100 } else { 0 };
        Part { start: far + u64::from(input.u8()), length: far + u64::from(input.u8()) }
    };
    let owner = |input: &mut Input<'a>| match input.u8() {
        known @ 0..4 => known.into(),
        _ => LEAVE,
    };
    match kind {
        0 => LinuxRequest::Rename { from: at(input), to: path(input), flags: input.below(6) as u32 },
        1 => LinuxRequest::MakeNode { at: at(input), mode: u32::from(input.u16()) },
        2 => LinuxRequest::SetMode { what: object(input), mode: u32::from(input.u16()) },
        3 => LinuxRequest::SetOwner { what: object(input), user: owner(input), group: owner(input) },
        4 => {
            LinuxRequest::SetTimes { what: object(input), accessed: Some(input.u16().into()), modified: None }
        }
        5 => LinuxRequest::Keep { at: at(input), flags: OpenFlags(input.u8().into()) },
        6 => LinuxRequest::KeepAgain { handle },
        7 => {
            // Not so much that it fills a memory.
            let part = Part { start: input.u16().into(), length: input.u16().into() };
            LinuxRequest::Allocate { handle, mode: input.u8().into(), part }
        }
        8 => LinuxRequest::Seek { handle, offset: part(input).start, hole: input.u8() & 1 != 0 },
        9 => LinuxRequest::Lock { handle, lock: lock(input), part: part(input) },
        10 => LinuxRequest::TestLock { handle, lock: lock(input), part: part(input) },
        11 => LinuxRequest::LockWhole { handle, lock: lock(input) },
        _ => LinuxRequest::Entries { handle },
    }
}

/// Whether a message asks for more room than a fuzzer's memory is to lose.
pub fn is_greedy(message: &[u8]) -> bool {
    let greedy = |part: Part| part.length > 1 << 20;
    matches!(LinuxRequest::decode(message), Ok((_, LinuxRequest::Allocate { part, .. })) if greedy(part))
}
