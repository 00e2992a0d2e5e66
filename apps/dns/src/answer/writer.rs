//! Writing records into a reply, with names compressed (RFC 1035 section 4.1.4).
//!
//! Names are nodes of a zone's tree, so compression asks a short list which nodes were written where, and never
//! compares labels. An RRset is written whole or not at all.

use crate::Zone;
use crate::name::MAX_NAME;
use crate::rtype as t;
use crate::zone::read_u16;
use crate::zone::rrset::{FIXED, QUESTION_POINTER, Rrset, layout};
use crate::zone::tree::{NodeId, ROOT, Tree};

/// How many names a reply remembers. A UDP reply has room for fewer; a larger one is compressed less.
const REMEMBERED: usize = 64;
/// Pointers have 14 bits.
const FARTHEST: usize = 0x3fff;

/// The name in front of a record.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// The name at an offset of the reply.
    At(u16),
    /// A name of the zone.
    Node(NodeId),
}

/// A reply under construction, up to the end of `out`.
pub(super) struct Writer<'o> {
    out: &'o mut [u8],
    at: usize,
    nodes: [NodeId; REMEMBERED],
    offsets: [u16; REMEMBERED],
    remembered: usize,
    /// An RRset that is needed did not fit; nothing more is written.
    pub(super) truncated: bool,
    /// Signatures are wanted.
    dnssec: bool,
}

/// The reply is full.
struct Full;

impl<'o> Writer<'o> {
    /// Goes on after the question, which ends at `at`.
    #[inline]
    pub(super) fn new(out: &'o mut [u8], at: usize, dnssec: bool) -> Self {
        let (nodes, offsets) = ([0; REMEMBERED], [0; REMEMBERED]);
        Self { out, at, nodes, offsets, remembered: 0, truncated: false, dnssec }
    }

    /// Where the next record goes.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The offset of a name, if the reply has it where a pointer reaches.
    #[inline]
    pub(super) fn offset(&self, node: NodeId) -> Option<u16> {
        self.nodes[..self.remembered].iter().position(|&known| known == node).map(|n| self.offsets[n])
    }

    /// Says that a name is at an offset.
    #[inline]
    pub(super) fn remember(&mut self, node: NodeId, offset: usize) {
        if offset <= FARTHEST && self.remembered < REMEMBERED {
            self.nodes[self.remembered] = node;
            self.offsets[self.remembered] = offset as u16;
            self.remembered += 1;
        }
    }

    /// Goes on with another zone: what is remembered becomes nodes of its tree.
    pub(super) fn change_zone(&mut self, old: &Tree, new: &Tree) {
        let known = core::mem::take(&mut self.remembered);
        for n in 0..known {
            if let Some(node) = new.find(old.name(self.nodes[n]).wire()) {
                self.remember(node, usize::from(self.offsets[n]));
            }
        }
    }

    /// Writes an RRset, with its signatures where they are wanted; how many records, or zero if they do not fit.
    #[inline]
    pub(super) fn rrset(&mut self, zone: &Zone, owner: Owner, set: &Rrset) -> u16 {
        let owner = match owner {
            Owner::Node(node) => self.offset(node).map_or(owner, Owner::At),
            at => at,
        };
        let signed = self.dnssec && zone.secure && set.signatures > 0;
        let fits = match (layout(set.rtype).is_none(), owner) {
            (true, Owner::At(offset)) => {
                self.copy(if signed { zone.stored_with_signatures(set) } else { zone.stored(set) }, offset)
            }
            _ => self.atomic(|it| {
                it.records(zone, owner, set.rtype, zone.stored(set))?;
                if !signed {
                    return Ok(());
                }
                let signatures = &zone.stored_with_signatures(set)[set.length as usize..];
                it.records(zone, owner, t::RRSIG, signatures)
            }),
        };
        let signatures = if signed { set.signatures } else { 0 };
        if fits { set.count + signatures } else { 0 }
    }

    /// Writes all signatures of a name; how many, or none if they do not all fit.
    pub(super) fn signatures(&mut self, zone: &Zone, owner: Owner, sets: &[Rrset]) -> Option<u16> {
        let mut count = 0;
        let fits = self.atomic(|it| {
            for set in sets {
                let stored = zone.stored_with_signatures(set);
                let (signatures, more) = match set.rtype {
                    t::RRSIG => (stored, set.count),
                    _ => (&stored[set.length as usize..], set.signatures),
                };
                it.records(zone, owner, t::RRSIG, signatures)?;
                count += more;
            }
            Ok(())
        });
        fits.then_some(count)
    }

