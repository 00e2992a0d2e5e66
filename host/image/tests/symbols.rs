//! From an address back to the source, inlined functions included.

mod common;

use common::{image, linked};
use kernlet_image::symbols::{Frame, SymbolError, Symbols};
use kernlet_image::{Access, Image};

/// The addresses of the fixture's code.
fn text() -> std::ops::Range<u64> {
    let (layout, _) = Image::parse(&image()).unwrap();
    let text = layout.segments.iter().find(|s| s.access == Access::Execute).unwrap();
    text.address..text.address + text.memory_len
}

/// The first address in the inlined function (where a function of `core` is inlined in turn), and its frames.
fn inlined() -> (u64, Vec<Frame>) {
    let symbols = Symbols::parse(linked()).unwrap();
    let mut all = text().map(|address| (address, symbols.resolve(address)));
    all.find(|(_, frames)| frames.len() == 3 && frames[1].function == "inlined_step").unwrap()
}

#[test]
fn inlined_functions_are_told_innermost_first() {
    let (_, frames) = inlined();
    assert!(frames[0].function.starts_with("write_volatile"), "{frames:?}");
    assert!(frames[0].file.as_ref().is_some_and(|file| file.starts_with("core/src/ptr/")), "{frames:?}");
    assert_eq!(frames[2].function, "program::outer_step");
    assert_eq!(frames[2].file.as_deref(), Some("image/tests/fixture/program.rs"));
    assert!(frames.iter().all(|frame| frame.line.is_some()));
}

#[test]
fn assembly_is_told_by_its_label() {
    let symbols = Symbols::parse(linked()).unwrap();
    assert_eq!(symbols.resolve(text().start + 1)[0].function, "pvh_entry32");
}

#[test]
fn addresses_outside_of_the_image_mean_nothing() {
    let symbols = Symbols::parse(linked()).unwrap();
    for address in [0, 0x1000, 0xffff_ffff_ffff_ffff] {
        assert_eq!(symbols.resolve(address), []);
    }
}

#[test]
fn addresses_in_a_line_are_explained() {
    let symbols = Symbols::parse(linked()).unwrap();
    let (address, frames) = inlined();
    let line =
        symbols.symbolise_line(&format!("at kernlet+{address:#x}, then kernlet+0x1 and kernlet+0x")).unwrap();
    assert!(frames[0].is_std() && !frames[1].is_std());
    let places = frames[1..].iter().map(Frame::to_string).collect::<Vec<_>>().join(", inlined into ");
    assert_eq!(line, format!("at kernlet+{address:#x} ({places}), then kernlet+0x1 and kernlet+0x"));
    assert!(frames[1].to_string().starts_with("inlined_step at image/tests/fixture/program.rs:"));
    for nothing in ["", "no address", "kernlet+0x1", "kernlet+0xffffffffffffffffffff", "kernlet+0xé"] {
        assert_eq!(symbols.symbolise_line(nothing), None, "{nothing}");
    }
}

#[test]
fn a_line_of_a_backtrace_tells_the_call_not_what_follows_it() {
    let symbols = Symbols::parse(linked()).unwrap();
    let at = |line: String| symbols.symbolise_line(&line).unwrap();
    let (address, _) = inlined();
    assert!(at(format!("3: kernlet+{:#x}", address + 1)).contains("inlined_step"));
    // The last byte of a function that never returns is its call.
    let end =
        text().find(|at| symbols.resolve(*at).first().is_none_or(|f| f.function != "pvh_entry32")).unwrap();
    assert!(at(format!("  12: kernlet+{end:#x}")).contains("pvh_entry32"));
}

#[test]
fn missing_symbols_name_the_image() {
    let home = tempfile::tempdir().unwrap();
    let id = Image::parse(&image()).unwrap().1.build_id;
    let error = Symbols::open(home.path(), id).unwrap_err();
    assert!(matches!(error, SymbolError::Missing { build_id } if build_id == id));
    assert!(Symbols::parse(b"no ELF").is_err());
}
