//! The rules of zone files, each with the error that breaking it gives.

mod common;

use common::{Ask, ask, load};
use dns::{Name, Problem, Zone, ZoneErrors, Zones};
use std::borrow::Cow;

const HEAD: &str = "$TTL 1h\n@ SOA ns mail 1 2h 3h 4h 5m\n NS ns\nns A 192.0.2.1\n";

/// Loads a zone that starts with SOA, NS and one address.
fn zone(text: &str) -> Result<Zone, ZoneErrors> {
    load(&Zones::new(1), "example.com", &format!("{HEAD}{text}"))
}

/// The first problem of a zone, with its line counted after the head.
fn problem(text: &str) -> (u32, Problem) {
    match zone(text) {
        Ok(zone) => panic!("{text}: {zone:?}"),
        Err(errors) => (errors.0[0].line - 4, errors.0[0].problem.clone()),
    }
}

/// The records of a name and type, as "time-to-live data".
fn data(text: &str, name: &str, rtype: u16) -> Vec<String> {
    let mut zones = Zones::new(1);
    let zone = zone(text).unwrap_or_else(|errors| panic!("{text}:\n{errors}"));
    zones.insert(zone);
    let reply = ask(&zones, &Ask::new(&format!("{name}.example.com."), rtype));
    reply.sections[0].iter().map(|record| format!("{} {}", record.ttl, record.data)).collect()
}

/// The same where only the data of one record matters.
fn wire(text: &str, rtype: u16) -> String {
    let records = data(&format!("x 1 {text}"), "x", rtype);
    assert_eq!(records.len(), 1, "{text}: {records:?}");
    records[0].strip_prefix("1 ").expect("a time to live").into()
}

#[test]
fn times_to_live_come_from_the_record_then_ttl_then_the_last_stated() {
    let load = |text: &str| {
        let mut zones = Zones::new(1);
        zones.insert(common::load(&zones, "example.com", text).unwrap_or_else(|errors| panic!("{errors}")));
        zones
    };
    let ttl = |zones: &Zones, name: &str, rtype| {
        let reply = ask(zones, &Ask::new(name, rtype));
        reply.sections[0].iter().next().expect("a record").ttl
    };
    let zones = load(
        "@ SOA ns mail 1 2 3 4 77\n NS ns\nns A 192.0.2.1\na 10 A 192.0.2.2\nb A 192.0.2.3\n$TTL 20\nc A 192.0.2.4\n\
         d 30 A 192.0.2.5\ne A 192.0.2.6\n",
    );
    assert_eq!(ttl(&zones, "example.com.", 6), 77, "an SOA record without one has its minimum");
    assert_eq!(ttl(&zones, "ns.example.com.", 1), 77, "and so do those after it");
    assert_eq!(ttl(&zones, "b.example.com.", 1), 10, "then the last one stated counts (RFC 1035)");
    assert_eq!(ttl(&zones, "c.example.com.", 1), 20);
    assert_eq!(ttl(&zones, "e.example.com.", 1), 20, "after $TTL only that counts (RFC 2308)");
}

#[test]
fn class_and_time_to_live_come_in_either_order() {
    for text in [
        "x 5 IN A 1.2.3.4",
        "x IN 5 A 1.2.3.4",
        "x 5 A 1.2.3.4",
        "x 5 CLASS1 TYPE1 1.2.3.4",
        "x 5 in a 1.2.3.4",
    ] {
        assert_eq!(data(text, "x", 1), ["5 01020304"], "{text}");
    }
}

#[test]
fn a_blank_repeats_the_owner_and_at_means_the_origin() {
    assert_eq!(data("x A 1.2.3.4\n\tA 1.2.3.5\n ; nothing\n  A 1.2.3.6", "x", 1).len(), 3);
    assert_eq!(
        data("$ORIGIN sub.example.com.\n@ A 1.2.3.4\n$ORIGIN deep\ny A 1.2.3.5", "sub", 1),
        ["3600 01020304"]
    );
    assert_eq!(data("$ORIGIN sub\n$ORIGIN deep\ny A 1.2.3.5", "y.deep.sub", 1), ["3600 01020305"]);
    let nothing_before = load(&Zones::new(1), "example.com", " A 1.2.3.4\n").expect_err("no owner");
    assert_eq!(nothing_before.0[0].problem, Problem::NoOwner);
}

