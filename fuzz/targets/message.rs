//! A packet to the DNS server, over each transport, into buffers of different sizes, with every option on and off.
#![no_main]
#![forbid(unsafe_code)]

use dns::{Policy, Transport, Zones};
use kernlet_fuzz::zones::{ask, policy, served};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ZONES: LazyLock<Zones> = LazyLock::new(served);

fuzz_target!(|bytes: &[u8]| {
    let mut out = vec![0xee; 65535];
    for policy in [Policy::default(), policy(), Policy { require_cookie: true, ..policy() }] {
        for (transport, size) in [(Transport::Udp, 1232), (Transport::Udp, 512), (Transport::Tcp, 65535)] {
            out[..2000].fill(0xee);
            ask(&ZONES, &policy, bytes, transport, &mut out[..size]);
            assert!(size > 2000 || out[size..2000].iter().all(|&byte| byte == 0xee), "written too far");
        }
    }
});
