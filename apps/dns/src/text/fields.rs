//! The data of one record, from its text form to its stored form.

use super::base::{Base64, Hex, base32hex, hex};
use super::lexer::{Lexer, Token};
use super::number::{parse_number, parse_time};
use super::types::{Field, type_code};
use super::{generic, special, svcb};
use crate::name::{Case, MAX_NAME, NameBuffer, unescape_all};
use crate::zone::rrset::layout;
use crate::zone::tree::{NodeId, ROOT, Tree};
use crate::zone::{Problem, quote};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// The name that relative names end with.
#[derive(Clone)]
pub(crate) struct Origin {
    /// Its labels in lower case, without the root's octet.
    pub(crate) labels: Box<[u8]>,
    pub(crate) node: NodeId,
    pub(crate) hash: u64,
}

/// What the data of a record is read from, and written to.
pub(crate) struct Fields<'a, 't> {
    pub(crate) lexer: &'a mut Lexer<'t>,
    /// A word that was read too early.
    pub(crate) peeked: Option<Token<'t>>,
    pub(crate) tree: &'a mut Tree,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) origin: &'a Origin,
    pub(crate) buffer: &'a mut NameBuffer,
}

/// The longest data of a record.
const MAX_DATA: usize = 65535;

impl<'t> Fields<'_, 't> {
    /// Reads the data of one record, and appends its stored form (see [`crate::zone::rrset`]).
    pub(crate) fn data(&mut self, rtype: u16, fields: Option<&[Field]>) -> Result<(), Problem> {
        let names = layout(rtype).is_some();
        let length_at = self.out.len();
        if !names {
            self.out.extend_from_slice(&[0, 0]);
        }
        self.peeked = self.lexer.next()?;
        if let Some(Token { text: b"\\#", quoted: false }) = self.peeked {
            self.peeked = None;
            generic::data(self, rtype, fields)?;
        } else {
            for &field in fields.ok_or(Problem::MissingField("\\# and the data's length"))? {
                if names && field == Field::Name { self.node_field()? } else { self.field(field)? }
            }
        }
        if let Some(token) = self.optional()? {
            return Err(Problem::ExtraField(quote(token.text)));
        }
        let length = self.out.len() - length_at - if names { 0 } else { 2 };
        if length > MAX_DATA {
            return Err(Problem::DataTooLong);
        }
        if !names {
            self.out[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        }
        Ok(())
    }

    /// The next word, if the record has one more.
    #[inline(never)]
    pub(crate) fn optional(&mut self) -> Result<Option<Token<'t>>, Problem> {
        match self.peeked.take() {
            Some(token) => Ok(Some(token)),
            None => self.lexer.next(),
        }
    }

    /// The next word.
    #[inline(never)]
    pub(crate) fn required(&mut self, what: &'static str) -> Result<&'t [u8], Problem> {
        self.optional()?.map(|token| token.text).ok_or(Problem::MissingField(what))
    }

    /// A number that is at most `most`.
    #[inline(never)]
    pub(crate) fn number(&mut self, what: &'static str, most: u64) -> Result<u64, Problem> {
        let text = self.required(what)?;
        parse_number(text).filter(|&value| value <= most).ok_or_else(|| Problem::BadField(what, quote(text)))
    }

    pub(crate) fn number_u8(&mut self) -> Result<u8, Problem> {
        self.number("a number below 256", u8::MAX.into()).map(|value| value as u8)
    }

    pub(crate) fn number_u16(&mut self) -> Result<u16, Problem> {
        self.number("a number below 65536", u16::MAX.into()).map(|value| value as u16)
    }

    /// What `read` makes of the next word, as that many octets.
    #[inline(never)]
    fn value(
        &mut self,
        what: &'static str,
        octets: usize,
        read: fn(&[u8]) -> Option<u64>,
    ) -> Result<(), Problem> {
        let text = self.required(what)?;
        let value = read(text).filter(|&value| octets == 8 || value >> (8 * octets) == 0);
        let value = value.ok_or_else(|| Problem::BadField(what, quote(text)))?;
        self.out.extend_from_slice(&value.to_be_bytes()[8 - octets..]);
        Ok(())
    }

    /// What `read` appends for the next word; it says whether it could.
    #[inline(never)]
    fn word(&mut self, what: &'static str, read: fn(&[u8], &mut Vec<u8>) -> bool) -> Result<(), Problem> {
        let text = self.required(what)?;
        if read(text, self.out) { Ok(()) } else { Err(Problem::BadField(what, quote(text))) }
    }

    /// The same with a length octet in front.
    #[inline(never)]
    fn counted(&mut self, what: &'static str, read: fn(&[u8], &mut Vec<u8>) -> bool) -> Result<(), Problem> {
        let at = self.begin_counted();
        self.word(what, read)?;
        self.end_counted(at)
    }

    pub(crate) fn ip4(&mut self) -> Result<(), Problem> {
        self.value("an IPv4 address", 4, |text| {
            from_text::<Ipv4Addr>(text).map(|address| address.to_bits().into())
        })
    }

    pub(crate) fn ip6(&mut self) -> Result<(), Problem> {
        self.word("an IPv6 address", |text, into| {
            from_text::<Ipv6Addr>(text).map(|address| into.extend_from_slice(&address.octets())).is_some()
        })
    }

    /// A name in wire form.
    pub(crate) fn name(&mut self) -> Result<(), Problem> {
        let text = self.required("a name")?;
        self.name_from(text)
    }

    #[inline(never)]
    pub(crate) fn name_from(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.buffer.clear();
        if text == b"@" || !self.buffer.parse(text, Case::Kept)? {
            self.buffer.append(&self.origin.labels)?;
        }
        self.buffer.end()?;
        self.out.extend_from_slice(self.buffer.wire());
        Ok(())
    }

    /// A name as a node of the zone's tree.
    fn node_field(&mut self) -> Result<(), Problem> {
        let text = self.required("a name")?;
        let (node, _) = node(text, self.origin, self.tree, self.buffer)?;
        self.out.extend_from_slice(&node.to_be_bytes());
        Ok(())
    }

    /// A string with its length in front.
    #[inline(never)]
    pub(crate) fn string(&mut self, text: &[u8]) -> Result<(), Problem> {
        let at = self.begin_counted();
        unescape_all(text, self.out)?;
        self.end_counted(at)
    }

    /// Makes room for a length octet.
    pub(crate) fn begin_counted(&mut self) -> usize {
        self.out.push(0);
        self.out.len()
    }

    /// Fills in the length octet before `start`.
    pub(crate) fn end_counted(&mut self, start: usize) -> Result<(), Problem> {
        let length = u8::try_from(self.out.len() - start).map_err(|_| Problem::StringTooLong)?;
        self.out[start - 1] = length;
        Ok(())
    }

    /// Base64 to the end of the record.
    pub(crate) fn base64(&mut self, needed: bool) -> Result<(), Problem> {
        const WHAT: &str = "base64 data";
        let mut decoder = Base64::new();
        let mut last = None;
        while let Some(token) = self.optional()? {
            // "-" says nothing, in DOA.
            let nothing = !needed && token.text == b"-" && last.is_none();
            if !nothing && !decoder.word(token.text, self.out) {
                return Err(Problem::BadField(WHAT, quote(token.text)));
            }
            last = Some(token.text);
        }
        match last {
            None if needed => Err(Problem::MissingField(WHAT)),
            Some(text) if !decoder.complete() => Err(Problem::BadField("whole base64 data", quote(text))),
            _ => Ok(()),
        }
    }

    /// Hexadecimal to the end of the record.
    pub(crate) fn hex(&mut self, needed: bool) -> Result<(), Problem> {
        const WHAT: &str = "hexadecimal data";
        let mut decoder = Hex::new();
        let mut last = None;
        while let Some(token) = self.optional()? {
            if !decoder.word(token.text, self.out) {
                return Err(Problem::BadField(WHAT, quote(token.text)));
            }
            last = Some(token.text);
        }
        match last {
            None if needed => Err(Problem::MissingField(WHAT)),
            Some(text) if !decoder.complete() => {
                Err(Problem::BadField("whole hexadecimal data", quote(text)))
            }
            _ => Ok(()),
        }
    }

    fn field(&mut self, field: Field) -> Result<(), Problem> {
        match field {
            Field::Name => self.name(),
            Field::U8 => self.value("a number below 256", 1, parse_number),
            Field::U16 => self.value("a number below 65536", 2, parse_number),
            Field::U32 => self.value("a number below 4294967296", 4, parse_number),
            Field::U64 => self.value("a 64-bit number", 8, parse_number),
            Field::Time => {
                let text = self.required("a time")?;
                self.out.extend_from_slice(&parse_time(text)?.to_be_bytes());
                Ok(())
            }
            Field::Ip4 => self.ip4(),
            Field::Ip6 => self.ip6(),
            Field::Str => {
                let text = self.required("a string")?;
                self.string(text)
            }
            Field::OptStr => match self.optional()? {
                Some(token) => self.string(token.text),
                None => Ok(()),
            },
            Field::Strs => {
                let mut text = self.required("a string")?;
                loop {
                    self.string(text)?;
                    match self.optional()? {
                        Some(token) => text = token.text,
                        None => return Ok(()),
                    }
                }
            }
            Field::Long => {
                let text = self.required("a string")?;
                unescape_all(text, self.out)
            }
            Field::Tag => self.counted("a tag of letters and digits", |text, into| {
                into.extend_from_slice(text);
                !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric)
            }),
            Field::Base64 => self.base64(true),
            Field::OptBase64 => self.base64(false),
            Field::Hex => self.hex(true),
            Field::Salt => {
                self.counted("a salt in hexadecimal", |text, into| text == b"-" || hex(text, into))
            }
            Field::Base32 => self.counted("a hash in base32hex", base32hex),
            Field::Type => self.value("a record type", 2, |text| type_code(text).map(u64::from)),
            Field::Types => special::types(self),
            Field::OldTypes => special::old_types(self),
            Field::Algorithm => {
                self.value("a DNSSEC algorithm", 1, |text| special::algorithm(text).map(u64::from))
            }
            Field::Certificate => {
                self.value("a certificate type", 2, |text| special::certificate(text).map(u64::from))
            }
            Field::Moment => {
                self.value("a moment as YYYYMMDDHHmmSS", 4, |text| special::moment(text).map(u64::from))
            }
            Field::Eui(count) => {
                const WHAT: &str = "hexadecimal pairs joined by hyphens";
                match count {
                    6 => self.word(WHAT, |text, into| special::joined(text, b'-', 2, 6, into).is_some()),
                    _ => self.word(WHAT, |text, into| special::joined(text, b'-', 2, 8, into).is_some()),
                }
            }
            Field::Groups => self.word("four hexadecimal groups joined by colons", |text, into| {
                special::joined(text, b':', 4, 4, into).is_some()
            }),
            Field::Nsap => self.word("an NSAP address", |text, into| special::nsap(text, into).is_some()),
            Field::Loc => super::loc::data(self),
            Field::Apl => special::apl(self),
            Field::Wks => special::wks(self),
            Field::Svcb => svcb::params(self),
            Field::IpsecKey => special::ipseckey(self),
            Field::AmtRelay => special::amtrelay(self),
            Field::Hip => special::hip(self),
        }
    }
}

/// The node of a name in text form, and the hash of the name.
pub(crate) fn node(
    text: &[u8],
    origin: &Origin,
    tree: &mut Tree,
    buffer: &mut NameBuffer,
) -> Result<(NodeId, u64), Problem> {
    if text == b"@" {
        return Ok((origin.node, origin.hash));
    }
    buffer.clear();
    let absolute = buffer.parse(text, Case::Lower)?;
    let (above, node, hash) =
        if absolute { (0, ROOT, tree.hash.root()) } else { (origin.labels.len(), origin.node, origin.hash) };
    if buffer.wire().len() + above + 1 > MAX_NAME {
        return Err(Problem::NameTooLong);
    }
    tree.intern(buffer.wire(), node, hash)
}

/// A value of the core library from its text form.
fn from_text<T: FromStr>(text: &[u8]) -> Option<T> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
