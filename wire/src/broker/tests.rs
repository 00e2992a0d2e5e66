use super::*;
use crate::boot::Protocol;
use alloc::vec::Vec;
use core::net::IpAddr;
use proptest::prelude::*;

fn requests() -> Vec<Request<'static>> {
    let at = At { volume: 7, path: b"a/b" };
    alloc::vec![
        Request::Open { at, flags: OpenFlags::READ.with(OpenFlags::DIRECTORY, true), mode: 0o644 },
        Request::Close { handle: 9 },
        Request::Sync { handle: 9, data_only: true },
        Request::Stat { at, follow: false },
        Request::CreateDirectory { at, mode: 0o755 },
        Request::RemoveFile { at },
        Request::RemoveDirectory { at },
        Request::Rename { from: at, to: b"c" },
        Request::Link { from: at, to: b"" },
        Request::Symlink { at, target: b"../x" },
        Request::ReadLink { at },
        Request::SetMode { at, mode: 0o600 },
        Request::SetTimes { at, accessed: None, modified: Some(u64::MAX) },
        Request::Truncate { at, length: 1 << 40 },
        Request::FileSystem { at },
        Request::Connect { host: "example.com", port: 443, protocol: Protocol::Udp },
        Request::Resolve { host: "h" },
        Request::Read { handle: 9, offset: 1 << 40, length: 100 },
        Request::Write { handle: 9, offset: 5, bytes: b"bytes\0" },
        Request::StatOpen { handle: 9 },
        Request::TruncateOpen { handle: 9, length: 1 << 40 },
    ]
}

#[test]
fn every_request_survives_the_round_trip_and_no_part_of_it_is_one() {
    for request in requests() {
        let message = request.encode(0xfeed);
        assert_eq!(Request::decode(&message), Ok((0xfeed, request)));
        for length in 0..message.len() {
            assert_eq!(Request::decode(&message[..length]), Err(Malformed));
        }
        assert_eq!(Request::decode(&[&message[..], b"x"].concat()), Err(Malformed));
    }
}

fn linux_requests() -> Vec<LinuxRequest<'static>> {
    let at = At { volume: 7, path: b"a/b" };
    let what = Object::At { at, follow: true };
    let part = Part { start: 1 << 40, length: 5 };
    alloc::vec![
        LinuxRequest::Rename { from: at, to: b"c", flags: 2 },
        LinuxRequest::MakeNode { at, mode: 0o010_644 },
        LinuxRequest::SetMode { what, mode: 0o600 },
        LinuxRequest::SetMode { what: Object::Open(3), mode: 0o600 },
        LinuxRequest::SetOwner { what: Object::At { at, follow: false }, user: 1, group: LEAVE },
        LinuxRequest::SetTimes { what, accessed: None, modified: Some(u64::MAX) },
        LinuxRequest::Keep { at, flags: OpenFlags::READ },
        LinuxRequest::KeepAgain { handle: 9 },
        LinuxRequest::Allocate { handle: 9, mode: 3, part },
        LinuxRequest::Seek { handle: 9, offset: 1 << 40, hole: true },
        LinuxRequest::Lock { handle: 9, lock: Lock::Exclusive, part },
        LinuxRequest::TestLock { handle: 9, lock: Lock::Shared, part },
        LinuxRequest::Entries { handle: 9 },
        LinuxRequest::LockWhole { handle: 9, lock: Lock::Unlock },
    ]
}

#[test]
fn what_linux_programs_ask_for_survives_the_round_trip_and_is_nothing_else() {
    for request in linux_requests() {
        let message = request.encode(0xfeed);
        assert_eq!(LinuxRequest::decode(&message), Ok((0xfeed, request)));
        assert_eq!(Request::decode(&message), Err(Malformed));
        for length in 0..message.len() {
            assert_eq!(LinuxRequest::decode(&message[..length]), Err(Malformed));
        }
        assert_eq!(LinuxRequest::decode(&[&message[..], b"x"].concat()), Err(Malformed));
    }
    for request in requests() {
        assert_eq!(LinuxRequest::decode(&request.encode(1)), Err(Malformed));
    }
}

#[test]
fn names_of_a_directory_survive_the_round_trip_one_after_another() {
    let entries =
        [Entry { inode: 7, kind: 4, name: b"folder" }, Entry { inode: u64::MAX, kind: 8, name: b"f" }];
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| entry.put(&mut bytes));
    let (first, rest) = Entry::take(&bytes).unwrap();
    assert_eq!((first, Entry::take(rest)), (entries[0], Ok((entries[1], &[][..]))));
    for length in 0..17 {
        assert_eq!(Entry::take(&bytes[..length]), Err(Malformed));
    }
}

