//! From records in the order of the file to RRsets: grouped by name and type, without duplicates.

use super::rrset::{FIXED, Rrset, TTL_AT, layout};
use super::tree::{Node, NodeId, Tree};
use super::{Problem, ZoneError, read_u16, read_u32, sort};
use crate::hash::NameHash;
use crate::name::Name;
use crate::rtype as t;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

/// Where a record stands: the index of its file, and its line.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) file: u16,
    pub(crate) line: u32,
}

/// A record as it came, its data being octets `start..` of [`Builder::data`], up to the next record's.
pub(super) struct Staged {
    pub(super) node: NodeId,
    start: u32,
    line: u32,
    file: u16,
    pub(super) rtype: u16,
}

/// A zone under construction.
pub(crate) struct Builder {
    pub(super) origin: Name,
    pub(crate) tree: Tree,
    /// The stored form of all records (see [`super::rrset`]); the reader appends the record it is at.
    pub(crate) data: Vec<u8>,
    pub(super) staged: Vec<Staged>,
    pub(super) rrsets: Vec<Rrset>,
    /// The names of the files, which places refer to.
    pub(crate) files: Vec<Box<str>>,
    pub(crate) errors: Vec<ZoneError>,
    pub(super) warnings: Vec<ZoneError>,
}

/// More errors, or warnings, than this are not collected.
pub(crate) const MOST_ERRORS: usize = 20;

/// What is to stay free for others while a zone is read: this part of its data so far, but no more than this.
const SPARE: usize = 4;
const MOST_SPARE: usize = 2 << 20;

