use super::*;
use proptest::prelude::*;

/// What becomes of a head, as (method, target, framing, keep-alive).
fn read(text: &str) -> Result<Option<(Method, String, Framing, bool)>, Status> {
    let mut room = room();
    let head = parse(text.as_bytes(), &mut room)?;
    Ok(head.map(|h| (h.method, String::from_utf8_lossy(h.target).into_owned(), h.framing, h.keep_alive)))
}

fn refused(text: &str) -> u16 {
    read(text).unwrap_err().0
}

fn with(fields: &str) -> String {
    std::format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn an_ordinary_request_is_read() {
    let text = "\r\nGET /a?b HTTP/1.1\r\nhOST:\ta.example:80 \r\nX: y\r\n\r\nGET /next";
    let mut room = room();
    let head = parse(text.as_bytes(), &mut room).unwrap().unwrap();
    assert_eq!((head.method, head.target, head.minor, head.keep_alive), (Method::Get, &b"/a?b"[..], 1, true));
    assert_eq!(&text[head.length..], "GET /next");
    assert_eq!(head.single(Field::Host), Some(&b"a.example:80"[..]));
    assert!(!head.has(Field::Range) && head.values(Field::Range).next().is_none());
}

#[test]
fn a_head_is_whole_only_with_its_last_octet() {
    let text = with("A: b\r\n");
    for length in 0..text.len() {
        assert_eq!(read(&text[..length]), Ok(None), "{length}");
    }
    assert!(read(&text).unwrap().is_some());
}

#[test]
fn methods_are_case_sensitive_and_known_or_not() {
    for (text, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("OPTIONS", Method::Options),
        ("POST", Method::Refused),
        ("TRACE", Method::Refused),
        ("get", Method::Unknown),
        ("BREW", Method::Unknown),
    ] {
        assert_eq!(read(&std::format!("{text} / HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap().unwrap().0, method);
    }
}

#[test]
fn host_stands_once_in_http_1_1() {
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    assert_eq!(refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
    assert!(read("GET / HTTP/1.1\r\nHost:\r\n\r\n").unwrap().is_some());
    assert!(read("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").unwrap().is_some());
    assert!(read("GET / HTTP/1.0\r\n\r\n").unwrap().is_some());
}

#[test]
fn connections_stay_open_as_their_version_says() {
    let keeps = |version: &str, connection: &str| {
        let text = std::format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        read(&text).unwrap().unwrap().3
    };
    assert!(
        keeps("1.1", "")
            && keeps("1.1", "Connection: keep-alive\r\n")
            && !keeps("1.1", "Connection: x, Close\r\n")
    );
    assert!(!keeps("1.0", "") && keeps("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
}

#[test]
fn versions_other_than_1_are_505_and_no_version_at_all_is_400() {
    for version in ["2.0", "0.9", "1.2", "3"] {
        assert_eq!(refused(&std::format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")), 505, "{version}");
    }
    assert_eq!(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    assert_eq!(refused("GET /\r\n\r\n"), 400);
}

#[test]
fn malformed_heads_are_400() {
    for text in [
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\u{0}c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n",
        // obs-fold (RFC 9112, section 5.2)
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}",
    ] {
        assert_eq!(refused(text), 400, "{text:?}");
    }
}

#[test]
fn content_that_could_be_read_in_two_ways_is_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        assert_eq!(refused(&with(fields)), 400, "{fields:?}");
    }
    assert_eq!(refused(&with("Transfer-Encoding: gzip, chunked\r\n")), 501);
    assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    let framing = |fields: &str| read(&with(fields)).unwrap().unwrap().2;
    assert_eq!(framing("Content-Length: 5\r\n"), Framing::Length(5));
    assert_eq!(framing("transfer-encoding: CHUNKED\r\n"), Framing::Chunked);
    assert_eq!(framing(""), Framing::Length(0));
}

#[test]
fn what_is_too_large_is_told_by_what_is_too_large() {
    assert_eq!(
        refused(&std::format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(LONGEST_TARGET))),
        414
    );
    assert_eq!(refused(&"G".repeat(LARGEST)), 414);
    assert_eq!(refused(&std::format!("GET /{}", "a".repeat(LARGEST))), 414);
    assert_eq!(refused(&with(&std::format!("A: {}\r\n", "b".repeat(LARGEST)))), 431);
    assert_eq!(refused(&with(&"A: b\r\n".repeat(MOST_FIELDS))), 431);
    assert!(read(&with(&"A: b\r\n".repeat(MOST_FIELDS - 1))).unwrap().is_some());
}

#[test]
fn only_a_continue_can_be_expected() {
    let expects = |fields: &str| {
        let text = with(fields);
        let mut room = room();
        parse(text.as_bytes(), &mut room).unwrap().unwrap().expects_continue()
    };
    assert_eq!(expects("Expect: 100-Continue\r\n"), Ok(true));
    assert_eq!(expects(""), Ok(false));
    assert_eq!(expects("Expect: tea\r\n"), Err(Status::EXPECTATION_FAILED));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&text, &mut room());
    }

    #[test]
    fn one_octet_changed_is_read_or_refused(at in 0usize..80, octet: u8) {
        let mut text = with("Range: bytes=0-1\r\nContent-Length: 3\r\nIf-None-Match: \"a\"\r\n").into_bytes();
        let length = text.len();
        text[at % length] = octet;
        if let Ok(Some(head)) = parse(&text, &mut room()) {
            prop_assert!(head.length <= length);
        }
    }
}
