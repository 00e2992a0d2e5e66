//! `inspect` tells which system calls the programs in an image can make, and what becomes of them.

mod common;

use common::{draft, file, run, sealed};
use kernlet_image::Image;
use kernlet_image::erofs::Tree;
use kernlet_image::inspect::{Inspection, SystemCalls};
use kernlet_image::rewrite::rewrite;
use kernlet_wire::calls::is_implemented;
use std::path::Path;
use std::process::Command;

const LIBRARY: &str = "/lib/forms.so";

/// A library of functions with system calls: getppid, getpid, getuid, rt_sigreturn, and any.
fn library() -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rewriting/forms.S");
    let out = tempfile::NamedTempFile::new().unwrap();
    run(Command::new("gcc").args(["-shared", "-nostdlib", "-o"]).arg(out.path()).arg(source));
    std::fs::read(out.path()).unwrap()
}

fn told(tree: &Tree) -> Option<SystemCalls> {
    let (_folder, path) = file(&sealed(draft(), tree).0);
    Inspection::of(&Image::open(path).unwrap()).unwrap().system_calls
}

#[test]
fn calls_are_told_with_their_names_and_how_they_are_made() {
    let library = library();
    let mut tree = common::tree();
    tree.add_bytes(LIBRARY, 0o755, library.clone()).unwrap();
    let plain = told(&tree).unwrap();
    let calls: Vec<_> = plain.calls.iter().map(|call| (call.number, call.name)).collect();
    let names = ["rt_sigreturn", "getpid", "getuid", "getppid"].map(Some);
    assert_eq!(calls, [15, 39, 102, 110].into_iter().zip(names).collect::<Vec<_>>());
    assert!(plain.calls.iter().all(|call| call.implemented == is_implemented(call.number.into())));
    assert_eq!((plain.rewritten, plain.files.len()), (0, 1));
    assert_eq!((plain.files[0].path.as_str(), plain.files[0].at_run_time), (LIBRARY, 3));

    let table = rewrite([(LIBRARY, &library)]).unwrap();
    tree.add_bytes(kernlet_wire::rewrite::PATH, 0o444, table).unwrap();
    let rewritten = told(&tree).unwrap();
    assert_eq!(rewritten.calls, plain.calls);
    // The call that nothing can move for, and the return from a signal that unwinders know by its bytes.
    assert_eq!((rewritten.trapping, rewritten.rewritten), (2, plain.trapping - 2));
    let text = rewritten.to_string();
    assert!(text.contains("getppid 110"), "{text}");
    assert!(text.contains("/lib/forms.so: ") && text.contains("2 trap, 3 by number at run time"), "{text}");
}

#[test]
fn an_image_without_programs_tells_of_no_calls() {
    assert_eq!(told(&common::tree()), None);
}
