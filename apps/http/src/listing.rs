//! A page with the names in a directory.

use crate::{number, target};
use alloc::vec::Vec;

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// Whether it is a directory.
    pub directory: bool,
    /// Octets of a file, where known.
    pub length: Option<u64>,
}

/// Appends text to HTML. Octets that are not UTF-8 become U+FFFD, so that the page is.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for &octet in chunk.valid().as_bytes() {
            match octet {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                b'"' => out.extend_from_slice(b"&quot;"),
                b'\'' => out.extend_from_slice(b"&#39;"),
                other => out.push(other),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// The page for the directory `path` (decoded, with its last slash).
pub fn page<'a>(path: &[u8], entries: impl Iterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut out = b"<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>".to_vec();
    text(&mut out, path);
    out.extend_from_slice(b"</title></head>\n<body><h1>");
    text(&mut out, path);
    out.extend_from_slice(b"</h1>\n<ul>\n");
    if path != b"/" {
        out.extend_from_slice(b"<li><a href=\"../\">../</a></li>\n");
    }
    for entry in entries {
        // A name with a colon would otherwise be read as a scheme (RFC 3986, section 4.2); encoding takes care of it.
        out.extend_from_slice(b"<li><a href=\"");
        target::encode(&mut out, entry.name);
        let slash: &[u8] = if entry.directory { b"/" } else { b"" };
        out.extend_from_slice(slash);
        out.extend_from_slice(b"\">");
        text(&mut out, entry.name);
        out.extend_from_slice(slash);
        out.extend_from_slice(b"</a>");
        if let Some(length) = entry.length {
            out.push(b' ');
            number::decimal(&mut out, length);
        }
        out.extend_from_slice(b"</li>\n");
    }
    out.extend_from_slice(b"</ul></body></html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let entries = [
            Entry { name: b"<script>\"'&", directory: false, length: Some(7) },
            Entry { name: b"javascript:alert(1)", directory: true, length: None },
            Entry { name: b"\xff", directory: false, length: None },
        ];
        let page = String::from_utf8(page(b"/<b>/", entries.into_iter())).unwrap();
        assert!(
            page.contains("<a href=\"%3Cscript%3E%22%27%26\">&lt;script&gt;&quot;&#39;&amp;</a> 7"),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"javascript%3Aalert%281%29/\">javascript:alert(1)/</a></li>"),
            "{page}"
        );
        assert!(page.contains("<a href=\"%FF\">\u{fffd}</a>"), "{page}");
        assert!(page.contains("<h1>/&lt;b&gt;/</h1>") && page.contains("../"), "{page}");
    }
}
