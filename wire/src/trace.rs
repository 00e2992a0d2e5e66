//! What a traced program told of the files that it used: `kernlet build --trace` keeps those.
//!
//! An instance in which a file is mounted at [`PATH`] is traced: the library OS appends to it the path of everything in
//! its root that the program has reached, by opening it, executing it, looking at it, or reading a link. A path is
//! absolute, as the program meant it, links in it not followed, and ends in a NUL. A path may be there more than once.

/// Where the file is mounted. The program does not see it.
pub const PATH: &str = "/.kernlet/trace";

/// The paths in a trace. What is no path is left out: the instance is not trusted.
pub fn paths(trace: &[u8]) -> impl Iterator<Item = &[u8]> {
    trace.split(|&byte| byte == 0).filter(|path| path.starts_with(b"/") && path.len() < 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_left_out() {
        assert!(paths(b"/a\0\0b\0/c d\0/cut").eq([&b"/a"[..], b"/c d", b"/cut"]));
        assert_eq!(paths(&[b'/'; 5000]).count(), 0);
    }
}
