//! The kernlet command.
fn main() {}
