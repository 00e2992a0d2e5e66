//! Fields with rules of their own: type bitmaps, gateways, address lists, and the like.

use super::base::{base64, hex, hex_digit};
use super::fields::Fields;
use super::number::parse_number;
use super::types::type_code;
use crate::zone::{Problem, quote, sort};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Record types as a bitmap in windows of 256 (RFC 4034 section 4.1.2).
pub(super) fn types(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let mut codes: Vec<(u64, u32)> = Vec::new();
    while let Some(token) = it.optional()? {
        let code =
            type_code(token.text).ok_or_else(|| Problem::BadField("a record type", quote(token.text)))?;
        codes.push((code.into(), 0));
    }
    sort(&mut codes);
    for window in codes.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let last = window[window.len() - 1].0 as u8;
        let length = usize::from(last / 8) + 1;
        it.out.extend_from_slice(&[(window[0].0 >> 8) as u8, length as u8]);
        let start = it.out.len();
        it.out.resize(start + length, 0);
        for &(code, _) in window {
            it.out[start + usize::from(code as u8 / 8)] |= 0x80 >> (code % 8);
        }
    }
    Ok(())
}

/// Record types as one bitmap of those below 128 (RFC 2535 section 5.2).
pub(super) fn old_types(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let start = it.out.len();
    while let Some(token) = it.optional()? {
        let code = type_code(token.text).filter(|&code| code < 128);
        let code = code.ok_or_else(|| Problem::BadField("a record type below 128", quote(token.text)))?;
        let at = start + usize::from(code / 8);
        if it.out.len() <= at {
            it.out.resize(at + 1, 0);
        }
        it.out[at] |= 0x80 >> (code % 8);
    }
    Ok(())
}

fn mnemonic<T: Copy>(text: &[u8], table: &[(&str, T)]) -> Option<T> {
    table.iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes())).map(|&(_, value)| value)
}