#[test]
fn escapes_and_quotes_make_any_octet() {
    assert_eq!(
        wire(r#"TXT a\.b "c d" \001\255 "" e\"f"#, 16),
        "03612e62 03632064 0201ff 00 03652266".replace(' ', "")
    );
    assert_eq!(data(r"a\.b 1 A 1.2.3.4", r"a\.b", 1).len(), 1);
    assert_eq!(data(r"\000\255 1 A 1.2.3.4", r"\000\255", 1).len(), 1);
    assert_eq!(data(r"\065b 1 A 1.2.3.4", "ab", 1).len(), 1);
}

#[test]
fn includes_keep_the_origin_and_owner_of_the_file_that_includes() {
    let files = |file: &str| -> Result<Cow<'static, [u8]>, Box<str>> {
        match file {
            "main" => {
                Ok(format!("{HEAD}x A 1.1.1.1\n$INCLUDE sub.zone sub\n A 1.1.1.2\n$INCLUDE \"sub.zone\"\n")
                    .into_bytes()
                    .into())
            }
            "sub.zone" => Ok(b"y A 2.2.2.2\n$ORIGIN elsewhere.example.com.\n"[..].into()),
            _ => Err("no such file".into()),
        }
    };
    let mut zones = Zones::new(1);
    let origin: Name = "example.com".parse().expect("a name");
    let zone = zones.load(&origin, "main", &mut { files }).unwrap_or_else(|errors| panic!("{errors}"));
    zones.insert(zone);
    for (name, count) in [("x", 2), ("y.sub", 1), ("y", 1)] {
        let reply = ask(&zones, &Ask::new(&format!("{name}.example.com."), 1));
        assert_eq!(reply.sections[0].len(), count, "{name}");
    }
}

#[test]
fn includes_are_bounded_and_say_what_is_wrong_where() {
    let zones = Zones::new(1);
    let origin: Name = "example.com".parse().expect("a name");
    let errors = |loader: dns::Loader<'_, 'static>| zones.load(&origin, "a", loader).expect_err("an error").0;
    let looped = errors(&mut |file| match file {
        "a" => Ok(b"$TTL 1\n$INCLUDE b\n"[..].into()),
        _ => Ok(b"$INCLUDE a\n"[..].into()),
    });
    assert_eq!(looped[0].to_string(), "b:1: a includes itself");
    let missing = errors(&mut |file| {
        if file == "a" { Ok(b"\n$INCLUDE b\n"[..].into()) } else { Err("no such file".into()) }
    });
    assert_eq!(missing[0].to_string(), "a:2: cannot read b: no such file");
    let absent = errors(&mut |_| Err("no such file".into()));
    assert_eq!(absent[0].problem, Problem::Unreadable("a".into(), "no such file".into()));
    // Each file includes two others: the depth is small, the number of files is not.
    let mut count = 0;
    let deep = errors(&mut |file| {
        count += 1;
        Ok(format!("$INCLUDE {file}x\n$INCLUDE {file}y\n").into_bytes().into())
    });
    assert_eq!(deep[0].problem, Problem::IncludeLimit);
    assert!(count <= 1000);
    let inside =
        errors(&mut |file| Ok(if file == "a" { &b"$INCLUDE b\n"[..] } else { b"\n\nx 1 FOO\n" }.into()));
    assert_eq!(inside[0].to_string(), "b:3: unknown record type FOO");
}

