use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

fn open(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn shown(folder: &Path, reader: Reader) -> String {
    let mut text = Vec::new();
    let mut show = |record: Record<'_>| {
        text.extend_from_slice(record.text);
        text.extend_from_slice(if record.complete { b"\n" } else { b"" });
        Ok(())
    };
    reader.read(open(folder).as_fd(), &mut show).unwrap();
    String::from_utf8(text).unwrap()
}

fn writer(dir: OwnedFd) -> Writer {
    let mut writer = Writer::default();
    writer.open(dir);
    writer
}

#[test]
fn what_came_before_the_log_had_a_place_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::default();
    log.append(Stream::Output, b"early\n", SystemTime::UNIX_EPOCH);
    log.open(open(folder.path()));
    log.append(Stream::Output, b"late\n", SystemTime::UNIX_EPOCH);
    let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(text, "0.000000 o early\n0.000000 o late\n");
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(open(folder.path()));
    log.append(Stream::Output, b"one\ntwo ", at(1));
    log.append(Stream::Output, b"three\n", at(2));
    log.append(Stream::Error, b"four\nfi", at(3));
    assert_eq!(shown(folder.path(), Reader::default()), "one\ntwo three\nfour\nfi");
    let raw = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(raw.lines().next(), Some("1.000000 o one"));
    assert_eq!(raw.lines().nth(1), Some("1.000000 O two "));
}

#[test]
fn tail_and_since_choose_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(open(folder.path()));
    log.append(Stream::Output, b"one\n", at(1));
    log.append(Stream::Output, b"two ", at(2));
    log.append(Stream::Output, b"three\nfour", at(3));
    let tail = |n| shown(folder.path(), Reader { tail: Some(n), since: None });
    assert_eq!(tail(0), "");
    assert_eq!(tail(1), "four");
    assert_eq!(tail(2), "two three\nfour");
    assert_eq!(tail(3), "one\ntwo three\nfour");
    assert_eq!(tail(9), "one\ntwo three\nfour");
    let since = Reader { since: Some(at(3)), tail: None };
    assert_eq!(shown(folder.path(), since), "three\nfour");
}

#[test]
fn a_flood_stays_bounded_and_its_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(open(folder.path()));
    let chunk = "a line of some length that is written over and over\n".repeat(1000);
    for _ in 0..200 {
        log.append(Stream::Output, chunk.as_bytes(), at(1));
    }
    log.append(Stream::Output, b"the end\n", at(2));
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap()).collect();
    let total: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert!(files.len() == 4 && total <= 4 * (FILE_LIMIT + 100) && total > 3 * FILE_LIMIT - 1000, "{total}");
    assert!(shown(folder.path(), Reader { tail: Some(1), since: None }) == "the end\n");
}

#[test]
fn following_sees_everything_across_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path());
    let mut log = writer(open(folder.path()));
    log.append(Stream::Output, b"0\n", at(1));
    let mut seen = Vec::new();
    let mut show = |record: Record<'_>| {
        seen.extend_from_slice(record.text);
        seen.push(b'\n');
        Ok(())
    };
    let mut follower = Reader::default().read(dir.as_fd(), &mut show).unwrap();
    let mut written = "0\n".to_string();
    let padding = "x".repeat(30_000);
    for round in 1..100 {
        let line = format!("{round} {padding}\n");
        log.append(Stream::Output, line.as_bytes(), at(1));
        written.push_str(&line);
        if round % 20 == 0 {
            follower.more(dir.as_fd(), &mut show).unwrap();
        }
    }
    follower.more(dir.as_fd(), &mut show).unwrap();
    assert!(String::from_utf8(seen).unwrap() == written);
}

#[test]
fn a_log_that_cannot_be_written_is_no_failure() {
    // /proc takes no new files, as a disk that is full or read-only.
    let mut log = writer(open(Path::new("/proc/self")));
    log.append(Stream::Output, b"lost\n", at(1));
    log.remark("lost too");
}

proptest! {
    #[test]
    fn no_line_makes_the_reader_panic(line in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Record::parse(&line);
    }
}
