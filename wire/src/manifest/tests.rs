use super::*;
use crate::tlv::Writer;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn draft() -> Draft {
    let digest = Digest([7; 32]);
    Draft {
        args: vec![b"-v".to_vec(), b"two words".to_vec(), Vec::new()],
        env: vec![b"A=1".to_vec(), b"B=x=y".to_vec(), b"EMPTY=".to_vec()],
        workdir: "/srv".into(),
        identity: Identity { uid: 1000, gid: 100 },
        policy: Policy { start_without_entropy: true },
        root: Some(Root { offset: 4096, len: 8192, digest }),
        segments: vec![SegmentDigest { address: 0x10_0000, file_len: 4096, digest }],
        sections: vec![(".text".into(), 10_000)],
        crates: vec![("core".into(), 5000), ("dns".into(), 1)],
        ..Draft::new("dns", Kind::Native)
    }
}

fn with_records(records: &[u8]) -> Vec<u8> {
    let mut header = draft().encode().unwrap();
    header.truncate(HEADER_LEN);
    let len = u32::try_from(HEADER_LEN + records.len()).unwrap();
    header[12..].copy_from_slice(&len.to_le_bytes());
    [&header, records].concat()
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = draft().encode().unwrap();
    let m = Manifest::parse(&bytes).unwrap();
    assert_eq!((m.name, m.kind, m.workdir), ("dns", Kind::Native, "/srv"));
    assert_eq!(m.args().collect::<Vec<_>>(), [&b"-v"[..], b"two words", b""]);
    let env: Vec<_> = m.env().collect();
    assert_eq!(env, [&b"A=1"[..], b"B=x=y", b"EMPTY="]);
    assert_eq!(m.identity, Identity { uid: 1000, gid: 100 });
    assert!(m.policy.start_without_entropy);
    assert_eq!(m.root, draft().root);
    assert_eq!(m.segments().collect::<Vec<_>>(), draft().segments);
    assert_eq!(m.sections.iter().collect::<Vec<_>>(), [(".text", 10_000)]);
    assert_eq!(m.crates.iter().collect::<Vec<_>>(), [("core", 5000), ("dns", 1)]);
    assert_eq!(m.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(m.signature(), Some(&[0; SIGNATURE_LEN]));
    assert_eq!(m.bytes().len(), bytes.len());
    assert_eq!(Manifest::len_of(&bytes[..16]), Ok(bytes.len()));
}

#[test]
fn the_canonical_bytes_do_not_depend_on_build_id_and_signature() {
    let plain = draft().encode().unwrap();
    let mut signed = plain.clone();
    set_build_id(&mut signed, Digest([9; 32])).unwrap();
    let at = Manifest::parse(&signed).unwrap().signature_at.unwrap();
    signed[at..at + SIGNATURE_LEN].fill(0xaa);
    let signed = Manifest::parse(&signed).unwrap();
    assert_eq!(signed.build_id, Digest([9; 32]));
    assert_eq!(signed.signature(), Some(&[0xaa; SIGNATURE_LEN]));
    assert_eq!(signed.canonical().collect::<Vec<_>>().concat(), plain);
}

#[test]
fn a_newer_format_is_named() {
    let mut bytes = draft().encode().unwrap();
    bytes[8] = 2;
    bytes[10] = 5;
    assert_eq!(Manifest::parse(&bytes).unwrap_err(), ManifestError::NewerVersion { major: 2, minor: 5 });
}

#[test]
fn unknown_optional_entries_are_skipped_and_mandatory_ones_refused() {
    let with = |tag| {
        let mut more = Writer::new();
        more.put(tag, b"from the future");
        with_records(&[&draft().encode().unwrap()[HEADER_LEN..], &more.finish()].concat())
    };
    assert_eq!(Manifest::parse(&with(999)).unwrap().name, "dns");
    let tag = MANDATORY | 999;
    assert_eq!(Manifest::parse(&with(tag)).unwrap_err(), ManifestError::UnknownEntry { tag, minor: 0 });
    assert_eq!(Manifest::parse(&with(tag::NAME)).unwrap_err(), ManifestError::Twice("name"));
}

#[test]
fn malformed_fields_are_refused_when_written() {
    let refuse = |change: fn(&mut Draft), field| {
        let mut draft = draft();
        change(&mut draft);
        assert_eq!(draft.encode().unwrap_err(), ManifestError::Malformed(field));
    };
    refuse(|d| d.args.push(b"a\0b".to_vec()), "argument");
    refuse(|d| d.env.push(b"novalue".to_vec()), "environment variable");
    refuse(|d| d.env.push(b"=x".to_vec()), "environment variable");
    refuse(|d| d.workdir = "relative".into(), "working directory");
    refuse(|d| d.name.clear(), "name");
    refuse(|d| d.root.as_mut().unwrap().offset = 100, "root file system");
    let mut long = draft();
    long.args = vec![vec![b'x'; MAX_LEN]];
    assert!(matches!(long.encode(), Err(ManifestError::TooLong { .. })));
}

#[test]
fn a_linux_program_has_a_path_and_a_lead() {
    let cpu = Some((3, b"/lib/x.so".to_vec()));
    let linux = Draft { kind: Kind::Linux, program: Some(b"/usr/bin/python3".to_vec()), cpu, ..draft() };
    let bytes = linux.encode().unwrap();
    let m = Manifest::parse(&bytes).unwrap();
    assert_eq!(
        (m.kind, m.program, m.cpu()),
        (Kind::Linux, Some(&b"/usr/bin/python3"[..]), Some((3, &b"/lib/x.so"[..])))
    );
    assert_eq!(m.lead().collect::<Vec<_>>(), [b"dns"]);
    let lead = vec![b"python3".to_vec(), b"-u".to_vec(), b"/srv/app.py".to_vec()];
    let bytes = Draft { lead: lead.clone(), ..linux.clone() }.encode().unwrap();
    assert!(Manifest::parse(&bytes).unwrap().lead().eq(lead.iter().map(Vec::as_slice)));

    let missing = ManifestError::Missing("kind that fits its program");
    assert_eq!(Draft { program: None, ..linux.clone() }.encode().unwrap_err(), missing);
    assert_eq!(Draft { kind: Kind::Native, ..linux.clone() }.encode().unwrap_err(), missing);
    for path in [&b"bin/x"[..], b"", b"/a\0b", &[b'/'; 4096]] {
        let wrong = Draft { program: Some(path.to_vec()), ..linux.clone() };
        assert_eq!(wrong.encode().unwrap_err(), ManifestError::Malformed("program"));
    }
}

#[test]
fn names_that_would_command_a_terminal_are_refused() {
    for name in ["\u{1b}[2J", "a\nb", "a\u{9b}31m", "a\u{7f}"] {
        let named = Draft { name: name.into(), ..draft() };
        assert_eq!(named.encode().unwrap_err(), ManifestError::Malformed("name"), "{name:?}");
        let sized = Draft { crates: vec![(name.into(), 1)], ..draft() };
        assert_eq!(sized.encode().unwrap_err(), ManifestError::Malformed("list of crates"), "{name:?}");
    }
}

#[test]
fn every_prefix_is_refused() {
    let bytes = draft().encode().unwrap();
    for len in 0..bytes.len() {
        assert!(Manifest::parse(&bytes[..len]).is_err(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        exercise(&bytes);
    }

    #[test]
    fn any_entries_are_read_without_a_panic(
        entries in prop::collection::vec((0u16..20, any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20),
    ) {
        let mut records = Writer::new();
        for (tag, mandatory, value) in entries {
            records.put(tag | if mandatory { MANDATORY } else { 0 }, &value);
        }
        exercise(&with_records(&records.finish()));
    }

    #[test]
    fn damaged_manifests_are_read_without_a_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut bytes = draft().encode().unwrap();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        exercise(&bytes);
    }

    #[test]
    fn texts_survive(
        name in "[a-z]{1,20}",
        args in prop::collection::vec("[^\0]{0,20}", 0..6),
        crates in prop::collection::vec(("\\PC{0,300}", any::<u32>()), 0..6),
    ) {
        let draft = Draft {
            args: args.iter().map(|a| a.clone().into_bytes()).collect(),
            crates: crates.iter().map(|(n, s)| (n.clone(), u64::from(*s))).collect(),
            program: Some(b"/bin/x".to_vec()),
            ..Draft::new(&name, Kind::Linux)
        };
        let bytes = draft.encode().unwrap();
        let read = Manifest::parse(&bytes).unwrap();
        prop_assert_eq!(read.name, name);
        prop_assert!(read.args().eq(args.iter().map(|a| a.as_bytes())));
        prop_assert!(read.crates.iter().map(|(_, s)| s).eq(crates.iter().map(|(_, s)| u64::from(*s))));
    }
}