#[test]
fn a_lock_in_the_way_survives_the_round_trip() {
    let conflict = Conflict { exclusive: true, part: Part { start: 7, length: u64::MAX } };
    assert_eq!(Conflict::decode(&conflict.encode()), Ok(Some(conflict)));
    assert_eq!(Conflict::decode(&[]), Ok(None));
    assert_eq!(Conflict::decode(&conflict.encode()[..16]), Err(Malformed));
}

#[test]
fn a_number_that_is_not_there_is_written_in_one_way() {
    let at = At { volume: 0, path: b"a" };
    let mut message = Request::SetTimes { at, accessed: None, modified: None }.encode(7);
    // Behind id, operation and volume: the flag of the first time, then its value.
    assert_eq!(message[12], 0);
    message[13] = 1;
    assert_eq!(Request::decode(&message), Err(Malformed));
}

#[test]
fn every_reply_survives_the_round_trip() {
    let list: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let stat = Stat {
        inode: 1,
        mode: 2,
        links: 3,
        uid: 4,
        gid: 5,
        size: 6,
        blocks: 10,
        accessed: 7,
        modified: 8,
        changed: 9,
    };
    let replies = [
        Reply::Error(2),
        Reply::Done,
        Reply::Opened { handle: 3, stat },
        Reply::Stat(stat),
        Reply::Target(b"../x"),
        Reply::FileSystem(FileSystem { total: 1, free: 2, available: 3, files: 4, free_files: 5 }),
        Reply::Data(b"bytes"),
        Reply::Written(5),
        Reply::Connected { local: "10.0.0.1:5".parse().unwrap(), peer: "[2001:db8::1]:443".parse().unwrap() },
    ];
    for reply in replies {
        assert_eq!(Reply::decode(&reply.encode(5)), Ok((5, reply)));
    }
    let message = Reply::Addresses(Addresses::List(&list)).encode(5);
    let Ok((5, Reply::Addresses(read))) = Reply::decode(&message) else { panic!("no addresses") };
    assert!(read.iter().eq(list));
}

#[test]
fn paths_with_nul_or_too_long_and_unknown_flags_are_refused() {
    let at = At { volume: 0, path: b"a\0b" };
    assert_eq!(Request::decode(&Request::ReadLink { at }.encode(1)), Err(Malformed));
    let long = [b'x'; MAX_PATH + 1];
    let at = At { volume: 0, path: &long };
    assert_eq!(Request::decode(&Request::ReadLink { at }.encode(1)), Err(Malformed));
    let at = At { volume: 0, path: b"" };
    let open = Request::Open { at, flags: OpenFlags(1 << 12), mode: 0 };
    assert_eq!(Request::decode(&open.encode(1)), Err(Malformed));
}

#[test]
fn the_longest_request_fits_a_message() {
    let longest = [b'x'; MAX_PATH];
    let request = Request::Rename { from: At { volume: 0, path: &longest }, to: &longest };
    let message = request.encode(1);
    assert!(message.len() <= MAX_MESSAGE);
    assert_eq!(Request::decode(&message), Ok((1, request)));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Request::id(&bytes), Request::decode(&bytes), Reply::decode(&bytes));
    }

    #[test]
    fn a_damaged_request_reads_as_nothing_or_as_what_it_now_says(
        which in 0usize..17, at in 4usize..60, value in any::<u8>()
    ) {
        let mut message = requests()[which].encode(1);
        if let Some(byte) = message.get_mut(at) {
            *byte = value;
        }
        if let Ok((id, request)) = Request::decode(&message) {
            let again = request.encode(id);
            prop_assert_eq!(Request::decode(&again), Ok((1, request)));
        }
    }

    #[test]
    fn what_reads_as_a_reply_is_written_the_same(
        kind in 0u8..9, bytes in proptest::collection::vec(any::<u8>(), 0..100)
    ) {
        let message = [&[1, 0, 0, 0, 0, 0, 0, 0, kind][..], &bytes].concat();
        if let Ok((id, reply)) = Reply::decode(&message) {
            let again = reply.encode(id);
            prop_assert_eq!(Reply::decode(&again).map(|(id, _)| id), Ok(1));
        }
    }
}
