//! What the server tells about itself in the class CHAOS (RFC 4892).

use super::policy::Policy;
use super::query::Query;
use crate::rtype as t;

/// The names that are known, in wire form.
const IDENTITY: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];
const VERSION: [&[u8]; 2] = [b"\x07version\x06server\0", b"\x07version\x04bind\0"];

/// Writes the TXT record that a question asks for, if it may be told and fits; where it ends.
pub(super) fn answer(packet: &[u8], query: &Query, policy: &Policy, out: &mut [u8]) -> Option<usize> {
    let name = query.path.last(query.path.labels());
    let text = match name {
        _ if query.qtype != t::TXT && query.qtype != t::ANY => return None,
        _ if IDENTITY.contains(&name) => policy.identity.as_deref()?,
        _ if VERSION.contains(&name) => policy.version.as_deref()?,
        _ => return None,
    };
    let text = &text[..text.len().min(255)];
    out.get_mut(..query.end)?.copy_from_slice(&packet[..query.end]);
    let record = out.get_mut(query.end..query.end + 13 + text.len())?;
    // The question's name, TXT, CH, no time to live, then the string.
    let length = text.len() as u8;
    record[..12].copy_from_slice(&[0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0, 0]);
    record[10..12].copy_from_slice(&(u16::from(length) + 1).to_be_bytes());
    record[12] = length;
    record[13..].copy_from_slice(text);
    Some(query.end + 13 + text.len())
}
