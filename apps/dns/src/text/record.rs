//! One line of a master file: a directive, or a record.

use super::fields::{self, Fields, Origin};
use super::lexer::{Lexer, Token};
use super::number::parse_time;
use super::{MAX_DEPTH, MAX_FILES, Reader, types};
use crate::rtype as t;
use crate::zone::rrset::{FIXED, QUESTION_POINTER, TTL_AT};
use crate::zone::{Place, Problem, quote, read_u32};
use alloc::string::String;
use alloc::vec::Vec;

impl Reader {
    /// A line that starts with a word: a directive, or a record with its owner.
    pub(super) fn line(&mut self, lexer: &mut Lexer<'_>, place: Place) -> Result<(), Problem> {
        // An opening parenthesis may stand alone before the end of the file.
        let Some(first) = lexer.next()? else { return Ok(()) };
        if first.quoted || !first.text.starts_with(b"$") {
            return self.record(lexer, place, Some(first));
        }
        let mut argument = |what| match lexer.next() {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(Problem::MissingField(what)),
            Err(problem) => Err(problem),
        };
        let directive = first.text;
        if directive.eq_ignore_ascii_case(b"$TTL") {
            self.default_ttl = Some(parse_time(argument("a time to live")?.text)?);
        } else if directive.eq_ignore_ascii_case(b"$ORIGIN") {
            let name = argument("a name")?;
            self.origin = self.origin_named(name.text)?;
        } else if directive.eq_ignore_ascii_case(b"$INCLUDE") {
            let name = argument("a file name")?;
            let inner = match lexer.next()? {
                Some(origin) => self.origin_named(origin.text)?,
                None => self.origin.clone(),
            };
            end(lexer)?;
            let mut path = Vec::new();
            crate::name::unescape_all(name.text, &mut path)?;
            let path =
                String::from_utf8(path).map_err(|_| Problem::BadField("a file name", quote(name.text)))?;
            if self.open.iter().any(|open| *open.name == *path) {
                return Err(Problem::IncludeLoop(path.into()));
            }
            if self.open.len() >= MAX_DEPTH || self.builder.files.len() >= MAX_FILES {
                return Err(Problem::IncludeLimit);
            }
            self.open(&path, place);
            self.origin = inner;
            return Ok(());
        } else {
            return Err(Problem::UnknownDirective(quote(directive)));
        }
        end(lexer)
    }

    /// The origin that a directive names.
    fn origin_named(&mut self, text: &[u8]) -> Result<Origin, Problem> {
        let (node, hash) = fields::node(text, &self.origin, &mut self.builder.tree, &mut self.buffer)?;
        let name = self.builder.tree.name(node);
        let wire = name.wire();
        Ok(Origin { labels: wire[..wire.len() - 1].into(), node, hash })
    }

    /// A record; without an owner it has the one of the record before.
    pub(super) fn record(
        &mut self,
        lexer: &mut Lexer<'_>,
        place: Place,
        owner: Option<Token<'_>>,
    ) -> Result<(), Problem> {
        let mut token = lexer.next();
        if let Some(owner) = owner {
            // A bad owner must not hand its records to the name before.
            self.owner = None;
            let found = fields::node(owner.text, &self.origin, &mut self.builder.tree, &mut self.buffer)?;
            self.owner = Some(found.0);
        } else if let Ok(None) = token {
            // Parentheses around nothing.
            return Ok(());
        }
        let (mut ttl, mut class) = (None, false);
        let rtype = loop {
            let Some(word) = token? else { return Err(Problem::MissingField("a record type")) };
            let text = word.text;
            if text.first().is_some_and(u8::is_ascii_digit) && ttl.is_none() {
                ttl = Some(parse_time(text)?);
            } else if !class && is_class(text)? {
                class = true;
            } else {
                break text;
            }
            token = lexer.next();
        };
        let (rtype, fields) = self.rtype(rtype)?;
        let node = self.owner.ok_or(Problem::NoOwner)?;
        if ttl.is_some() {
            self.last_ttl = ttl;
        }
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl).or(self.soa_minimum);
        if ttl.is_none() && rtype != t::SOA {
            return Err(Problem::NoTtl);
        }
        let start = self.builder.data.len();
        let result = self.stored(lexer, rtype, fields, ttl);
        let result = result.and_then(|()| self.builder.stage(place, node, rtype, start));
        if result.is_err() {
            self.builder.data.truncate(start);
        }
        result
    }

    /// Appends the stored form of a record.
    fn stored(
        &mut self,
        lexer: &mut Lexer<'_>,
        rtype: u16,
        fields: Option<&'static [types::Field]>,
        ttl: Option<u32>,
    ) -> Result<(), Problem> {
        let out = &mut self.builder.data;
        let start = out.len();
        out.extend_from_slice(&QUESTION_POINTER);
        out.extend_from_slice(&rtype.to_be_bytes());
        out.extend_from_slice(&t::CLASS_IN.to_be_bytes());
        out.extend_from_slice(&ttl.unwrap_or(0).to_be_bytes());
        let mut fields_of = Fields {
            lexer,
            peeked: None,
            tree: &mut self.builder.tree,
            out,
            origin: &self.origin,
            buffer: &mut self.buffer,
        };
        fields_of.data(rtype, fields)?;
        if rtype == t::SOA {
            let minimum = read_u32(&out[out.len() - 4..]);
            self.soa_minimum = Some(minimum);
            if ttl.is_none() {
                out[start + TTL_AT..start + FIXED].copy_from_slice(&minimum.to_be_bytes());
            }
        }
        Ok(())
    }

    /// The number and fields of a type.
    fn rtype(&mut self, text: &[u8]) -> Result<(u16, Option<&'static [types::Field]>), Problem> {
        let last = self.last_type.filter(|info| text.eq_ignore_ascii_case(info.name.as_bytes()));
        if let Some(info) = last.or_else(|| types::by_name(text)) {
            self.last_type = Some(info);
            return Ok((info.code, Some(info.fields)));
        }
        let code = types::numbered(b"TYPE", text).ok_or_else(|| Problem::UnknownType(quote(text)))?;
        if t::is_meta(code) {
            return Err(Problem::NotZoneData(quote(text)));
        }
        Ok((code, types::fields(code)))
    }
}

/// Whether a word is a class; one that is not served is an error.
fn is_class(text: &[u8]) -> Result<bool, Problem> {
    let other = [&b"CH"[..], b"HS", b"CS"].iter().any(|class| text.eq_ignore_ascii_case(class));
    match types::numbered(b"CLASS", text) {
        _ if text.eq_ignore_ascii_case(b"IN") => Ok(true),
        Some(t::CLASS_IN) => Ok(true),
        None if !other => Ok(false),
        _ => Err(Problem::NotClassIn(quote(text))),
    }
}

/// A directive must end here.
fn end(lexer: &mut Lexer<'_>) -> Result<(), Problem> {
    match lexer.next()? {
        Some(token) => Err(Problem::ExtraField(quote(token.text))),
        None => Ok(()),
    }
}
