//! Arguments, environment, identity: what the instance was told when it started.
//!
//! ```no_run
//! # #[kernlet::main]
//! # async fn main() {
//! for argument in kernlet::env::args().skip(1) {
//!     kernlet::println!("{argument}");
//! }
//! let level = kernlet::env::var("LEVEL").unwrap_or("info".into());
//! # }
//! ```

use alloc::borrow::Cow;
use kernlet_platform::boot::blob;

/// The program's arguments, its name first. What is not UTF-8 is replaced.
pub fn args() -> impl Iterator<Item = Cow<'static, str>> {
    blob().arguments().map(alloc::string::String::from_utf8_lossy)
}

/// The environment variable `name`.
pub fn var(name: &str) -> Option<Cow<'static, str>> {
    vars().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// All environment variables.
pub fn vars() -> impl Iterator<Item = (Cow<'static, str>, Cow<'static, str>)> {
    blob().environment().filter_map(|entry| {
        let at = entry.iter().position(|&b| b == b'=')?;
        let text = alloc::string::String::from_utf8_lossy;
        Some((text(&entry[..at]), text(&entry[at + 1..])))
    })
}

/// The name of the machine.
pub fn hostname() -> &'static str {
    blob().hostname().unwrap_or("kernlet")
}

/// The user and group that the program is to be (`-u`), 0:0 unless said.
pub fn identity() -> (u32, u32) {
    blob().identity()
}

/// The working directory, against which relative paths are taken.
pub fn current_dir() -> &'static str {
    blob().workdir().unwrap_or("/")
}