#[test]
fn every_error_names_its_line_and_what_is_wrong() {
    use Problem::*;
    let field = |what, text: &str| BadField(what, text.into());
    let long = "a".repeat(64);
    let name = |owner: &str| owner.into();
    let cases: Vec<(&str, u32, Problem)> = vec![
        ("\nx FOO 1.2.3.4", 2, UnknownType("FOO".into())),
        ("x TYPE65536 \\# 0", 1, UnknownType("TYPE65536".into())),
        ("x TYPE255 \\# 0", 1, NotZoneData("TYPE255".into())),
        ("x AXFR", 1, UnknownType("AXFR".into())),
        ("$GENERATE 1-2 a A 1.2.3.4", 1, UnknownDirective("$GENERATE".into())),
        ("x CH A 1.2.3.4", 1, NotClassIn("CH".into())),
        ("x CLASS3 A 1.2.3.4", 1, NotClassIn("CLASS3".into())),
        ("x.example.org. A 1.2.3.4", 1, OutOfZone("x.example.org.".into())),
        ("com. A 1.2.3.4", 1, OutOfZone("com.".into())),
        ("x CNAME y\ny A 1.2.3.4\nx A 1.2.3.4", 3, CnameAndOther(name("x.example.com."))),
        ("x A 1.2.3.4\nx CNAME y", 2, CnameAndOther(name("x.example.com."))),
        ("x CNAME y\nx CNAME z", 2, SecondAlias(name("x.example.com."))),
        ("x DNAME y\nx DNAME z", 2, SecondAlias(name("x.example.com."))),
        ("x DNAME y\na.x A 1.2.3.4", 2, BelowDname(name("a.x.example.com."))),
        ("@ SOA ns mail 2 2 3 4 5", 1, SecondSoa),
        ("x SOA ns mail 2 2 3 4 5", 1, SoaBelowApex(name("x.example.com."))),
        ("x 2147483648 A 1.2.3.4", 1, TimeRange("2147483648".into())),
        ("x 1y A 1.2.3.4", 1, TimeRange("1y".into())),
        ("$TTL forever", 1, TimeRange("forever".into())),
        ("..x A 1.2.3.4", 1, EmptyLabel),
        ("x\\25 A 1.2.3.4", 1, BadEscape),
        ("x\\256 A 1.2.3.4", 1, BadEscape),
        ("x", 1, MissingField("a record type")),
        ("x A", 1, MissingField("an IPv4 address")),
        ("x MX 10", 1, MissingField("a name")),
        ("x A 1.2.3.4 5", 1, ExtraField("5".into())),
        ("x A 1.2.3", 1, field("an IPv4 address", "1.2.3")),
        ("x A 1.2.3.256", 1, field("an IPv4 address", "1.2.3.256")),
        ("x AAAA 1::2::3", 1, field("an IPv6 address", "1::2::3")),
        ("x MX 65536 y", 1, field("a number below 65536", "65536")),
        ("x CAA 256 issue a", 1, field("a number below 256", "256")),
        ("x DS 1 2 3 abc", 1, field("whole hexadecimal data", "abc")),
        ("x DS 1 2 3 xy", 1, field("hexadecimal data", "xy")),
        ("x DNSKEY 256 3 8 A", 1, field("whole base64 data", "A")),
        ("x NSEC y FOO", 1, field("a record type", "FOO")),
        ("x LOC 91 N 0 E 0m", 1, field("an angle as degrees, minutes, seconds and hemisphere", "91")),
        ("x SVCB 1 . alpn", 1, field("a service parameter", "alpn")),
        ("x SVCB 1 . port=1 port=2", 1, field("used once only", "key3")),
        ("x SVCB 1 . mandatory=port", 1, MissingField("a mandatory service parameter")),
        ("x IPSECKEY 10 4 2 . AA==", 1, field("a known type of gateway", "4")),
        ("x TYPE4711 1.2.3.4", 1, MissingField("\\# and the data's length")),
        ("x TYPE4711 \\# 3 abcd", 1, GenericLength),
        ("x A \\# 3 010203", 1, GenericData),
        ("x MX \\# 3 000a05", 1, GenericData),
        ("x TXT \"abc", 1, OpenQuote),
        ("x A ( 1.2.3.4\n", 1, OpenParenthesis),
        ("x A 1.2.3.4 )", 1, ClosingParenthesis),
        ("$ORIGIN", 1, MissingField("a name")),
        ("$TTL 1 2", 1, ExtraField("2".into())),
    ];
    for (text, line, expected) in cases {
        assert_eq!(problem(text), (line, expected), "{text}");
    }
    assert_eq!(problem(&format!("{long} A 1.2.3.4")), (1, LabelTooLong));
    assert_eq!(problem(&format!("{} A 1.2.3.4", "abc.".repeat(63))).1, OutOfZone("abc.".repeat(63).into()));
    assert_eq!(problem(&format!("{}a A 1.2.3.4", "abc.".repeat(63))), (1, NameTooLong));
    assert_eq!(problem(&format!("x TXT {}", "a".repeat(256))), (1, StringTooLong));
    assert_eq!(problem(&format!("x TXT {}", format!("{} ", "a".repeat(255)).repeat(257))), (1, DataTooLong));
    let bare =
        |text: &str| load(&Zones::new(1), "example.com", text).expect_err("an error").0.remove(0).problem;
    assert_eq!(bare(""), NoSoa);
    assert_eq!(bare("@ 1 SOA ns mail 1 2 3 4 5"), NoNs);
    assert_eq!(bare("@ NS ns"), NoTtl);
}

