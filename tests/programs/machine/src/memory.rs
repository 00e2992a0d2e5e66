//! What is mapped, and what is not.

use crate::code;
use crate::thread::{EXECUTE, PAGE, READ, map, run, start};
use kernlet_platform::program::{self, Backing, Exit, Protection, Trap};
use kernlet_platform::{Door, Errno, door, sealed};

const AT: usize = 0x2000_0000_0000;

fn byte(at: usize) -> Result<u8, Errno> {
    let mut byte = [0];
    program::read(at, &mut byte).map(|()| byte[0])
}

/// Loads or stores by the program's own instruction; the trap, if there is one.
fn access(code: &[u8], at: usize) -> Option<Trap> {
    match run(&mut start(0, code, at)) {
        Exit::Call => None,
        Exit::Trap(trap) => Some(trap),
        other => panic!("{other:?}"),
    }
}

fn protect(at: usize, length: usize, protection: Protection) {
    program::protect(at..at + length, protection).expect("it is mapped");
}

/// Protections hold for each page, content stays through them, and what was taken away is gone.
pub fn pages() {
    map(AT, 16 * PAGE, Protection::READ_WRITE);
    for page in 0..16 {
        assert_eq!(byte(AT + page * PAGE + 5), Ok(0));
        program::write(AT + page * PAGE + 5, &[page as u8 + 1]).expect("mapped");
    }
    protect(AT + 4 * PAGE, 4 * PAGE, READ);
    protect(AT + 6 * PAGE, 4 * PAGE, Protection::NONE);
    for page in 0..16 {
        let at = AT + page * PAGE + 5;
        let (read, write) = (access(code::load(), at), access(code::store(), at));
        let none = (6..10).contains(&page);
        assert_eq!(read.is_some(), none, "page {page}");
        assert_eq!(write.is_some(), (4..10).contains(&page), "page {page}");
        assert_eq!(byte(at).is_err(), none);
        assert_eq!(program::write(at, &[page as u8 + 1]).is_err(), (4..10).contains(&page));
    }
    protect(AT, 16 * PAGE, READ);
    (0..16).for_each(|page| assert_eq!(byte(AT + page * PAGE + 5), Ok(page as u8 + 1)));
    protect(AT, PAGE, EXECUTE);
    program::discard(AT + 2 * PAGE..AT + 4 * PAGE).expect("a range");
    assert_eq!([1, 2, 3, 4].map(|page| byte(AT + page * PAGE + 5)), [Ok(2), Ok(0), Ok(0), Ok(5)]);
    program::unmap(AT + 3 * PAGE..AT + 5 * PAGE).expect("a range");
    assert_eq!(
        [2, 3, 4, 5].map(|page| byte(AT + page * PAGE + 5)),
        [Ok(0), Err(Errno::EFAULT), Err(Errno::EFAULT), Ok(6)]
    );
    assert_eq!(program::protect(AT..AT + 16 * PAGE, READ), Err(Errno::ENOMEM));
    // Mapped again: fresh zeros.
    map(AT, 16 * PAGE, Protection { read: true, write: true, execute: true });
    (0..16).for_each(|page| assert_eq!(byte(AT + page * PAGE + 5), Ok(0)));
    // What moves takes its content and nothing else along.
    program::write(AT + 5, &[1]).expect("mapped");
    program::write(AT + 2 * PAGE + 5, &[3]).expect("mapped");
    program::relocate(AT..AT + 4 * PAGE, 2 * AT).expect("one mapping");
    assert_eq!(
        [0, 1, 2, 3, 4].map(|page| byte(2 * AT + page * PAGE + 5)),
        [Ok(1), Ok(0), Ok(3), Ok(0), Err(Errno::EFAULT)]
    );
    assert_eq!(
        [0, 3, 4].map(|page| byte(AT + page * PAGE + 5)),
        [Err(Errno::EFAULT), Err(Errno::EFAULT), Ok(0)]
    );
    assert_eq!(program::relocate(AT..AT + 8 * PAGE, 2 * AT), Err(Errno::EFAULT));
    assert_eq!(byte(2 * AT + 5), Ok(1));
    // Reservations of terabytes take nothing.
    program::map(AT + (1 << 40)..AT + (8 << 40), Protection::NONE, Backing::Anonymous)
        .expect("a reservation");
    protect(AT + (3 << 40), 1 << 40, Protection::READ_WRITE);
    program::write(AT + (3 << 40), &[1; 3 * PAGE]).expect("usable now");
    program::unmap(AT + (1 << 40)..AT + (8 << 40)).expect("a range");
    assert_eq!(byte(AT + (3 << 40)), Err(Errno::EFAULT));
}

