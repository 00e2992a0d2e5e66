//! An image file that may be anything: its layout, its manifest, and what `inspect` says of it.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_fuzz::Scratch;
use kernlet_image::Image;
use kernlet_image::inspect::Inspection;
use libfuzzer_sys::fuzz_target;

thread_local!(static SCRATCH: Scratch = Scratch::default());

fuzz_target!(|bytes: &[u8]| {
    let in_memory = Image::parse(bytes).map(|(layout, _)| layout);
    if let Ok(layout) = &in_memory {
        let memory = layout.memory();
        assert!(memory.start < memory.end && memory.contains(&layout.entry) && memory.end <= 1 << 32);
        let sealed = layout.sealed();
        assert!(sealed.file_offset + sealed.file_len <= bytes.len() as u64);
    }
    SCRATCH.with(|scratch| {
        let file = scratch.hold(bytes).try_clone().expect("a descriptor is left");
        // Both readers are of one mind.
        match (Image::from_file(file), in_memory) {
            (Ok(image), Ok(layout)) => {
                assert_eq!(*image.layout(), layout);
                let _ = (image.verify(), Inspection::of(&image), image.root(), image.build_id());
            }
            (Err(opened), Err(parsed)) => assert_eq!(opened.to_string(), parsed.to_string()),
            (opened, parsed) => panic!("{opened:?} but {parsed:?}"),
        }
    });
});
