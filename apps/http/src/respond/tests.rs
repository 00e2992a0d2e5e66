use super::*;
use crate::head;
use crate::mime;
use crate::representation::Facts;

const MODIFIED: u64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn file() -> Representation {
    Representation::new(&Facts {
        length: 1000,
        modified: MODIFIED,
        tag: b"t",
        weak: false,
        mime: mime::of(b"a.html"),
        gzip: false,
        varies: true,
    })
}

/// Answers a request with these fields; the status, the head's text and what follows.
fn answer_to(method: &str, file: &Representation, fields: &str) -> (u16, String, Content) {
    let text = std::format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut room = head::room();
    let head = head::parse(text.as_bytes(), &mut room).unwrap().unwrap();
    let mut clock = Clock::default();
    clock.set(MODIFIED + 100);
    let mut out = vec![];
    let (status, content) = respond(&mut out, &head, file, &clock, Connection::of(&head));
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(&std::format!("HTTP/1.1 {} ", status.0)), "{text}");
    assert!(text.contains("\r\nDate: Sun, 06 Nov 1994 08:51:17 GMT\r\n"), "{text}");
    assert_eq!(text.matches("\r\n\r\n").count(), 1, "{text}");
    (status.0, text, content)
}

fn answer(fields: &str) -> (u16, String, Content) {
    answer_to("GET", &file(), fields)
}

#[test]
fn a_file_is_answered_with_its_fields() {
    let (status, text, content) = answer("");
    assert_eq!((status, content), (200, Content::Part(0, 1000)));
    for line in [
        "ETag: \"t\"",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
        "Accept-Ranges: bytes",
        "Vary: Accept-Encoding",
        "Content-Length: 1000",
        "Content-Type: text/html; charset=utf-8",
        "Server: kernlet",
    ] {
        assert!(text.contains(&std::format!("\r\n{line}\r\n")), "{line}: {text}");
    }
    assert!(!text.contains("Connection"));
    let (status, of_head, content) = answer_to("HEAD", &file(), "");
    assert_eq!((status, content, of_head), (200, Content::None, text));
}

#[test]
fn conditions_go_in_the_order_of_the_standard() {
    for (fields, status) in [
        ("If-None-Match: \"t\"", 304),
        ("If-None-Match: W/\"t\"", 304),
        ("If-None-Match: \"x\", \"t\"", 304),
        ("If-None-Match: \"x\"\r\nIf-None-Match: \"t\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"x\"", 200),
        // With If-None-Match the date is not looked at.
        (&std::format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {DATE}"), 200),
        (&std::format!("If-Modified-Since: {DATE}"), 304),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 304),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994", 304),
        (&std::format!("If-Modified-Since: {BEFORE}"), 200),
        ("If-Modified-Since: nonsense", 200),
        ("If-Match: \"t\"", 200),
        ("If-Match: *", 200),
        ("If-Match: W/\"t\"", 412),
        ("If-Match: \"x\"", 412),
        // With If-Match the date is not looked at.
        (&std::format!("If-Match: \"t\"\r\nIf-Unmodified-Since: {BEFORE}"), 200),
        (&std::format!("If-Unmodified-Since: {BEFORE}"), 412),
        (&std::format!("If-Unmodified-Since: {DATE}"), 200),
        ("If-Unmodified-Since: nonsense", 200),
        ("If-Match: \"x\"\r\nIf-None-Match: \"t\"", 412),
        ("If-Match: \"t\"\r\nIf-None-Match: \"t\"", 304),
    ] {
        let (was, text, content) = answer(&std::format!("{fields}\r\n"));
        assert_eq!(was, status, "{fields}");
        if status != 200 {
            assert_eq!(content, Content::None);
        }
        if status == 304 {
            assert!(
                text.contains("ETag: \"t\"") && text.contains("Vary:") && !text.contains("Content-"),
                "{text}"
            );
        }
    }
}