    /// Writes records one by one until one does not fit: how many octets of `stored` they were, and how many records.
    pub(super) fn some(&mut self, zone: &Zone, owner: NodeId, rtype: u16, stored: &[u8]) -> (usize, u16) {
        let (mut taken, mut count) = (0, 0);
        while taken < stored.len() {
            let size = match layout(rtype) {
                Some(form) => form.stored(),
                None => FIXED + 2 + usize::from(read_u16(&stored[taken + FIXED..])),
            };
            let record = &stored[taken..taken + size];
            let owner = self.offset(owner).map_or(Owner::Node(owner), Owner::At);
            if !self.atomic(|it| it.records(zone, owner, rtype, record)) {
                break;
            }
            (taken, count) = (taken + size, count + 1);
        }
        (taken, count)
    }

    /// Copies the records of a plain type.
    #[inline]
    fn copy(&mut self, stored: &[u8], owner: u16) -> bool {
        let Some(room) = self.out.get_mut(self.at..self.at + stored.len()) else { return false };
        room.copy_from_slice(stored);
        let pointer = (0xc000 | owner).to_be_bytes();
        if pointer != QUESTION_POINTER {
            let mut at = 0;
            while let Some(place) = room.get_mut(at..at + 2) {
                place.copy_from_slice(&pointer);
                at += FIXED + 2 + usize::from(read_u16(&stored[at + FIXED..]));
            }
        }
        self.at += stored.len();
        true
    }

    /// Writes a CNAME record of the reply's own making: its target is `labels` in front of a name of the zone.
    /// The offset of the target, if it fits.
    pub(super) fn synthesized(
        &mut self,
        zone: &Zone,
        owner: u16,
        fixed: &[u8],
        labels: &[u8],
        target: NodeId,
    ) -> Option<usize> {
        let mut start = 0;
        let fits = self.atomic(|it| {
            it.put(&(0xc000 | owner).to_be_bytes())?;
            it.put(fixed)?;
            let length_at = it.skip_length()?;
            start = it.at;
            it.put(labels)?;
            it.name(&zone.tree, target, true)?;
            it.set_length(length_at);
            Ok(())
        });
        fits.then_some(start)
    }

    /// Does all of something, or nothing.
    fn atomic(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Full>) -> bool {
        let (at, remembered) = (self.at, self.remembered);
        let fits = write(self).is_ok();
        if !fits {
            (self.at, self.remembered) = (at, remembered);
        }
        fits
    }

    /// Writes records one by one.
    fn records(&mut self, zone: &Zone, owner: Owner, rtype: u16, stored: &[u8]) -> Result<(), Full> {
        let form = layout(rtype);
        let mut rest = stored;
        while !rest.is_empty() {
            match owner {
                Owner::At(offset) => self.put(&(0xc000 | offset).to_be_bytes())?,
                Owner::Node(node) => self.name(&zone.tree, node, true)?,
            }
            let Some(form) = form else {
                let size = FIXED + 2 + usize::from(read_u16(&rest[FIXED..]));
                self.put(&rest[2..size])?;
                rest = &rest[size..];
                continue;
            };
            let (record, next) = rest.split_at(form.stored());
            rest = next;
            // Type, class, time to live, and room for the length.
            let mut fixed = [0; FIXED];
            fixed[..FIXED - 2].copy_from_slice(&record[2..FIXED]);
            let length_at = self.at + FIXED - 2;
            self.put(&fixed)?;
            let (prefix, names) = record[FIXED..].split_at(form.prefix);
            if !prefix.is_empty() {
                self.put(prefix)?;
            }
            let (names, suffix) = names.split_at(4 * form.names);
            for node in names.chunks_exact(4) {
                self.name(&zone.tree, crate::zone::read_u32(node), form.compressed)?;
            }
            if !suffix.is_empty() {
                self.put(suffix)?;
            }
            self.set_length(length_at);
        }
        Ok(())
    }

    /// Writes the name of a node.
    fn name(&mut self, tree: &Tree, node: NodeId, compressed: bool) -> Result<(), Full> {
        if !compressed {
            let mut wire = [0; MAX_NAME];
            let length = tree.write_name(node, &mut wire);
            return self.put(&wire[..length]);
        }
        let mut id = node;
        while id != ROOT {
            if let Some(offset) = self.offset(id) {
                return self.put(&(0xc000 | offset).to_be_bytes());
            }
            self.remember(id, self.at);
            let above = tree.node(id);
            self.put(tree.label(above))?;
            id = above.parent;
        }
        if node == ROOT {
            // It may be an alias's target, which the next record belongs to.
            self.remember(ROOT, self.at);
        }
        self.put(&[0])
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end).ok_or(Full)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    /// Leaves room for the length of a record's data.
    fn skip_length(&mut self) -> Result<usize, Full> {
        let at = self.at;
        self.put(&[0, 0])?;
        Ok(at)
    }

    fn set_length(&mut self, at: usize) {
        let length = (self.at - at - 2) as u16;
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
}
