//! Answers with what it was sent, over TCP and UDP.
fn main() {}
