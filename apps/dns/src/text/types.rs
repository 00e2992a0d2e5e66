//! The record types of the IANA registry: mnemonic, number, and the fields of their text form in order.

use Field::*;

/// One field, or a whole form that follows rules of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// A domain name.
    Name,
    U8,
    U16,
    U32,
    U64,
    /// A number of seconds, with units or without.
    Time,
    Ip4,
    Ip6,
    /// A character string.
    Str,
    /// A character string that may be missing.
    OptStr,
    /// One or more character strings, to the end.
    Strs,
    /// One string without a length, to the end.
    Long,
    /// Letters and digits, with a length octet.
    Tag,
    /// To the end.
    Base64,
    /// To the end, or nothing.
    OptBase64,
    /// To the end.
    Hex,
    /// One word of hexadecimal with a length octet, `-` for nothing.
    Salt,
    /// One word of base32hex with a length octet.
    Base32,
    /// A record type.
    Type,
    /// Record types as a bitmap (RFC 4034 section 4.1.2), to the end.
    Types,
    /// Record types as the bitmap of NXT (RFC 2535 section 5.2), to the end.
    OldTypes,
    /// A DNSSEC algorithm.
    Algorithm,
    /// The type of a certificate (RFC 4398 section 2.1).
    Certificate,
    /// A moment, as YYYYMMDDHHmmSS or seconds.
    Moment,
    /// Pairs of hexadecimal digits joined by hyphens: how many.
    Eui(u8),
    /// Four groups of hexadecimal digits joined by colons (RFC 6742 section 2.1.2).
    Groups,
    /// `0x` and hexadecimal digits with dots (RFC 1706 section 7).
    Nsap,
    Loc,
    Apl,
    Wks,
    Svcb,
    IpsecKey,
    AmtRelay,
    Hip,
}

/// A record type: its mnemonic, number and fields.
pub(crate) struct TypeInfo {
    pub(crate) name: &'static str,
    pub(crate) code: u16,
    pub(crate) fields: &'static [Field],
}

const fn entry(name: &'static str, code: u16, fields: &'static [Field]) -> TypeInfo {
    TypeInfo { name, code, fields }
}

/// Sorted by mnemonic. Types without a text form of their own (NULL, A6, ATMA) are left to RFC 3597's.
static TYPES: [TypeInfo; 81] = [
    entry("A", 1, &[Ip4]),
    entry("AAAA", 28, &[Ip6]),
    entry("AFSDB", 18, &[U16, Name]),
    entry("AMTRELAY", 260, &[AmtRelay]),
    entry("APL", 42, &[Apl]),
    entry("AVC", 258, &[Strs]),
    entry("BRID", 68, &[Base64]),
    entry("CAA", 257, &[U8, Tag, Long]),
    entry("CDNSKEY", 60, &[U16, U8, Algorithm, Base64]),
    entry("CDS", 59, &[U16, Algorithm, U8, Hex]),
    entry("CERT", 37, &[Certificate, U16, Algorithm, Base64]),
    entry("CLA", 263, &[Strs]),
    entry("CNAME", 5, &[Name]),
    entry("CSYNC", 62, &[U32, U16, Types]),
    entry("DHCID", 49, &[Base64]),
    entry("DLV", 32769, &[U16, Algorithm, U8, Hex]),
    entry("DNAME", 39, &[Name]),
    entry("DNSKEY", 48, &[U16, U8, Algorithm, Base64]),
    entry("DOA", 259, &[U32, U32, U8, Str, OptBase64]),
    entry("DS", 43, &[U16, Algorithm, U8, Hex]),
    entry("DSYNC", 66, &[Type, U8, U16, Name]),
    entry("EID", 31, &[Hex]),
    entry("EUI48", 108, &[Eui(6)]),
    entry("EUI64", 109, &[Eui(8)]),
    entry("GPOS", 27, &[Str, Str, Str]),
    entry("HHIT", 67, &[Base64]),
    entry("HINFO", 13, &[Str, Str]),
    entry("HIP", 55, &[Hip]),
    entry("HTTPS", 65, &[U16, Name, Svcb]),
    entry("IPN", 264, &[U64]),
    entry("IPSECKEY", 45, &[IpsecKey]),
    entry("ISDN", 20, &[Str, OptStr]),
    entry("KEY", 25, &[U16, U8, Algorithm, OptBase64]),
    entry("KX", 36, &[U16, Name]),
    entry("L32", 105, &[U16, Ip4]),
    entry("L64", 106, &[U16, Groups]),
    entry("LOC", 29, &[Loc]),
    entry("LP", 107, &[U16, Name]),
    entry("MB", 7, &[Name]),
    entry("MD", 3, &[Name]),
    entry("MF", 4, &[Name]),
    entry("MG", 8, &[Name]),
    entry("MINFO", 14, &[Name, Name]),
    entry("MR", 9, &[Name]),
    entry("MX", 15, &[U16, Name]),
    entry("NAPTR", 35, &[U16, U16, Str, Str, Str, Name]),
    entry("NID", 104, &[U16, Groups]),
    entry("NIMLOC", 32, &[Hex]),
    entry("NINFO", 56, &[Strs]),
    entry("NS", 2, &[Name]),
    entry("NSAP", 22, &[Nsap]),
    entry("NSAP-PTR", 23, &[Name]),
    entry("NSEC", 47, &[Name, Types]),
    entry("NSEC3", 50, &[U8, U8, U16, Salt, Base32, Types]),
    entry("NSEC3PARAM", 51, &[U8, U8, U16, Salt]),
    entry("NXT", 30, &[Name, OldTypes]),
    entry("OPENPGPKEY", 61, &[Base64]),
    entry("PTR", 12, &[Name]),
    entry("PX", 26, &[U16, Name, Name]),
    entry("RESINFO", 261, &[Strs]),
    entry("RKEY", 57, &[U16, U8, Algorithm, Base64]),
    entry("RP", 17, &[Name, Name]),
    entry("RRSIG", 46, &[Type, Algorithm, U8, Time, Moment, Moment, U16, Name, Base64]),
    entry("RT", 21, &[U16, Name]),
    entry("SIG", 24, &[Type, Algorithm, U8, Time, Moment, Moment, U16, Name, Base64]),
    entry("SINK", 40, &[U8, U8, OptBase64]),
    entry("SMIMEA", 53, &[U8, U8, U8, Hex]),
    entry("SOA", 6, &[Name, Name, U32, Time, Time, Time, Time]),
    entry("SPF", 99, &[Strs]),
    entry("SRV", 33, &[U16, U16, U16, Name]),
    entry("SSHFP", 44, &[U8, U8, Hex]),
    entry("SVCB", 64, &[U16, Name, Svcb]),
    entry("TA", 32768, &[U16, Algorithm, U8, Hex]),
    entry("TALINK", 58, &[Name, Name]),
    entry("TLSA", 52, &[U8, U8, U8, Hex]),
    entry("TXT", 16, &[Strs]),
    entry("URI", 256, &[U16, U16, Long]),
    entry("WALLET", 262, &[Strs]),
    entry("WKS", 11, &[Wks]),
    entry("X25", 19, &[Str]),
    entry("ZONEMD", 63, &[U32, U8, U8, Hex]),
];

