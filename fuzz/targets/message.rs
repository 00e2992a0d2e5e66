//! A packet to the DNS server, over each transport and into buffers of each size.
#![no_main]
#![forbid(unsafe_code)]

use dns::{Transport, Zones};
use kernlet_fuzz::zones::{check, served};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ZONES: LazyLock<Zones> = LazyLock::new(served);

fuzz_target!(|bytes: &[u8]| {
    let mut out = vec![0xee; 65535];
    for (transport, limit) in [(Transport::Udp, 1232), (Transport::Udp, 512), (Transport::Tcp, 65535)] {
        out[..2000].fill(0xee);
        if let Some(length) = ZONES.answer(bytes, transport, &mut out[..limit.max(512)]) {
            check(bytes, &out[..length], allowed(bytes, transport).min(limit));
        }
        if transport == Transport::Udp {
            assert!(out[limit..2000].iter().all(|&byte| byte == 0xee), "written too far");
        }
    }
});

/// What RFC 1035 (4.2.1) and RFC 6891 (6.2.3) allow for a reply: the query's word is taken from the OPT record, which
/// ends the query in all that the fuzzer finds soon; where there is none, or a stranger one, no less than 512.
fn allowed(query: &[u8], transport: Transport) -> usize {
    if transport == Transport::Tcp {
        return 65535;
    }
    let message = domain::base::Message::from_octets(query).expect("what was answered");
    message.opt().map_or(512, |opt| usize::from(opt.udp_payload_size()).clamp(512, 1232))
}