#[test]
fn one_range_is_a_206_with_its_place() {
    let (status, text, content) = answer("Range: bytes=10-19\r\n");
    assert_eq!((status, content), (206, Content::Part(10, 10)));
    assert!(
        text.contains("Content-Range: bytes 10-19/1000\r\n") && text.contains("Content-Length: 10\r\n"),
        "{text}"
    );
    let (status, text, content) = answer("Range: bytes=1000-\r\n");
    assert_eq!((status, content), (416, Content::None));
    assert!(text.contains("Content-Range: bytes */1000\r\n"), "{text}");
    assert_eq!(answer("Range: lines=1-2\r\n").0, 200);
    assert_eq!(answer("Range: bytes=1-2\r\nRange: bytes=3-4\r\n").0, 200);
    assert_eq!(answer_to("HEAD", &file(), "Range: bytes=10-19\r\n").0, 200);
    assert_eq!(answer("Range: bytes=10-19\r\nIf-None-Match: \"t\"\r\n").0, 304);
}

#[test]
fn several_ranges_are_parts_of_a_body_that_is_as_long_as_it_says() {
    let (status, text, content) = answer("Range: bytes=0-9,20-29,-1\r\n");
    let Content::Parts(parts) = content else { panic!("{content:?}") };
    assert_eq!(status, 206);
    let boundary = text.split("boundary=").nth(1).unwrap().split("\r\n").next().unwrap();
    let length: u64 =
        text.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert_eq!(length, parts.iter().map(|(text, _, count)| text.len() as u64 + count).sum::<u64>());
    assert_eq!(parts.iter().map(|p| (p.1, p.2)).collect::<Vec<_>>(), [(0, 10), (20, 10), (999, 1), (0, 0)]);
    let first = String::from_utf8(parts[0].0.clone()).unwrap();
    assert_eq!(
        first,
        std::format!(
            "\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Range: bytes 0-9/1000\r\n\r\n"
        )
    );
    assert_eq!(parts[3].0, std::format!("\r\n--{boundary}--\r\n").as_bytes());
}

#[test]
fn a_range_counts_only_for_the_file_that_it_was_meant_for() {
    for (fields, status) in [
        ("If-Range: \"t\"", 206),
        ("If-Range: W/\"t\"", 200),
        ("If-Range: \"x\"", 200),
        ("If-Range: nonsense", 200),
        (&std::format!("If-Range: {DATE}"), 206),
        (&std::format!("If-Range: {BEFORE}"), 200),
        ("If-Range: Sun, 06 Nov 1994 08:49:38 GMT", 200),
    ] {
        assert_eq!(answer(&std::format!("Range: bytes=0-1\r\n{fields}\r\n")).0, status, "{fields}");
    }
    // A range that cannot be served does not matter either when it was meant for another file.
    assert_eq!(answer("Range: bytes=5000-\r\nIf-Range: \"x\"\r\n").0, 200);
}

#[test]
fn a_weak_tag_matches_no_range_and_no_if_match() {
    let facts = Facts {
        length: 10,
        modified: 0,
        tag: b"t",
        weak: true,
        mime: mime::of(b"a"),
        gzip: true,
        varies: true,
    };
    let weak = Representation::new(&facts);
    assert_eq!(answer_to("GET", &weak, "If-Match: W/\"t\"\r\n").0, 412);
    assert_eq!(answer_to("GET", &weak, "If-None-Match: W/\"t\"\r\n").0, 304);
    assert_eq!(answer_to("GET", &weak, "Range: bytes=0-1\r\nIf-Range: \"t\"\r\n").0, 200);
    let (_, text, _) = answer_to("GET", &weak, "");
    assert!(
        text.contains("ETag: W/\"t\"\r\n")
            && text.contains("Content-Encoding: gzip")
            && !text.contains("Last-Mod")
    );
}

#[test]
fn errors_say_themselves_and_405_says_what_is_allowed() {
    let clock = Clock::default();
    let mut out = vec![];
    error(&mut out, None, Status::METHOD_NOT_ALLOWED, &clock, Connection::Closes);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("Allow: GET, HEAD, OPTIONS\r\n") && text.contains("Connection: close\r\n"),
        "{text}"
    );
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&std::format!("Content-Length: {}", body.len())) && body == "405 Method Not Allowed\n",
        "{text}"
    );
}