#[test]
fn all_errors_are_said_up_to_a_bound() {
    let errors = zone("a FOO\nb A\nc A ( x\n 1 )\nd A 1.2.3.4\n\"e\n").expect_err("errors");
    let lines: Vec<u32> = errors.0.iter().map(|error| error.line - 4).collect();
    assert_eq!(lines, [1, 2, 3, 6]);
    assert!(
        errors
            .to_string()
            .starts_with("zone:5: unknown record type FOO\nzone:6: an IPv4 address is missing\n")
    );
    assert_eq!(zone(&"x FOO\n".repeat(1000)).expect_err("errors").0.len(), 20);
}

#[test]
fn records_that_come_twice_are_served_once() {
    assert_eq!(data("x A 1.2.3.4\nx A 1.2.3.4\nX A 1.2.3.4", "x", 1).len(), 1);
    let many: String = (0..200).map(|n| format!("x A 1.2.3.{}\n", n % 50)).collect();
    assert_eq!(data(&many, "x", 1).len(), 0, "too many for UDP");
    let mut zones = Zones::new(1);
    zones.insert(zone(&many).expect("a zone"));
    let reply = common::answer(&zones, &Ask::new("x.example.com.", 1).packet(), dns::Transport::Tcp);
    assert_eq!(reply.expect("a reply").sections[0].len(), 50);
    assert_eq!(zone(&many).expect("a zone").records(), 3 + 50);
}

#[test]
fn types_that_nsd_does_not_know_have_the_data_of_their_standards() {
    // What the reference server reads is compared with it; these are from the documents.
    assert_eq!(
        wire("GPOS -32.6882 116.8652 10.0", 27),
        "082d33322e3638383208 3131362e38363532 0431302e30".replace(' ', "")
    );
    assert_eq!(wire("HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAQ== rvs1.example.com. b", 55), "1002000420010010 7b1a74df365639cc39f1d578 03010001 0472767331076578616d706c6503636f6d00 0162076578616d706c6503636f6d00".replace(' ', ""));
    assert_eq!(wire("AMTRELAY 10 0 1 203.0.113.15", 260), "0a01cb00710f");
    assert_eq!(
        wire("AMTRELAY 10 1 3 amtrelays.example.com.", 260),
        "0a83 09616d7472656c617973076578616d706c6503636f6d00".replace(' ', "")
    );
    assert_eq!(wire("AMTRELAY 10 0 0 .", 260), "0a00");
    assert_eq!(wire("RESINFO qnamemin exterr=15-17", 261), "08716e616d656d696e0c6578746572723d31352d3137");
    assert_eq!(wire("WALLET ETH 0x1", 262), "0345544803307831");
    assert_eq!(wire("TALINK a b", 58).split_whitespace().count(), 1, "uncompressed names");
    assert_eq!(
        wire("DSYNC CDS 1 5359 cds-scanner.example.net.", 66),
        "003b0114ef 0b6364732d7363616e6e6572076578616d706c65036e657400".replace(' ', "")
    );
    assert_eq!(wire("EID e32c6f78163a9348", 31), "e32c6f78163a9348");
    assert_eq!(wire("NINFO zone status", 56), "047a6f6e6506737461747573");
    assert_eq!(wire("RKEY 0 255 8 AQID", 57), "0000ff08010203");
    assert_eq!(wire("NSEC3PARAM 1 0 12 aabbccdd", 51), "0100000c04aabbccdd");
    assert_eq!(wire("NSEC3PARAM 1 0 0 -", 51), "0100000000");
    assert_eq!(
        wire("RRSIG A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1", 46),
        "0001050300015180 3e7c9dd73e5510d7 0a52 076578616d706c6503636f6d00 a09075".replace(' ', "")
    );
    assert_eq!(
        wire("NXT host.example.com. A MX SIG KEY NXT", 30),
        "04686f7374076578616d706c6503636f6d00 4001 00c2".replace(' ', "")
    );
    assert_eq!(wire("IPN 974848", 264), "00000000000ee000");
    assert_eq!(wire("DOA 0 1 2 \"\" aHR0cHM6", 259), "000000000000000102 00 68747470733a".replace(' ', ""));
    assert_eq!(
        wire("DOA 0 1 2 text/plain -", 259),
        "000000000000000102 0a746578742f706c61696e".replace(' ', "")
    );
    assert_eq!(wire("SINK 1 0 AQID", 40), "0100010203");
    assert_eq!(wire("KEY 512 255 1", 25), "0200ff01");
    assert_eq!(wire("WKS 1.2.3.4 tcp smtp 0", 11), "010203040680000040");
}