impl Builder {
    pub(crate) fn new(origin: &Name, hash: NameHash) -> Result<Self, Problem> {
        Ok(Self {
            origin: origin.clone(),
            tree: Tree::new(hash, origin)?,
            data: Vec::new(),
            staged: Vec::new(),
            rrsets: Vec::new(),
            files: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Makes sure that there is memory for what `text` octets of records may become, and some more for others.
    pub(crate) fn reserve(&mut self, text: usize, records: usize) -> Result<(), Problem> {
        // The data of a record takes at most about four times its text, and some octets are fixed.
        let data = self.data.try_reserve(4 * text + 32 * records);
        let spare = Vec::<u8>::new().try_reserve_exact((self.data.len() / SPARE).min(MOST_SPARE));
        data.and(self.staged.try_reserve(records)).and(spare).map_err(|_| Problem::NoMemory)
    }

    fn located(&self, place: Place, problem: Problem) -> ZoneError {
        let file = self.files.get(usize::from(place.file)).cloned().unwrap_or_default();
        ZoneError { file, line: place.line, problem }
    }

    pub(crate) fn error(&mut self, place: Place, problem: Problem) {
        let error = self.located(place, problem);
        // What is read again, since more of it has come, has the same error again.
        if self.errors.len() < MOST_ERRORS && self.errors.last() != Some(&error) {
            self.errors.push(error);
        }
    }

    /// Something that a zone is served with all the same.
    pub(super) fn warn(&mut self, place: Place, problem: Problem) {
        if self.warnings.len() < MOST_ERRORS {
            let warning = self.located(place, problem);
            self.warnings.push(warning);
        }
    }

    /// Takes the record whose stored form is at the end of `data`, from `start` on.
    pub(crate) fn stage(
        &mut self,
        place: Place,
        node: NodeId,
        rtype: u16,
        start: usize,
    ) -> Result<(), Problem> {
        if !self.tree.node(node).is(Node::IN_ZONE) {
            return Err(Problem::OutOfZone(self.name(node)));
        }
        if rtype == t::SOA && node != self.tree.apex {
            return Err(Problem::SoaBelowApex(self.name(node)));
        }
        let fits = u32::try_from(self.data.len()).is_ok();
        let start = u32::try_from(start).ok().filter(|_| fits).ok_or(Problem::TooLarge)?;
        self.staged.push(Staged { node, start, line: place.line, file: place.file, rtype });
        Ok(())
    }

    pub(super) fn name(&self, node: NodeId) -> Box<str> {
        self.tree.name(node).to_string().into()
    }

    /// The type that a record belongs to: its own, or the one that it signs.
    fn covered(&self, n: u32) -> u16 {
        let rtype = self.staged[n as usize].rtype;
        if rtype == t::RRSIG { read_u16(self.record(n).get(FIXED + 2..).unwrap_or_default()) } else { rtype }
    }

    /// Whether a record belongs to NSEC3, whose names do not exist (RFC 5155 section 7.2.8).
    pub(super) fn is_hashed(&self, n: usize) -> bool {
        self.covered(n as u32) == t::NSEC3
    }

    /// Makes RRsets of the records of one name; how many records there are.
    pub(super) fn group(
        &mut self,
        node: NodeId,
        members: &[u32],
        groups: &mut Groups,
        data: &mut Vec<u8>,
    ) -> usize {
        // Sorted by type; the signatures of a type follow its records.
        groups.members.clear();
        groups.members.extend(members.iter().map(|&n| {
            let signature = u64::from(self.staged[n as usize].rtype == t::RRSIG);
            (u64::from(self.covered(n)) << 33 | signature << 32 | u64::from(n), n)
        }));
        sort(&mut groups.members);
        // Then the types in the order in which the file first shows them.
        groups.types.clear();
        for (at, &(key, n)) in groups.members.iter().enumerate() {
            if at == 0 || groups.members[at - 1].0 >> 33 != key >> 33 {
                groups.types.push((n.into(), at as u32));
            }
        }
        sort(&mut groups.types);
        let first_rrset = self.rrsets.len();
        let mut records = 0;
        for &(_, from) in &groups.types {
            let rest = &groups.members[from as usize..];
            let rtype = rest[0].0 >> 33;
            let all = &rest[..rest.iter().take_while(|member| member.0 >> 33 == rtype).count()];
            let (plain, signatures) = all.split_at(all.partition_point(|member| member.0 >> 32 & 1 == 0));
            let set = self.rrset(plain, signatures, data);
            records += usize::from(set.count) + usize::from(set.signatures);
            self.rrsets.push(set);
        }
        self.check_name(node, first_rrset, &groups.types);
        let slot = &mut self.tree.nodes[node as usize];
        slot.first_rrset = first_rrset as u32;
        slot.rrsets = groups.types.len() as u16;
        records
    }

    pub(super) fn record(&self, n: u32) -> &[u8] {
        let n = n as usize;
        let end = self.staged.get(n + 1).map_or(self.data.len(), |next| next.start as usize);
        &self.data[self.staged[n].start as usize..end]
    }

    pub(super) fn place(&self, n: u32) -> Place {
        let record = &self.staged[n as usize];
        Place { file: record.file, line: record.line }
    }

    /// One RRset with its signatures, which stand alone if they cover nothing.
    fn rrset(&mut self, plain: &[(u64, u32)], signatures: &[(u64, u32)], data: &mut Vec<u8>) -> Rrset {
        if plain.is_empty() {
            let n = signatures[0].1;
            let (name, code) = (self.name(self.staged[n as usize].node), self.covered(n));
            self.warn(self.place(n), Problem::LooseSignature(name, code));
            return self.copy_rrset(signatures, data);
        }
        let mut set = self.copy_rrset(plain, data);
        if !signatures.is_empty() {
            let with = self.copy_rrset(signatures, data);
            (set.signed_length, set.signatures) = (with.length as u16, with.count);
            if with.length > u16::MAX.into() {
                let problem = Problem::TooManyRecords(self.name(self.staged[signatures[0].1 as usize].node));
                self.error(self.place(signatures[0].1), problem);
            }
        }
        set
    }

    /// Copies the records of one type; those that are there already, whatever their time to live, are left out.
    fn copy_rrset(&mut self, members: &[(u64, u32)], data: &mut Vec<u8>) -> Rrset {
        const FEW: usize = 8;
        let start = data.len();
        let first = members[0].1;
        let (rtype, node) = (self.staged[first as usize].rtype, self.staged[first as usize].node);
        let ttl = read_u32(&self.record(first)[TTL_AT..]);
        let mut distinct: Vec<(u64, u32)> = Vec::new();
        if members.len() > FEW {
            // Equal records have equal hashes, and so stand side by side.
            let hash = &self.tree.hash;
            distinct
                .extend(members.iter().map(|&(_, n)| (hash.child(hash.root(), &self.record(n)[FIXED..]), n)));
            sort(&mut distinct);
            distinct.dedup_by(|a, b| a.0 == b.0 && self.record(a.1)[FIXED..] == self.record(b.1)[FIXED..]);
            for member in &mut distinct {
                member.0 = 0;
            }
            sort(&mut distinct);
        }
        let (mut count, mut other_ttl, mut twice) = (0usize, None, None);
        let few = members.len() <= FEW;
        let chosen = if few { members } else { &distinct[..] };
        for (n, &(_, member)) in chosen.iter().enumerate() {
            let record = self.record(member);
            if few && chosen[..n].iter().any(|&(_, other)| self.record(other)[FIXED..] == record[FIXED..]) {
                twice = Some(member);
                continue;
            }
            data.extend_from_slice(record);
            if rtype != t::RRSIG && read_u32(&record[TTL_AT..]) != ttl {
                other_ttl = other_ttl.or(Some(member));
            }
            count += 1;
        }
        if let Some(member) = other_ttl {
            self.warn(self.place(member), Problem::TtlMismatch(self.name(node)));
        }
        if let Some(member) = twice {
            self.warn(self.place(member), Problem::Duplicate(self.name(node)));
        }
        if count > usize::from(u16::MAX) {
            self.error(self.place(first), Problem::TooManyRecords(self.name(node)));
        }
        if count > 1 && rtype == t::SOA {
            self.error(self.place(members[1].1), Problem::SecondSoa);
        }
        if count > 1 && (rtype == t::CNAME || rtype == t::DNAME) {
            self.error(self.place(members[1].1), Problem::SecondAlias(self.name(node)));
        }
        debug_assert!(layout(rtype).is_none_or(|form| form.stored() * count == data.len() - start));
        let length = (data.len() - start) as u32;
        Rrset { start: start as u32, length, rtype, count: count as u16, signed_length: 0, signatures: 0 }
    }
}

/// Lists that are used again for each name.
#[derive(Default)]
pub(super) struct Groups {
    members: Vec<(u64, u32)>,
    /// For each type of a name: its first record, and where the type starts in `members`.
    types: Vec<(u64, u32)>,
}
