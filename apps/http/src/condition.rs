//! Conditional requests (RFC 9110, section 13): evaluated in the order of section 13.2.2.

use crate::etag::{self, ETag};
use crate::head::{Field, Head, Method};
use crate::{Representation, date};

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as without them.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates all but If-Range. `now` is the time of day in seconds since 1970.
pub fn evaluate(head: &Head<'_, '_>, representation: &Representation, now: u64) -> Verdict {
    let tag = representation.etag();
    let since = |field| head.single(field).and_then(|text| date::parse(text, now));
    if head.has(Field::IfMatch) {
        if !head.values(Field::IfMatch).any(|list| etag::any(list, |t| t.strongly(&tag))) {
            return Verdict::Failed;
        }
    } else if let Some(at) = since(Field::IfUnmodifiedSince)
        && representation.modified.is_some_and(|modified| modified > at)
    {
        return Verdict::Failed;
    }
    let reads = matches!(head.method, Method::Get | Method::Head);
    if head.has(Field::IfNoneMatch) {
        if head.values(Field::IfNoneMatch).any(|list| etag::any(list, |t| t.weakly(&tag))) {
            return if reads { Verdict::NotModified } else { Verdict::Failed };
        }
    } else if reads
        && let Some(at) = since(Field::IfModifiedSince)
        && representation.modified.is_some_and(|modified| modified <= at)
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether the Range field counts: there is no If-Range, or it names just this representation (section 13.1.5).
pub fn range_applies(head: &Head<'_, '_>, representation: &Representation, now: u64) -> bool {
    if !head.has(Field::IfRange) {
        return true;
    }
    let Some(text) = head.single(Field::IfRange) else { return false };
    if let Some(tag) = ETag::parse(text) {
        return tag.strongly(&representation.etag());
    }
    // A date is a strong validator only when the file cannot have changed again within that second (8.8.2.2).
    match (date::parse(text, now), representation.modified) {
        (Some(date), Some(modified)) => date == modified && modified < now,
        _ => false,
    }
}
