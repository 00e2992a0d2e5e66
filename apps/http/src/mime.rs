//! Media types by the end of a file's name.

/// A media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mime {
    /// The value of Content-Type.
    pub text: &'static str,
    /// Whether such files are worth compressing, so that a `.gz` beside one is looked for.
    pub compressible: bool,
}

/// What is not known (RFC 9110, section 8.3, lets the receiver guess then; nosniff would have it saved).
const UNKNOWN: Mime = Mime { text: "application/octet-stream", compressible: false };

/// Extensions in order, with their types; those that begin with `+` are worth compressing.
const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("atom", "+application/atom+xml"),
    ("avif", "image/avif"),
    ("bmp", "+image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "+text/css; charset=utf-8"),
    ("csv", "+text/csv; charset=utf-8"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "+text/html; charset=utf-8"),
    ("html", "+text/html; charset=utf-8"),
    ("ico", "+image/x-icon"),
    ("ics", "+text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "+text/javascript; charset=utf-8"),
    ("json", "+application/json"),
    ("jsonld", "+application/ld+json"),
    ("m4a", "audio/mp4"),
    ("map", "+application/json"),
    ("md", "+text/markdown; charset=utf-8"),
    ("mjs", "+text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "+font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "+application/rss+xml"),
    ("svg", "+image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("ttf", "+font/ttf"),
    ("txt", "+text/plain; charset=utf-8"),
    ("wasm", "+application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "+application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "+application/xhtml+xml"),
    ("xml", "+application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "+application/yaml"),
    ("yml", "+application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The type of the file `path`.
pub fn of(path: &[u8]) -> Mime {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let Some(dot) = name.iter().rposition(|&b| b == b'.').filter(|&at| at > 0) else { return UNKNOWN };
    let mut lower = [0; 12];
    let extension = &name[dot + 1..];
    let Some(lower) = lower.get_mut(..extension.len()) else { return UNKNOWN };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    match TYPES.binary_search_by(|(known, _)| known.as_bytes().cmp(lower)) {
        Ok(at) => match TYPES[at].1.strip_prefix('+') {
            Some(text) => Mime { text, compressible: true },
            None => Mime { text: TYPES[at].1, compressible: false },
        },
        Err(_) => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_text_has_its_charset() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
        for (extension, kind) in TYPES {
            assert!(!kind.contains("text/") || kind.contains("charset"), "{extension}");
            assert!(extension.len() <= 12);
        }
    }

    #[test]
    fn types_go_by_the_last_extension_whatever_its_case() {
        assert_eq!(of(b"/a/index.HTML").text, "text/html; charset=utf-8");
        assert_eq!(of(b"/a.html/x.tar.gz").text, "application/gzip");
        assert_eq!(of(b"x.webmanifest").text, "application/manifest+json");
        for name in ["/a.html/file", "/.html", "/x.", "/x.unknownextensionthatislong", "", "/x.\u{e9}"] {
            assert_eq!(of(name.as_bytes()), UNKNOWN, "{name}");
        }
    }
}
