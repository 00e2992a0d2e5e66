//! What the library OS reads of a Linux program: its ELF headers, and the table of rewritten pages.
#![no_main]
#![forbid(unsafe_code)]

use kernlet_linux::load::Elf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    kernlet_wire::rewrite::exercise(bytes);
    let header = bytes.get(..64).unwrap_or(bytes);
    let Ok(place) = Elf::headers_at(header) else { return };
    // As the loader: it reads the table where the header says, if the file is that long.
    let (Ok(start), Ok(end)) = (usize::try_from(place.start), usize::try_from(place.end)) else { return };
    let Some(table) = bytes.get(start..end) else { return };
    let Ok(elf) = Elf::parse(header, table) else { return };
    // What is mapped lies where programs may, in order, each part once.
    let mut last = 0;
    for segment in &elf.segments {
        assert!(segment.address >= last && segment.file_length <= segment.memory_length);
        last = segment.address + segment.memory_length;
        assert!(segment.offset.checked_add(segment.file_length as u64).is_some());
    }
    assert!(last <= kernlet_platform::program::range().end);
    let span = elf.span();
    assert!(span.start <= elf.segments[0].address && span.end >= last && span.end - last < 4096);
    assert!(elf.interpreter.is_none_or(|path| path.start <= path.end));
});