/// The number of a DNSSEC algorithm (the IANA registry's mnemonics).
pub(super) fn algorithm(text: &[u8]) -> Option<u8> {
    const NAMES: [(&str, u8); 19] = [
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("ECC", 4),
        ("RSASHA1", 5),
        ("DSA-NSEC3-SHA1", 6),
        ("NSEC3DSA", 6),
        ("RSASHA1-NSEC3-SHA1", 7),
        ("NSEC3RSASHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("INDIRECT", 252),
        ("PRIVATEDNS", 253),
        ("PRIVATEOID", 254),
    ];
    let number = parse_number(text).and_then(|number| u8::try_from(number).ok());
    number.or_else(|| mnemonic(text, &NAMES))
}

/// The type of a certificate.
pub(super) fn certificate(text: &[u8]) -> Option<u16> {
    const NAMES: [(&str, u16); 10] = [
        ("PKIX", 1),
        ("SPKI", 2),
        ("PGP", 3),
        ("IPKIX", 4),
        ("ISPKI", 5),
        ("IPGP", 6),
        ("ACPKIX", 7),
        ("IACPKIX", 8),
        ("URI", 253),
        ("OID", 254),
    ];
    let number = parse_number(text).and_then(|number| u16::try_from(number).ok());
    number.or_else(|| mnemonic(text, &NAMES))
}

/// YYYYMMDDHHmmSS, or seconds since 1970 (RFC 4034 section 3.2), modulo 2^32.
pub(super) fn moment(text: &[u8]) -> Option<u32> {
    let number = parse_number(text)?;
    if text.len() != 14 {
        return u32::try_from(number).ok();
    }
    let part = |below: u64, size: u64| number / below % size;
    let (year, month, day) = (number / 10_000_000_000, part(100_000_000, 100), part(1_000_000, 100));
    let (hour, minute, second) = (part(10_000, 100), part(100, 100), part(1, 100));
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    // Days since 1970 in the proleptic Gregorian calendar, with years that start in March.
    let years = year - u64::from(month < 3);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + day_of_year;
    let seconds = days.checked_sub(719_468)? * 86400 + hour * 3600 + minute * 60 + second;
    valid.then_some(seconds as u32)
}

/// `count` groups of `digits` hexadecimal digits, joined.
pub(super) fn joined(text: &[u8], by: u8, digits: usize, count: usize, into: &mut Vec<u8>) -> Option<()> {
    let mut groups = 0;
    for group in text.split(|&byte| byte == by) {
        if group.len() != digits || !hex(group, into) {
            return None;
        }
        groups += 1;
    }
    (groups == count).then_some(())
}

/// `0x`, then hexadecimal digits, with dots anywhere.
pub(super) fn nsap(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let mut high = None;
    for &byte in digits.iter().filter(|&&byte| byte != b'.') {
        let digit = hex_digit(byte)?;
        match high.take() {
            None => high = Some(digit),
            Some(first) => into.push(first << 4 | digit),
        }
    }
    (high.is_none() && digits.len() > 1).then_some(())
}

/// A gateway or relay of the given kind: nothing, an IPv4 or IPv6 address, or a name.
fn gateway(it: &mut Fields<'_, '_>, kind: u8) -> Result<(), Problem> {
    match kind {
        0 => match it.required("a gateway")? {
            b"." => Ok(()),
            text => Err(Problem::BadField("a dot, for no gateway", quote(text))),
        },
        1 => it.ip4(),
        2 => it.ip6(),
        3 => it.name(),
        _ => Err(Problem::BadField("a known type of gateway", kind_text(kind))),
    }
}

fn kind_text(kind: u8) -> alloc::boxed::Box<str> {
    alloc::format!("{kind}").into()
}

/// RFC 4025 section 3.
pub(super) fn ipseckey(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let (precedence, kind, algorithm) = (it.number_u8()?, it.number_u8()?, it.number_u8()?);
    it.out.extend_from_slice(&[precedence, kind, algorithm]);
    gateway(it, kind)?;
    it.base64(algorithm != 0)
}

/// RFC 8777 section 4.
pub(super) fn amtrelay(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let precedence = it.number_u8()?;
    let discovery = it.number("0 or 1", 1)? as u8;
    let kind = it.number("a type of relay", 3)? as u8;
    it.out.extend_from_slice(&[precedence, discovery << 7 | kind]);
    gateway(it, kind)
}

/// RFC 8005 section 6: algorithm, host identity tag, key, rendezvous servers.
pub(super) fn hip(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    let algorithm = it.number_u8()?;
    let head = it.out.len();
    it.out.extend_from_slice(&[0, algorithm, 0, 0]);
    let start = it.out.len();
    let tag = it.required("a host identity tag")?;
    if !hex(tag, it.out) {
        return Err(Problem::BadField("a host identity tag in hexadecimal", quote(tag)));
    }
    let key_start = it.out.len();
    let key = it.required("a public key")?;
    if !base64(key, it.out) {
        return Err(Problem::BadField("a public key in base64", quote(key)));
    }
    it.out[head] = u8::try_from(key_start - start).map_err(|_| Problem::StringTooLong)?;
    let length = u16::try_from(it.out.len() - key_start).map_err(|_| Problem::DataTooLong)?;
    it.out[head + 2..head + 4].copy_from_slice(&length.to_be_bytes());
    while let Some(token) = it.optional()? {
        it.name_from(token.text)?;
    }
    Ok(())
}

/// RFC 3123 section 5: `[!]family:address/prefix`, any number of them.
pub(super) fn apl(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    while let Some(token) = it.optional()? {
        apl_item(token.text, it.out)
            .ok_or_else(|| Problem::BadField("an address prefix", quote(token.text)))?;
    }
    Ok(())
}

fn apl_item(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let text = core::str::from_utf8(text).ok()?;
    let (negative, text) = text.strip_prefix('!').map_or((0, text), |rest| (0x80, rest));
    let (family, text) = text.split_once(':')?;
    let (address, prefix) = text.split_once('/')?;
    let mut octets = [0u8; 16];
    let (family, size) = match family {
        "1" => {
            octets[..4].copy_from_slice(&address.parse::<Ipv4Addr>().ok()?.octets());
            (1, 4)
        }
        "2" => {
            octets = address.parse::<Ipv6Addr>().ok()?.octets();
            (2, 16)
        }
        _ => return None,
    };
    let prefix = parse_number(prefix.as_bytes()).filter(|&bits| bits <= size * 8)? as u8;
    // Octets of zero at the end are left out.
    let length = octets.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    into.extend_from_slice(&[0, family, prefix, negative | length as u8]);
    into.extend_from_slice(&octets[..length]);
    Some(())
}

/// RFC 1035 section 3.4.2: address, protocol, ports.
pub(super) fn wks(it: &mut Fields<'_, '_>) -> Result<(), Problem> {
    it.ip4()?;
    let protocol = it.required("a protocol")?;
    let number = parse_number(protocol).and_then(|number| u8::try_from(number).ok());
    let number = number.or_else(|| mnemonic(protocol, &[("tcp", 6), ("udp", 17), ("icmp", 1)]));
    it.out.push(number.ok_or_else(|| Problem::BadField("a protocol", quote(protocol)))?);
    let start = it.out.len();
    while let Some(token) = it.optional()? {
        const NAMES: [(&str, u16); 12] = [
            ("echo", 7),
            ("ftp", 21),
            ("ssh", 22),
            ("telnet", 23),
            ("smtp", 25),
            ("time", 37),
            ("domain", 53),
            ("tftp", 69),
            ("http", 80),
            ("pop3", 110),
            ("ntp", 123),
            ("https", 443),
        ];
        let port = parse_number(token.text).and_then(|port| u16::try_from(port).ok());
        let port = port.or_else(|| mnemonic(token.text, &NAMES));
        let port = port.ok_or_else(|| Problem::BadField("a port", quote(token.text)))?;
        let at = start + usize::from(port / 8);
        if it.out.len() <= at {
            it.out.resize(at + 1, 0);
        }
        it.out[at] |= 0x80 >> (port % 8);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn moments_are_counted_from_1970() {
        assert_eq!(moment(b"19700101000000"), Some(0));
        assert_eq!(moment(b"20040509183619"), Some(1_084_127_779));
        assert_eq!(moment(b"20240229235959"), Some(1_709_251_199));
        assert_eq!(moment(b"1084127779"), Some(1_084_127_779));
        for text in ["20041309183619", "20040500183619", "20040509243619", "x", "99999999999"] {
            assert_eq!(moment(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn address_prefixes_lose_their_zeros() {
        let mut out = vec![];
        assert!(apl_item(b"1:192.168.32.0/21", &mut out).is_some());
        assert!(apl_item(b"!2:ff00::/8", &mut out).is_some());
        assert_eq!(out, [0, 1, 21, 3, 192, 168, 32, 0, 2, 8, 0x81, 0xff]);
        for text in ["1:1.2.3.4", "3:1.2.3.4/8", "1:1.2.3.4/33", "2:::/129", ""] {
            assert!(apl_item(text.as_bytes(), &mut out).is_none(), "{text}");
        }
    }
}
