//! The parameters of SVCB and HTTPS records: RFC 9460 section 2.1 and appendix A.

use super::base::base64;
use super::fields::Fields;
use super::number::parse_number;
use super::types::numbered;
use crate::name::unescape_all;
use crate::zone::{Problem, quote, read_u16, sort};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// The mnemonics, each at the index that is its number.
const KEYS: [&str; 10] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
    "tls-supported-groups",
];

const WHAT: &str = "a service parameter";

/// Reads `key=value` words to the end, and appends them in the order of their keys.
pub(super) fn params(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let mut params: Vec<(u64, u32)> = Vec::new();
    let mut values: Vec<Vec<u8>> = Vec::new();
    while let Some(token) = it.optional()? {
        let (name, value) = match token.text.iter().position(|&byte| byte == b'=') {
            Some(at) => (&token.text[..at], &token.text[at + 1..]),
            None => (token.text, &b""[..]),
        };
        // In key="value" the value is a quoted string of its own.
        let value = if token.text.ends_with(b"=") && value.is_empty() {
            it.lexer.adjacent()?.map_or(value, |quoted| quoted.text)
        } else {
            value
        };
        let bad = || Problem::BadField(WHAT, quote(token.text));
        let key = key(name).ok_or_else(bad)?;
        let mut data = Vec::new();
        let mut plain = Vec::new();
        unescape_all(value, &mut plain)?;
        encode(key, &plain, &mut data).ok_or_else(bad)?;
        params.push((key.into(), values.len() as u32));
        values.push(data);
    }
    sort(&mut params);
    if let Some(pair) = params.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Problem::BadField("used once only", alloc::format!("key{}", pair[0].0).into()));
    }
    // What is mandatory must be there (RFC 9460 section 8).
    if let Some(&(0, list)) = params.first() {
        let there = |key: &[u8]| params.binary_search_by_key(&read_u16(key).into(), |param| param.0).is_ok();
        if !values[list as usize].chunks_exact(2).all(there) {
            return Err(Problem::MissingField("a mandatory service parameter"));
        }
    }
    for (key, value) in params {
        let data = &values[value as usize];
        let length = u16::try_from(data.len()).map_err(|_| Problem::DataTooLong)?;
        it.out.extend_from_slice(&(key as u16).to_be_bytes());
        it.out.extend_from_slice(&length.to_be_bytes());
        it.out.extend_from_slice(data);
    }
    Ok(())
}

fn key(name: &[u8]) -> Option<u16> {
    let known = KEYS.iter().position(|key| key.as_bytes() == name).map(|at| at as u16);
    known.or_else(|| numbered(b"key", name).filter(|&key| key != u16::MAX))
}

/// Appends the wire form of one value.
fn encode(key: u16, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let items = || value.split(|&byte| byte == b',');
    match key {
        0 => {
            let mut keys = Vec::new();
            for item in items() {
                keys.push((self::key(item).filter(|&key| key != 0)?.into(), 0));
            }
            sort(&mut keys);
            out.extend(keys.iter().flat_map(|key| (key.0 as u16).to_be_bytes()));
            keys.windows(2).all(|pair| pair[0] != pair[1]).then_some(())
        }
        1 => protocols(value, out),
        2 | 8 => value.is_empty().then_some(()),
        3 => {
            let port = parse_number(value).and_then(|port| u16::try_from(port).ok())?;
            out.extend_from_slice(&port.to_be_bytes());
            Some(())
        }
        4 => {
            for item in items() {
                out.extend_from_slice(&core::str::from_utf8(item).ok()?.parse::<Ipv4Addr>().ok()?.octets());
            }
            Some(())
        }
        5 => (!value.is_empty() && base64(value, out)).then_some(()),
        6 => {
            for item in items() {
                out.extend_from_slice(&core::str::from_utf8(item).ok()?.parse::<Ipv6Addr>().ok()?.octets());
            }
            Some(())
        }
        9 => {
            for item in items() {
                let group = parse_number(item).and_then(|group| u16::try_from(group).ok())?;
                out.extend_from_slice(&group.to_be_bytes());
            }
            Some(())
        }
        _ => {
            out.extend_from_slice(value);
            Some(())
        }
    }
}

/// A list of strings joined by commas, which a backslash escapes once more (RFC 9460 appendix A.1).
fn protocols(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut start = out.len();
    out.push(0);
    let mut bytes = value.iter();
    loop {
        let next = bytes.next();
        match next {
            None | Some(b',') => {
                let length = u8::try_from(out.len() - start - 1).ok().filter(|&length| length > 0)?;
                out[start] = length;
                if next.is_none() {
                    return Some(());
                }
                start = out.len();
                out.push(0);
            }
            Some(b'\\') => out.push(*bytes.next()?),
            Some(&byte) => out.push(byte),
        }
    }
}
