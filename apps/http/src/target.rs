//! Request targets (RFC 9112, section 3.2): which file they mean.

use crate::{Status, number};
use alloc::vec::Vec;

/// The path and query of a target in origin-form or absolute-form; `None` when it is neither.
///
/// The path is as it came: percent-encoded, and empty when an absolute-form has none.
pub fn path_and_query(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let (scheme, rest) = target.split_at_checked(target.iter().position(|&b| b == b':')?)?;
    let authority = rest.strip_prefix(b"://")?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let length = authority.iter().position(|b| b"/?#".contains(b)).unwrap_or(authority.len());
    (length > 0).then(|| &authority[length..])
}

/// The path without the query.
pub fn path(path_and_query: &[u8]) -> &[u8] {
    let end = path_and_query.iter().position(|&b| b == b'?').unwrap_or(path_and_query.len());
    &path_and_query[..end]
}

/// The path of a file, decoded; it begins with a slash, has no empty names, and ends in a slash if it came so.
///
/// # Errors
/// 400 for a broken escape, a control character, a fragment, or a `.` or `..` as a name, encoded or not; 404 for an
/// encoded slash, which no name can have.
pub fn decode(path: &[u8]) -> Result<Vec<u8>, Status> {
    let mut out = Vec::with_capacity(path.len() + 1);
    for (i, segment) in path.split(|&b| b == b'/').enumerate() {
        if i == 0 {
            if !segment.is_empty() {
                return Err(Status::BAD_REQUEST);
            }
            continue;
        }
        if segment.is_empty() {
            continue;
        }
        out.push(b'/');
        let start = out.len();
        let mut rest = segment.iter();
        while let Some(&octet) = rest.next() {
            let octet = match octet {
                b'%' => {
                    let mut digit =
                        || rest.next().and_then(|&d| number::hex_digit(d)).ok_or(Status::BAD_REQUEST);
                    match digit()? << 4 | digit()? {
                        b'/' => return Err(Status::NOT_FOUND),
                        decoded => decoded,
                    }
                }
                b'#' => return Err(Status::BAD_REQUEST),
                plain => plain,
            };
            if octet.is_ascii_control() {
                return Err(Status::BAD_REQUEST);
            }
            out.push(octet);
        }
        if matches!(&out[start..], b"." | b"..") {
            return Err(Status::BAD_REQUEST);
        }
    }
    if out.is_empty() || path.ends_with(b"/") {
        out.push(b'/');
    }
    Ok(out)
}

/// Appends a path as it stands in a URI: all but unreserved characters and slashes are percent-encoded.
pub fn encode(out: &mut Vec<u8>, path: &[u8]) {
    for &octet in path {
        if octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet) {
            out.push(octet);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value & 15)];
            out.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_in_origin_and_absolute_form_have_a_path() {
        assert_eq!(path_and_query(b"/a/b?c"), Some(&b"/a/b?c"[..]));
        assert_eq!(path_and_query(b"http://host:80/a?b"), Some(&b"/a?b"[..]));
        assert_eq!(path_and_query(b"HTTPS://host"), Some(&b""[..]));
        assert_eq!(path_and_query(b"http://host?b"), Some(&b"?b"[..]));
        for target in ["", "*", "a", "host:80", "ftp://host/a", "http:///a", "http:/a", "http://"] {
            assert_eq!(path_and_query(target.as_bytes()), None, "{target}");
        }
        assert_eq!(path(b"/a?b?c"), b"/a");
    }

    #[test]
    fn paths_are_decoded_once() {
        for (path, decoded) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("//evil.example//x/", "/evil.example/x/"),
            ("/%41%2d%7e%20", "/A-~ "),
            ("/%2541", "/%41"),
            ("/...", "/..."),
            ("/.a/..b", "/.a/..b"),
            ("/%c3%a9+", "/\u{e9}+"),
        ] {
            assert_eq!(decode(path.as_bytes()).as_deref(), Ok(decoded.as_bytes()), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/a/./b",
            "/.",
            "/%2e%2e/",
            "/.%2E",
            "/%2e",
            "/%00",
            "/a%0ab",
            "/%7f",
            "/%",
            "/%4",
            "/%4g",
            "/a#b",
            "a/b",
            "/a/..",
        ] {
            assert_eq!(decode(path.as_bytes()), Err(Status::BAD_REQUEST), "{path}");
        }
        assert_eq!(decode(b"/a%2fb"), Err(Status::NOT_FOUND));
        assert_eq!(decode(b"/..%2f..%2fetc"), Err(Status::NOT_FOUND));
    }

    proptest! {
        #[test]
        fn no_decoded_path_leaves_its_root(path in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), Just(b'%'), Just(b'2'), Just(b'e'), Just(b'f'), any::<u8>()], 0..40)) {
            if let Ok(decoded) = decode(&path) {
                prop_assert!(decoded.starts_with(b"/") && !decoded.contains(&0));
                prop_assert!(!decoded.split(|&b| b == b'/').any(|name| name == b".." || name == b"."));
            }
        }

        #[test]
        fn what_is_encoded_decodes_to_itself(names in proptest::collection::vec("[a-z %#?\u{e9}\"<>&]{1,8}", 1..4)) {
            let path = std::format!("/{}", names.join("/"));
            let mut encoded = vec![];
            encode(&mut encoded, path.as_bytes());
            prop_assert_eq!(decode(&encoded).unwrap(), path.as_bytes());
            prop_assert!(encoded.iter().all(u8::is_ascii_graphic));
        }
    }
}
