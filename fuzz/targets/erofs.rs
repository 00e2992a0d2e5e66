//! A root file system that may be anything, by the library OS's reader and by that of `inspect`.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_fs::erofs;
use kernlet_fuzz::Scratch;
use libfuzzer_sys::fuzz_target;

thread_local!(static SCRATCH: Scratch = Scratch::default());

fuzz_target!(|bytes: &[u8]| {
    erofs::exercise(bytes);
    SCRATCH.with(|scratch| {
        if let Ok(entries) = kernlet_image::erofs::list(scratch.hold(bytes), 0, bytes.len() as u64) {
            assert!(entries.is_sorted_by(|a, b| a.path <= b.path));
        }
    });
});