/// The type with this mnemonic, in any case.
pub(crate) fn by_name(text: &[u8]) -> Option<&'static TypeInfo> {
    let found = TYPES.binary_search_by(|info| compare(info.name.as_bytes(), text)).ok()?;
    Some(&TYPES[found])
}

/// Compares a mnemonic with a word in any case.
fn compare(name: &[u8], word: &[u8]) -> core::cmp::Ordering {
    name.iter().copied().cmp(word.iter().map(u8::to_ascii_uppercase))
}

/// The mnemonic of a type.
pub(crate) fn name(code: u16) -> Option<&'static str> {
    match code {
        251 => Some("IXFR"),
        252 => Some("AXFR"),
        255 => Some("ANY"),
        _ => TYPES.iter().find(|info| info.code == code).map(|info| info.name),
    }
}

/// The fields of a type, if it has a text form.
pub(crate) fn fields(code: u16) -> Option<&'static [Field]> {
    TYPES.iter().find(|info| info.code == code).map(|info| info.fields)
}

/// The number in TYPEnnn and CLASSnnn (RFC 3597 section 5).
pub(crate) fn numbered(prefix: &[u8], text: &[u8]) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    let short = (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !head.eq_ignore_ascii_case(prefix) || !short {
        return None;
    }
    let value = digits.iter().fold(0u32, |sum, &digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(value).ok()
}

/// A type's number, by mnemonic or as TYPEnnn.
pub(crate) fn type_code(text: &[u8]) -> Option<u16> {
    by_name(text).map(|info| info.code).or_else(|| numbered(b"TYPE", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_numbers_are_unique() {
        assert!(TYPES.is_sorted_by(|a, b| a.name < b.name));
        let mut codes: std::vec::Vec<u16> = TYPES.iter().map(|info| info.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TYPES.len());
    }

    #[test]
    fn types_are_found_in_any_case_and_by_number() {
        assert_eq!(type_code(b"nsec3param"), Some(51));
        assert_eq!(type_code(b"type65535"), Some(65535));
        assert_eq!(type_code(b"TYPE65536"), None);
        assert_eq!(type_code(b"TYPE"), None);
        assert_eq!(type_code(b"AXFR"), None);
        assert_eq!(numbered(b"CLASS", b"CLASS1"), Some(1));
    }
}