#[test]
fn a_root_zone_is_a_zone() {
    let mut zones = Zones::new(1);
    zones.insert(
        load(
            &zones,
            ".",
            "$TTL 9\n@ SOA a b 1 2 3 4 5\n NS a\na A 1.2.3.4\ncom NS ns.com\nns.com A 1.2.3.5\n",
        )
        .expect("a zone"),
    );
    assert_eq!(ask(&zones, &Ask::new(".", 2)).lines(0), [". 2 a."]);
    assert_eq!(ask(&zones, &Ask::new("www.example.com.", 1)).lines(1), ["com. 2 ns.com."]);
    assert_eq!(ask(&zones, &Ask::new("www.example.org.", 1)).rcode(), 3);
}

#[test]
fn zones_are_replaced_and_removed_whole() {
    let mut zones = Zones::new(1);
    let origin: Name = "example.com".parse().expect("a name");
    assert!(zones.insert(zone("x A 1.2.3.4").expect("a zone")).is_none());
    assert_eq!(ask(&zones, &Ask::new("x.example.com.", 1)).sections[0].len(), 1);
    let old = zones.insert(zone("y A 1.2.3.4").expect("a zone")).expect("the old zone");
    assert_eq!(old.origin(), &origin);
    assert_eq!(ask(&zones, &Ask::new("x.example.com.", 1)).rcode(), 3);
    zones.insert(load(&zones, "a.example.com", HEAD).expect("a zone"));
    assert_eq!(zones.iter().count(), 2);
    assert!(zones.remove(&origin).is_some());
    assert!(zones.remove(&origin).is_none());
    assert_eq!(ask(&zones, &Ask::new("y.example.com.", 1)).rcode(), 5);
    assert_eq!(ask(&zones, &Ask::new("ns.a.example.com.", 1)).rcode(), 0);
}

#[test]
fn each_of_many_zones_is_found() {
    let mut zones = Zones::new(1);
    for n in 0..500 {
        // Some beside and some below one another.
        let origin = if n % 2 == 0 { format!("z{n}.test") } else { format!("sub.z{}.test", n - 1) };
        assert!(zones.insert(load(&zones, &origin, HEAD).expect("a zone")).is_none());
    }
    for n in 0..500 {
        if n % 5 == 0 {
            let origin: Name = format!("z{n}.test").parse().expect("a name");
            assert_eq!(zones.remove(&origin).is_some(), n % 2 == 0);
        }
    }
    for n in (0..500).step_by(2) {
        let rcode = |name: String| ask(&zones, &Ask::new(&name, 1)).rcode();
        assert_eq!(rcode(format!("ns.z{n}.test.")), if n % 5 == 0 { 5 } else { 0 });
        assert_eq!(rcode(format!("ns.sub.z{n}.test.")), 0);
    }
}
