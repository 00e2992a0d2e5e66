//! What can be wrong with a zone file, each in one sentence.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What is wrong at one place of a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A type that is no mnemonic and not TYPEnnn.
    UnknownType(Box<str>),
    /// A directive other than $ORIGIN, $TTL and $INCLUDE.
    UnknownDirective(Box<str>),
    /// A class other than IN.
    NotClassIn(Box<str>),
    /// A type that stands only in questions or in messages, not in zones.
    NotZoneData(Box<str>),
    /// An owner that is not below the zone's name.
    OutOfZone(Box<str>),
    /// A CNAME and other data at one name.
    CnameAndOther(Box<str>),
    /// Two CNAME, or two DNAME, records at one name.
    SecondAlias(Box<str>),
    /// Data below a DNAME.
    BelowDname(Box<str>),
    /// No SOA record at the zone's name.
    NoSoa,
    /// No NS record at the zone's name.
    NoNs,
    /// A second SOA record.
    SecondSoa,
    /// An SOA record elsewhere than at the zone's name.
    SoaBelowApex(Box<str>),
    /// A time to live, or another time, that is no number of seconds below 2^31.
    TimeRange(Box<str>),
    /// No time to live, and none to inherit.
    NoTtl,
    /// A label longer than 63 octets.
    LabelTooLong,
    /// A name longer than 255 octets.
    NameTooLong,
    /// Two dots side by side, or an empty name.
    EmptyLabel,
    /// A backslash that is followed by neither a character nor three digits up to 255.
    BadEscape,
    /// A record that starts with a blank, with no record before it.
    NoOwner,
    /// A field is missing; what it would have been.
    MissingField(&'static str),
    /// More fields than the type has.
    ExtraField(Box<str>),
    /// A field that cannot be read; what it should have been.
    BadField(&'static str, Box<str>),
    /// A character string longer than 255 octets.
    StringTooLong,
    /// Record data longer than 65535 octets.
    DataTooLong,
    /// The octets after `\#` are not as many as announced.
    GenericLength,
    /// The octets after `\#` cannot be of this type.
    GenericData,
    /// A quotation mark that is not closed on its line.
    OpenQuote,
    /// A parenthesis that is not closed at the end of the file.
    OpenParenthesis,
    /// A parenthesis that is closed but was not opened.
    ClosingParenthesis,
    /// A file that includes itself.
    IncludeLoop(Box<str>),
    /// Files included in one another too deeply, or too many of them.
    IncludeLimit,
    /// A file that the loader could not give.
    Unreadable(Box<str>, Box<str>),
    /// More than 65535 records of one type at one name.
    TooManyRecords(Box<str>),
    /// More data than a zone can hold.
    TooLarge,
    /// The memory does not suffice for the zone, beside what is served.
    NoMemory,
    /// A record, or a line, that is longer than any record can be.
    LineTooLong,
    /// An NSEC or NSEC3 record that the chain does not lead on from, or to.
    BrokenChain(Box<str>),
    /// NSEC3 with more iterations than a server should compute.
    TooManyIterations(u16),
    /// Records of one name and type with different times to live; a warning.
    TtlMismatch(Box<str>),
    /// A record that is there twice; a warning.
    Duplicate(Box<str>),
    /// A name server in the zone without an address; a warning.
    NoAddress(Box<str>),
    /// An RRSIG record for a type that its name does not have; a warning.
    LooseSignature(Box<str>, u16),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Problem::*;
        match self {
            UnknownType(text) => write!(f, "unknown record type {text}"),
            UnknownDirective(text) => write!(f, "unknown directive {text}"),
            NotClassIn(text) => write!(f, "class {text} is not served, only IN"),
            NotZoneData(text) => write!(f, "type {text} cannot stand in a zone"),
            OutOfZone(name) => write!(f, "{name} is not in the zone"),
            CnameAndOther(name) => write!(f, "{name} has a CNAME record beside other data"),
            SecondAlias(name) => write!(f, "{name} has more than one CNAME or DNAME record"),
            BelowDname(name) => write!(f, "{name} has data but is below a DNAME record"),
            NoSoa => f.write_str("the zone has no SOA record"),
            NoNs => f.write_str("the zone has no NS record at its own name"),
            SecondSoa => f.write_str("the zone has a second SOA record"),
            SoaBelowApex(name) => write!(f, "{name} has an SOA record but is not the zone's own name"),
            TimeRange(text) => write!(f, "{text} is not a time of at most 2147483647 seconds"),
            NoTtl => f.write_str("the record has no time to live, and there is no $TTL before it"),
            LabelTooLong => f.write_str("a label is longer than 63 octets"),
            NameTooLong => f.write_str("a name is longer than 255 octets"),
            EmptyLabel => f.write_str("a name has an empty label"),
            BadEscape => {
                f.write_str("a backslash is followed by neither a character nor a number from 000 to 255")
            }
            NoOwner => f.write_str("the first record has no owner name"),
            MissingField(what) => write!(f, "{what} is missing"),
            ExtraField(text) => write!(f, "{text} is more than the record type takes"),
            BadField(what, text) => write!(f, "{text} is not {what}"),
            StringTooLong => f.write_str("a character string is longer than 255 octets"),
            DataTooLong => f.write_str("the record's data is longer than 65535 octets"),
            GenericLength => f.write_str("the data after \\# is not as long as it says"),
            GenericData => f.write_str("the data after \\# does not fit the record type"),
            OpenQuote => f.write_str("a quoted string does not end on its line"),
            OpenParenthesis => f.write_str("a parenthesis is not closed"),
            ClosingParenthesis => f.write_str("a parenthesis is closed that was not opened"),
            IncludeLoop(file) => write!(f, "{file} includes itself"),
            IncludeLimit => f.write_str("too many files are included"),
            Unreadable(file, why) => write!(f, "cannot read {file}: {why}"),
            TooManyRecords(name) => write!(f, "{name} has more than 65535 records of one type"),
            TooLarge => f.write_str("the zone is too large"),
            NoMemory => f.write_str("the zone does not fit into memory; give the instance more with -m"),
            LineTooLong => f.write_str("the line or record is longer than 1 MiB, which no record needs"),
            BrokenChain(name) => {
                write!(f, "the chain of NSEC or NSEC3 records is broken at {name}; sign the zone again")
            }
            TooManyIterations(count) => {
                write!(
                    f,
                    "NSEC3 with {count} iterations is not served, only with up to 150; 0 is best (RFC 9276)"
                )
            }
            TtlMismatch(name) => {
                write!(
                    f,
                    "{name} has records of one type with different times to live (RFC 2181 section 5.2)"
                )
            }
            Duplicate(name) => write!(f, "{name} has the same record twice"),
            NoAddress(name) => write!(f, "the name server {name} has no address in the zone"),
            LooseSignature(name, code) => {
                write!(f, "{name} has an RRSIG record for type {code}, which it does not have")
            }
        }
    }
}

impl core::error::Error for Problem {}

/// A problem, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// The file, as the caller or an $INCLUDE named it.
    pub file: Box<str>,
    /// The line, counted from 1; where the record that is wrong starts.
    pub line: u32,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

impl core::error::Error for ZoneError {}

/// Why a zone was refused: its problems in the order of the file, at least one and a bounded number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneErrors(pub Vec<ZoneError>);

impl fmt::Display for ZoneErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for ZoneErrors {}

/// Text from a file as it can stand in a message: printable and short.
pub(crate) fn quote(text: &[u8]) -> Box<str> {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for &byte in text.iter().take(LONGEST) {
        shown.push(if (0x20..0x7f).contains(&byte) { byte as char } else { '?' });
    }
    if text.len() > LONGEST {
        shown.push_str("...");
    }
    shown.into()
}
