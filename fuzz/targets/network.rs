//! The TCP/IP stack on an Ethernet device, with sockets above it: frames, the clock and the application do anything.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kernlet_net::exercise(bytes));
