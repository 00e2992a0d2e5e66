//! Zone files. The input is a zone and the files that it may include, parted by bytes of 255.
#![no_main]
#![forbid(unsafe_code)]

use dns::{Transport, Zones};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files: Vec<&[u8]> = bytes.split(|&byte| byte == 0xff).collect();
    let mut zones = Zones::new(7);
    let origin = "example.com".parse().expect("a name");
    let loaded = zones.load(&origin, "zone", &mut |name| {
        let index =
            if name == "zone" { Some(0) } else { name.bytes().next().map(|b| usize::from(b % 8) + 1) };
        index.and_then(|i| files.get(i)).map(|&file| file.into()).ok_or_else(|| "there is none".into())
    });
    match loaded {
        Err(errors) => {
            assert!(!errors.0.is_empty(), "a zone is refused for a reason");
            let _ = errors.to_string();
        }
        Ok(zone) => {
            assert!(zone.records() > 0);
            zones.insert(zone);
            ask(&zones);
        }
    }
});

/// What was loaded can be asked for.
fn ask(zones: &Zones) {
    let mut out = vec![0; 65535];
    for name in [&b"\0"[..], b"\x01a\0", b"\x01*\0", b"\x01a\x01b\x01c\0"] {
        for rtype in [1u16, 2, 5, 6, 15, 16, 43, 255] {
            let name = &name[..name.len() - 1];
            let tail = [&rtype.to_be_bytes()[..], &[0, 1, 0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]].concat();
            let query =
                [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01"[..], name, b"\x07example\x03com\0", &tail].concat();
            for (transport, limit) in [(Transport::Udp, 1232), (Transport::Tcp, 65535)] {
                let length = zones.answer(&query, transport, &mut out).expect("it is a query");
                kernlet_fuzz::zones::check(&query, &out[..length], limit);
            }
        }
    }
}
