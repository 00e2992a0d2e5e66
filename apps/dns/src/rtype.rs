//! The record types and classes that the server treats specially, by their IANA numbers.

macro_rules! types {
    ($($name:ident = $code:literal),* $(,)?) => { $(pub(crate) const $name: u16 = $code;)* };
}

types! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, PTR = 12, MINFO = 14,
    MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, NSAP_PTR = 23, SIG = 24, KEY = 25,
    PX = 26, AAAA = 28, NXT = 30, SRV = 33, NAPTR = 35, KX = 36, DNAME = 39, OPT = 41, DS = 43, RRSIG = 46,
    NSEC = 47, DNSKEY = 48, NSEC3 = 50, NSEC3PARAM = 51, TALINK = 58, SVCB = 64, HTTPS = 65, LP = 107,
    NXNAME = 128, TKEY = 249, IXFR = 251, AXFR = 252, ANY = 255,
}

/// The Internet.
pub(crate) const CLASS_IN: u16 = 1;
/// CHAOS, where servers tell about themselves.
pub(crate) const CLASS_CH: u16 = 3;
/// Any class, in a question.
pub(crate) const CLASS_ANY: u16 = 255;

/// Whether a type stands only in questions or messages (RFC 6895 section 3.1), never in a zone.
pub(crate) fn is_meta(rtype: u16) -> bool {
    matches!(rtype, 0 | OPT | NXNAME | TKEY..=ANY)
}