/// Copies across pages that were not touched, and up to where nothing is.
pub fn copies() {
    map(AT, 300 * PAGE, Protection::READ_WRITE);
    let bytes: kernlet::alloc::vec::Vec<u8> = (0..300 * PAGE - 100).map(|n| (n % 251) as u8).collect();
    program::write(AT + 100, &bytes).expect("mapped");
    let mut back = kernlet::alloc::vec![0; bytes.len()];
    program::read(AT + 100, &mut back).expect("mapped");
    assert!(back == bytes);
    assert_eq!(program::write(AT + 101, &bytes), Err(Errno::EFAULT));
    assert_eq!(program::read(AT - 1, &mut [0; 2]), Err(Errno::EFAULT));
    assert_eq!(program::read(0x6000_0000_0000, &mut [0; 2]), Err(Errno::EFAULT));
    assert_eq!(program::read(usize::MAX, &mut [0; 2]), Err(Errno::EFAULT));
    map(AT, PAGE, Protection::READ_WRITE);
    assert_eq!(program::compare_exchange_u32(AT, 0, 5), Ok(0));
    assert_eq!(program::add_u32(AT, 5), Ok(5));
    assert_eq!(program::load_u32(AT), Ok(10));
    assert_eq!(program::load_u32(AT + 400 * PAGE), Err(Errno::EFAULT));
    program::zero(AT, PAGE).expect("mapped");
    assert_eq!(program::load_u32(AT), Ok(0));
    program::write(AT, b"name\0").expect("mapped");
    assert_eq!(program::string(AT, &mut [0; 100]), Ok(4));
}

/// What is sealed can be mapped, seen as it is, written to privately, and ends where it ends.
pub fn sealed() {
    let whole = sealed::whole();
    let pages = whole.len().next_multiple_of(PAGE);
    program::map(AT..AT + pages + PAGE, Protection::READ_WRITE, Backing::Sealed(0))
        .expect("it can be mapped");
    let before = program::resident();
    let mut piece = [0; PAGE];
    for (number, expected) in whole.chunks(PAGE).enumerate() {
        program::read(AT + number * PAGE, &mut piece[..expected.len()]).expect("mapped");
        assert!(&piece[..expected.len()] == expected, "page {number}");
    }
    kernlet::println!("{} of {} KiB are copies", (program::resident() - before) / 1024, pages / 1024);
    // What can be read again makes room for the heap.
    let half = kernlet::memory_limit().map_or(0, |limit| limit as usize / 2) / (64 << 10);
    let pieces: kernlet::alloc::vec::Vec<_> =
        (0..half).map(|_| kernlet::alloc::vec![1u8; 60 << 10]).collect();
    assert!(pieces.iter().all(|piece| piece[4096] == 1));
    drop(pieces);
    let last = whole.len() - 1;
    program::write(AT + last, &[!whole[last]]).expect("mapped");
    assert_eq!(byte(AT + last), Ok(!whole[last]));
    assert_eq!(byte(AT), Ok(whole[0]));
    program::discard(AT..AT + pages).expect("a range");
    assert_eq!(byte(AT + last), Ok(whole[last]));
    if last % PAGE != PAGE - 1 {
        assert_eq!(byte(AT + last + 1), Ok(0));
    }
    assert_eq!(byte(AT + pages), Err(Errno::EFAULT));
    let trap = access(code::load(), AT + pages).expect("nothing is there");
    assert!(trap.beyond, "{trap:?}");
    protect(AT, pages, EXECUTE);
    assert_eq!(byte(AT + last), Ok(whole[last]));
    assert!(access(code::store(), AT).is_some());
}

/// More memory passes through the program than there is, and at its end nothing of it is left.
pub fn giving_back() {
    let before = program::resident();
    for round in 0..40 {
        let at = AT + round * (1 << 30);
        map(at, 4 << 20, Protection::READ_WRITE);
        for page in 0..1024 {
            assert_eq!(byte(at + page * PAGE), Ok(0));
            program::write(at + page * PAGE, &[7]).expect("mapped");
        }
        if door() == Door::Vm {
            assert_eq!(program::resident() - before, 4 << 20);
        }
        match round % 3 {
            0 => program::unmap(at..at + (4 << 20)),
            1 => program::discard(at..at + (4 << 20)),
            _ => program::map(at..at + (4 << 20), READ, Backing::Anonymous),
        }
        .expect("a range");
        assert_eq!(program::resident(), before);
    }
    // What the program gave back, the heap can have: together more than the instance has.
    let length = 20 << 20;
    map(AT, length, Protection::READ_WRITE);
    (0..length / PAGE).for_each(|page| program::write(AT + page * PAGE, &[7]).expect("mapped"));
    program::unmap(AT..AT + length).expect("a range");
    let pieces: kernlet::alloc::vec::Vec<_> =
        (0..20).map(|n| kernlet::alloc::vec![n as u8; 1 << 20]).collect();
    assert!(pieces.iter().enumerate().all(|(n, piece)| piece[n * 1000] == n as u8));
}

/// Touches more than there is.
pub fn exhausted() {
    map(AT, 1 << 40, Protection::READ_WRITE);
    for page in 0.. {
        program::write(AT + page * PAGE, &[7]).expect("mapped");
    }
}
