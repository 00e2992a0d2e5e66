//! Zones that are read piece by piece, and what is only worth a warning.

mod common;

use common::load;
use dns::{Problem, Source, Zone, ZoneErrors, Zones};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Appends a piece of a file, as [`Source::read`] does.
type Files<'f> = &'f dyn Fn(&str, u64, &mut Vec<u8>) -> Result<usize, Box<str>>;

/// Files in pieces of one size, with the most text that was ever asked to be kept.
struct Pieces<'f> {
    files: Files<'f>,
    pauses: usize,
    largest: usize,
}

impl Source for Pieces<'_> {
    async fn read(&mut self, name: &str, offset: u64, into: &mut Vec<u8>) -> Result<usize, Box<str>> {
        let result = (self.files)(name, offset, into);
        self.largest = self.largest.max(into.capacity());
        result
    }

    async fn pause(&mut self) {
        self.pauses += 1;
    }
}

fn read(files: Files<'_>) -> (Result<Zone, ZoneErrors>, usize, usize) {
    let mut source = Pieces { files, pauses: 0, largest: 0 };
    let origin = "example.com".parse().expect("a name");
    let result = {
        let mut reading = pin!(Zones::new(1).reader().read(&origin, "main", &mut source));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("nothing waits"),
        }
    };
    (result, source.pauses, source.largest)
}

/// A piece of a text.
fn piece(text: &str, offset: u64, size: usize, into: &mut Vec<u8>) -> usize {
    let rest = &text.as_bytes()[(offset as usize).min(text.len())..];
    let part = &rest[..rest.len().min(size)];
    into.extend_from_slice(part);
    part.len()
}

const HEAD: &str = "\u{feff}$TTL 60\n@ SOA ns mail 1 2 3 4 5\n NS ns ; a comment\nns A 192.0.2.1\n";

#[test]
fn a_zone_is_the_same_in_pieces_of_any_size() {
    let inner = "a A 192.0.2.2\n b.c TXT \"x;y\" ( \"(\"\n ; between\n \"z\" )\n";
    let main = format!("{HEAD}$INCLUDE inner sub\n A 192.0.2.9\nx TXT (\n\n a\n b ) ; c\ny MX 1 ns");
    let whole = read(&|name, offset, into| {
        Ok(piece(if name == "main" { &main } else { inner }, offset, 1 << 20, into))
    });
    // The included file has an error: a TXT record named `b.c`, after a blank, is none.
    let whole = whole.0.expect_err("an error").to_string();
    assert_eq!(whole, "inner:2: unknown record type b.c");
    let inner = inner.replace(" b.c", "b.c");
    let records = read(&|name, offset, into| {
        Ok(piece(if name == "main" { &main } else { &inner }, offset, 1 << 20, into))
    });
    let records = records.0.expect("a zone").records();
    assert_eq!(records, 8);
    for size in 1..90 {
        let (zone, ..) = read(&|name, offset, into| {
            Ok(piece(if name == "main" { &main } else { &inner }, offset, size, into))
        });
        assert_eq!(zone.expect("a zone").records(), records, "in pieces of {size}");
    }
}

#[test]
fn errors_in_pieces_have_the_right_lines_and_come_once() {
    let text = format!("{HEAD}a TXT ( x\n y\nb A 192.0.2.300 (\n ) \n\"\nc FOO\n");
    let all = load(&Zones::new(1), "example.com", &text).expect_err("errors").to_string();
    for size in 1..60 {
        let (zone, ..) = read(&|_, offset, into| Ok(piece(&text, offset, size, into)));
        let errors = zone.expect_err("errors").to_string().replace("main:", "zone:");
        assert_eq!(errors, all, "in pieces of {size}");
    }
}

#[test]
fn a_line_of_a_gigabyte_is_an_error_and_takes_little_memory() {
    for filler in ["x", "x ", "; x", "\"", "( "] {
        let (zone, _, largest) = read(&|_, offset, into| {
            if offset < HEAD.len() as u64 {
                return Ok(piece(HEAD, offset, 4096, into));
            }
            if offset > 1 << 30 {
                return Ok(0);
            }
            let start = into.len();
            into.resize(start + 65536, filler.as_bytes()[filler.len() - 1]);
            into[start..start + filler.len()].copy_from_slice(filler.as_bytes());
            Ok(65536)
        });
        let error = zone.expect_err("an error").0[0].clone();
        assert_eq!((error.line, error.problem), (5, Problem::LineTooLong), "{filler:?}");
        assert!(largest < 4 << 20, "{largest} octets for {filler:?}");
    }
}

#[test]
fn others_work_while_a_large_zone_is_read() {
    let text: String =
        std::iter::once(HEAD.into()).chain((0..20_000).map(|n| format!("h{n} A 10.0.0.1\n"))).collect();
    let (zone, pauses, largest) = read(&|_, offset, into| Ok(piece(&text, offset, 65536, into)));
    assert_eq!(zone.expect("a zone").records(), 20_003);
    // Once for about every hundred records read, and again while they are put in order.
    assert!(pauses > 300, "{pauses} pauses");
    assert!(largest < 300_000, "{largest} octets");
}

#[test]
fn a_file_that_cannot_be_read_is_said_where_it_is_wanted() {
    let files = |name: &str, offset: u64, into: &mut Vec<u8>| match name {
        "main" => Ok(piece(&format!("{HEAD}$INCLUDE gone\n"), offset, 7, into)),
        _ => Err("no such file".into()),
    };
    assert_eq!(read(&files).0.expect_err("an error").to_string(), "main:5: cannot read gone: no such file");
    let nothing = read(&|_, _, _| Err("no such file".into())).0.expect_err("an error");
    assert_eq!(nothing.to_string(), "main:0: cannot read main: no such file");
}

#[test]
fn what_works_badly_is_warned_of_and_served() {
    let text = "@ 60 SOA ns mail 1 2 3 4 5\n 60 NS ns\n 60 NS lost\nns 60 A 192.0.2.1\nttl 60 A 192.0.2.2\nttl 61 A 192.0.2.3\n\
        twice 60 A 192.0.2.4\ntwice 60 A 192.0.2.4\nsub 60 NS ns.sub\nfar 60 NS ns.elsewhere.\nwild 60 NS x.w\n*.w 60 A 192.0.2.5\n\
        rare 60 A 192.0.2.6\nrare 60 RRSIG MX 13 3 60 20300101000000 20200101000000 1 @ AAAA\nother 60 NS ns.glue\n\
        glue 60 NS ns.glue\nns.glue 60 A 192.0.2.7\n";
    let zone = load(&Zones::new(1), "example.com", text).unwrap_or_else(|errors| panic!("{errors}"));
    let said: Vec<String> = zone.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "zone:6: ttl.example.com. has records of one type with different times to live (RFC 2181 section 5.2)",
            "zone:8: twice.example.com. has the same record twice",
            "zone:14: rare.example.com. has an RRSIG record for type 15, which it does not have",
            "zone:3: the name server lost.example.com. has no address in the zone",
            "zone:9: the name server ns.sub.example.com. has no address in the zone",
        ]
    );
}
