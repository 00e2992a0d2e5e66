//! A program file that may be anything: what is rewritten in it, and which calls it can make.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_image::rewrite::{calls, rewrite};
use kernlet_wire::rewrite::{PAGE, Rewrites, exercise};
use libfuzzer_sys::fuzz_target;

const PATH: &[u8] = b"/program";

fuzz_target!(|bytes: &[u8]| {
    let places = calls(bytes).map_or(0, |calls| calls.places);
    let Some(table) = rewrite([(PATH, bytes)]) else { return };
    let file = Rewrites::parse(&table).expect("what is written can be read").find(PATH).expect("it is there");
    let (mut rewritten, mut trapping) = (0, 0);
    for segment in file.segments() {
        rewritten += segment.rewritten;
        trapping += segment.trapping;
        // What is replaced is in the file.
        for run in segment.runs() {
            let last = run.offset + (u64::from(run.pages) - 1) * PAGE;
            assert!(last < bytes.len() as u64);
        }
        assert!(segment.stubs.distance > 0);
    }
    assert!(rewritten > 0 && rewritten + trapping <= places);
    exercise(&table);
});
