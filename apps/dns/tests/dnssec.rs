//! Signed zones, made by ldns-signzone: what proves what. That all answers are those of other servers is asked by the
//! comparison with them; here each rule stands by itself.

mod common;

use common::{Ask, Reply, ask, load, server};
use dns::{Problem, Zones};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const ZONE: &str = "$TTL 3600\n@ SOA ns1 host 1 7200 3600 1209600 300\n NS ns1\nns1 A 192.0.2.1\n\
    a.ent A 192.0.2.2\nalias CNAME a.ent\n*.wild TXT w\nmail MX 10 ns1\n\
    deleg NS ns.deleg\nns.deleg A 192.0.2.3\nsecure NS ns.elsewhere.\n\
    secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\
    deep.down NS ns.elsewhere.\ndname DNAME target.elsewhere.\n";

/// Signs a zone; `options` are those of ldns-signzone.
fn signed(options: &[&str]) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("dns-signed-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("zone"), ZONE.replacen("$TTL", "$ORIGIN sig.test.\n$TTL", 1))
        .expect("written");
    let run = |command: &mut Command| {
        let output = command.current_dir(&folder).output();
        let output = output.expect("ldns-signzone and ldns-keygen: apt-get install ldnsutils");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let key = run(Command::new("ldns-keygen").args(["-a", "ECDSAP256SHA256", "-k", "sig.test"]));
    run(Command::new("ldns-signzone").args(options).args(["-f", "out", "zone", &key]));
    let text = std::fs::read_to_string(folder.join("out")).expect("a signed zone");
    let _ = std::fs::remove_dir_all(folder);
    text
}

fn zones(options: &[&str]) -> Zones {
    server(&[("sig.test", &signed(options))])
}

fn with_do(zones: &Zones, name: &str, rtype: u16) -> Reply {
    let mut question = Ask::new(&format!("{name}sig.test."), rtype);
    question.edns = Some((4096, 0, true, vec![]));
    let mut out = vec![0; 65535];
    let length = zones.answer(&question.packet(), dns::Transport::Tcp, &mut out).expect("a reply");
    common::decode(&out[..length]).expect("well formed")
}

/// The types in a section, with those that signatures cover as negative numbers.
fn types(reply: &Reply, section: usize) -> Vec<i32> {
    let covered = |data: &str| -i32::from(u16::from_str_radix(&data[..4], 16).expect("hexadecimal"));
    let of = |record: &common::Record| match record.rtype {
        46 => covered(&record.data),
        rtype => rtype.into(),
    };
    let mut types: Vec<i32> = reply.sections[section].iter().map(of).collect();
    types.sort_unstable();
    types
}

/// The owners of NSEC or NSEC3 records.
fn proofs(reply: &Reply) -> Vec<&str> {
    reply.sections[1].iter().filter(|r| matches!(r.rtype, 47 | 50)).map(|r| r.owner.as_str()).collect()
}

#[test]
fn signatures_come_along_only_where_they_are_wanted() {
    let zones = zones(&[]);
    let reply = with_do(&zones, "mail.", 15);
    assert_eq!((types(&reply, 0), types(&reply, 1)), (vec![-15, 15], vec![-2, 2]));
    assert_eq!(types(&reply, 2), [-1, 1, 41]);
    let plain = ask(&zones, &Ask::new("mail.sig.test.", 15).edns(1232));
    assert!(plain.sections.iter().flatten().all(|record| record.rtype != 46));
    let nothing = ask(&zones, &Ask::new("none.sig.test.", 15).edns(1232));
    assert_eq!((nothing.rcode(), types(&nothing, 1)), (3, vec![6]));
}

#[test]
fn negative_answers_carry_nsec_records_and_a_signed_soa_with_one_time_to_live() {
    let zones = zones(&[]);
    let missing = with_do(&zones, "b.ent.", 1);
    assert_eq!(missing.rcode(), 3);
    assert_eq!(proofs(&missing), ["a.ent.sig.test.", "deep.down.sig.test."], "the name, and the wildcard");
    assert!(missing.sections[1].iter().filter(|r| r.rtype != 47).all(|r| r.ttl == 300));
    let no_type = with_do(&zones, "mail.", 1);
    assert_eq!((no_type.rcode(), proofs(&no_type)), (0, vec!["mail.sig.test."]));
    assert_eq!(proofs(&with_do(&zones, "ent.", 1)).len(), 1, "an empty non-terminal");
}

#[test]
fn wildcards_prove_that_nothing_is_closer() {
    for options in [&[][..], &["-n"], &["-n", "-p"]] {
        let zones = zones(options);
        let found = with_do(&zones, "x.wild.", 16);
        assert_eq!((types(&found, 0), proofs(&found).len()), (vec![-16, 16], 1), "{options:?}");
        let no_type = with_do(&zones, "x.wild.", 1);
        assert_eq!(no_type.rcode(), 0);
        assert_eq!(proofs(&no_type).len(), if options.is_empty() { 1 } else { 3 }, "{options:?}");
    }
}

#[test]
fn delegations_say_whether_they_are_signed() {
    // With opt-out one record may match the closest encloser and cover the next name at once.
    for (options, counts) in [(&[][..], 1..=1), (&["-n"], 1..=1), (&["-n", "-p"], 1..=2)] {
        let zones = zones(options);
        let secure = with_do(&zones, "www.secure.", 1);
        assert_eq!(types(&secure, 1), [-43, 2, 43], "{options:?}");
        let insecure = with_do(&zones, "www.deleg.", 1);
        assert!(counts.contains(&proofs(&insecure).len()), "{options:?}");
        assert!(!insecure.authoritative() && types(&insecure, 2) == [1, 41], "{options:?}");
        let keys = with_do(&zones, "deleg.", 43);
        assert!(keys.authoritative() && counts.contains(&proofs(&keys).len()), "{options:?}");
        // With opt-out the name above, which only leads there, has no record either.
        assert!(counts.contains(&proofs(&with_do(&zones, "deep.down.", 43)).len()), "{options:?}");
        assert_eq!(proofs(&with_do(&zones, "", 43)).len(), 1, "{options:?}: the apex");
    }
}

#[test]
fn hashed_names_deny_by_encloser_and_wildcard() {
    for options in [&["-n"][..], &["-n", "-t", "5", "-s", "abcd"]] {
        let zones = zones(options);
        let reply = with_do(&zones, "no.such.name.", 1);
        assert_eq!(reply.rcode(), 3);
        assert!((2..=3).contains(&proofs(&reply).len()), "{options:?}: {reply:?}");
        assert_eq!(proofs(&with_do(&zones, "mail.", 1)).len(), 1);
        // The names of the records themselves do not exist (RFC 5155 section 7.2.8).
        let hash = proofs(&reply)[0].strip_suffix("sig.test.").expect("in the zone").to_owned();
        assert_eq!(with_do(&zones, &hash, 50).rcode(), 3);
        assert_eq!(types(&with_do(&zones, "", 51), 0), [-51, 51]);
    }
}

#[test]
fn what_is_opted_out_encloses_nothing_that_could_be_proven() {
    // A delegation that came after signing, as it may: the name that leads to it has no record, and the apex is the
    // closest encloser with one (RFC 5155 sections 7.2.1 and 8.3).
    let text = signed(&["-n", "-p"]) + "$ORIGIN sig.test.\n$TTL 600\ny.gone NS ns.elsewhere.\n";
    let zones = server(&[("sig.test", &text)]);
    let (apex, next) = (with_do(&zones, "", 43), with_do(&zones, "gone.", 1));
    for n in 0..20 {
        let reply = with_do(&zones, &format!("x{n}.gone."), 1);
        assert_eq!(reply.rcode(), 3);
        assert!(proofs(&reply).contains(&proofs(&apex)[0]), "the closest encloser: {reply:?}");
        let denied = |owner: &&str| proofs(&reply).contains(owner);
        assert!(proofs(&next).iter().all(denied), "the next closer name: {reply:?}");
    }
}

#[test]
fn aliases_are_signed_but_not_those_that_a_dname_means() {
    let zones = zones(&[]);
    assert_eq!(types(&with_do(&zones, "alias.", 1), 0), [-5, -1, 1, 5]);
    assert_eq!(types(&with_do(&zones, "x.dname.", 1), 0), [-39, 5, 39]);
}

#[test]
fn signatures_can_be_asked_for() {
    let zones = zones(&[]);
    assert_eq!(types(&with_do(&zones, "mail.", 46), 0), [-47, -15]);
    assert_eq!(types(&with_do(&zones, "mail.", 47), 0), [-47, 47]);
    let plain = ask(&zones, &Ask::new("mail.sig.test.", 46).edns(1232));
    assert_eq!(types(&plain, 0), [-47, -15]);
}

#[test]
fn a_broken_chain_keeps_a_zone_out_and_is_named() {
    let problem = |text: &str| {
        let errors = load(&Zones::new(1), "sig.test", text).expect_err("it is broken");
        errors.0[0].clone()
    };
    let text = signed(&[]);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|l| l.starts_with("mail.") && l.contains("\tNSEC\t")).expect("NSEC");
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");
    let error = problem(&without(at));
    assert!(matches!(&error.problem, Problem::BrokenChain(_)), "{error}");
    assert!(error.line > 1, "{error}");
    // The record before leads past one that is there.
    let skipping = text.replace("\tNSEC\tmail.sig.test.", "\tNSEC\tns1.sig.test.");
    assert_ne!(skipping, text);
    assert!(matches!(problem(&skipping).problem, Problem::BrokenChain(name) if &*name == "mail.sig.test."));
    let backwards = text.replace("\tNSEC\tmail.sig.test.", "\tNSEC\talias.sig.test.");
    assert!(matches!(problem(&backwards).problem, Problem::BrokenChain(_)));
    let hashed = signed(&["-n"]);
    let lines: Vec<&str> = hashed.lines().collect();
    let at = lines.iter().position(|line| line.contains("\tNSEC3\t")).expect("NSEC3");
    let error = problem(&[&lines[..at], &lines[at + 1..]].concat().join("\n"));
    assert!(matches!(error.problem, Problem::BrokenChain(_)), "{error}");
    let dear = problem(
        &hashed
            .replace("NSEC3PARAM\t1 0 1 ", "NSEC3PARAM\t1 0 151 ")
            .replace("NSEC3PARAM\t1 0 0 ", "NSEC3PARAM\t1 0 151 "),
    );
    assert_eq!(dear.problem, Problem::TooManyIterations(151));
}
