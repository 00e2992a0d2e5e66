//! A sealed segment for tests: a manifest, and a root of a few files behind it.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod server;

use kernlet_image::erofs::{Plan, Tree};
use kernlet_platform::sealed;
use kernlet_wire::manifest::{Digest, Draft, Kind, Root};

/// Makes the segment this thread's.
pub fn seal(tree: &Tree, workdir: &str) {
    let plan = Plan::new(tree).unwrap();
    let root = |offset| Some(Root { offset, len: plan.byte_len(), digest: Digest([0; 32]) });
    let draft = |root| Draft { workdir: workdir.into(), root, ..Draft::new("test", Kind::Native) };
    let offset = draft(root(4096)).encode().unwrap().len().next_multiple_of(4096);
    let mut bytes = draft(root(offset as u64)).encode().unwrap();
    bytes.resize(offset, 0);
    plan.write(&mut bytes).unwrap();
    sealed::set_segment(Vec::leak(bytes));
}
