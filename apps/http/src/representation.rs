//! What is told of a file that is served.

use crate::etag::ETag;
use crate::mime::Mime;
use crate::{date, number};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A file as it is served: its validators and what describes its content.
#[derive(Clone, Debug)]
pub struct Representation {
    /// Octets of content.
    pub length: u64,
    /// When it was last modified, in seconds since 1970; `None` when that is not known.
    pub modified: Option<u64>,
    /// Content-Type.
    pub kind: &'static str,
    /// Octets of the opaque tag, at the start of `text`.
    tag: usize,
    weak: bool,
    /// The tag with its quotes, the fields of a 304, those that a 200 has beside them.
    text: Box<[u8]>,
    /// Where the second kind of fields begins.
    describing: usize,
}

/// What a [`Representation`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Octets of content.
    pub length: u64,
    /// When it was last modified, in seconds since 1970; 0 when that is not known.
    pub modified: u64,
    /// What tells this content from every other at the same place: visible characters without quotes.
    pub tag: &'a [u8],
    /// The content may have changed since without the tag having done so (RFC 9110, section 8.8.1).
    pub weak: bool,
    /// The media type.
    pub mime: Mime,
    /// The content is compressed by gzip.
    pub gzip: bool,
    /// Another client may get it otherwise encoded.
    pub varies: bool,
}

impl Representation {
    /// Puts the fields together, once for all answers.
    pub fn new(facts: &Facts<'_>) -> Self {
        let modified = Some(facts.modified).filter(|&m| m > 0);
        let mut text = Vec::with_capacity(256);
        text.push(b'"');
        text.extend_from_slice(facts.tag);
        text.push(b'"');
        let tag = text.len();
        text.extend_from_slice(b"ETag: ");
        let opaque = text[..tag].to_vec();
        ETag { weak: facts.weak, opaque: &opaque }.write(&mut text);
        text.extend_from_slice(b"\r\n");
        if facts.varies {
            text.extend_from_slice(b"Vary: Accept-Encoding\r\n");
        }
        let describing = text.len();
        if let Some(modified) = modified {
            text.extend_from_slice(b"Last-Modified: ");
            text.extend_from_slice(&date::write(modified));
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"Accept-Ranges: bytes\r\n");
        if facts.gzip {
            text.extend_from_slice(b"Content-Encoding: gzip\r\n");
        }
        let kind = facts.mime.text;
        Self { length: facts.length, modified, kind, tag, weak: facts.weak, text: text.into(), describing }
    }

    /// Its entity tag.
    pub fn etag(&self) -> ETag<'_> {
        ETag { weak: self.weak, opaque: &self.text[..self.tag] }
    }

    /// The fields that 304 has, too (RFC 9110, section 15.4.5).
    pub fn identifying_fields(&self) -> &[u8] {
        &self.text[self.tag..self.describing]
    }

    /// All fields but Content-Type and Content-Length.
    pub fn fields(&self) -> &[u8] {
        &self.text[self.tag..]
    }

    /// Appends Content-Type and Content-Length of the whole.
    pub fn content_fields(&self, out: &mut Vec<u8>) {
        content_fields(out, self.kind, self.length);
    }
}

/// Appends Content-Type and Content-Length.
pub fn content_fields(out: &mut Vec<u8>, kind: &str, length: u64) {
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    number::decimal(out, length);
    out.extend_from_slice(b"\r\n");
}
