//! The VM door's drivers (network, 9P, console, entropy) over queues whose device lies, stalls and makes things up.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kernlet_platform::exercise_devices(bytes));
