//! Data of any type as octets: `\# length hexadecimal` (RFC 3597 section 5).
//!
//! For a type that is known the octets are checked against its fields, so that what is served is well formed.

use super::fields::Fields;
use super::types::Field;
use crate::name::{Labels, MAX_NAME};
use crate::zone::Problem;
use crate::zone::rrset::{Layout, layout};
use crate::zone::tree::ROOT;
use alloc::vec::Vec;

/// Reads what follows `\#`, and appends its stored form.
pub(super) fn data(it: &mut Fields<'_, '_>, rtype: u16, fields: Option<&[Field]>) -> Result<(), Problem> {
    let length = it.number_u16()?;
    let start = it.out.len();
    it.hex(length > 0)?;
    if it.out.len() - start != usize::from(length) {
        return Err(Problem::GenericLength);
    }
    if let Some(form) = layout(rtype) {
        let wire = it.out.split_off(start);
        store(it, form, &wire)
    } else if fields.is_none_or(|fields| fits(fields, &it.out[start..])) {
        Ok(())
    } else {
        Err(Problem::GenericData)
    }
}

/// Puts nodes in place of the names.
fn store(it: &mut Fields<'_, '_>, form: Layout, wire: &[u8]) -> Result<(), Problem> {
    let (prefix, mut rest) = wire.split_at_checked(form.prefix).ok_or(Problem::GenericData)?;
    it.out.extend_from_slice(prefix);
    for _ in 0..form.names {
        let length = name_length(rest).ok_or(Problem::GenericData)?;
        let (name, tail) = rest.split_at(length);
        let mut name: Vec<u8> = name.to_vec();
        // Length octets are below 64, and so no letters.
        name.make_ascii_lowercase();
        let (node, _) = it.tree.intern(&name, ROOT, it.tree.hash.root())?;
        it.out.extend_from_slice(&node.to_be_bytes());
        rest = tail;
    }
    if rest.len() != form.suffix {
        return Err(Problem::GenericData);
    }
    it.out.extend_from_slice(rest);
    Ok(())
}

/// The length of the uncompressed name at the start of some octets.
fn name_length(wire: &[u8]) -> Option<usize> {
    let labels: usize = Labels(wire).map(<[u8]>::len).sum();
    (wire.get(labels) == Some(&0) && labels < MAX_NAME).then_some(labels + 1)
}

/// Whether octets can be the data of a type with these fields.
fn fits(fields: &[Field], wire: &[u8]) -> bool {
    let mut rest = wire;
    for &field in fields {
        let length = match field {
            Field::Name => name_length(rest),
            Field::U8 | Field::Algorithm => Some(1),
            Field::U16 | Field::Type | Field::Certificate => Some(2),
            Field::U32 | Field::Time | Field::Moment | Field::Ip4 => Some(4),
            Field::U64 | Field::Groups => Some(8),
            Field::Ip6 => Some(16),
            Field::Eui(count) => Some(count.into()),
            Field::Str | Field::Tag | Field::Salt | Field::Base32 => {
                rest.first().map(|&n| usize::from(n) + 1)
            }
            Field::OptStr => rest.first().map_or(Some(0), |&n| Some(usize::from(n) + 1)),
            Field::Strs => {
                let mut at = 0;
                while let Some(&length) = rest.get(at) {
                    at += usize::from(length) + 1;
                }
                (at > 0).then_some(at)
            }
            Field::Base64 | Field::Hex | Field::Nsap | Field::Loc if rest.is_empty() => None,
            // What is left are forms that run to the end.
            _ => Some(rest.len()),
        };
        match length.and_then(|length| rest.split_at_checked(length)) {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
    rest.is_empty()
}
