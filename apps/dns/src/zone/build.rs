//! From records in the order of the file to a zone: grouped by name and type, without duplicates.
//!
//! Records are sorted by name by counting, in steps between which others work, so that a large zone is built while
//! queries are answered.

use super::denial::Denial;
use super::pace::{Pace, Source};
use super::rrset::{FIXED, Rrset, TTL_AT, layout};
use super::tree::{NO_NODE, Node, NodeId, Tree};
use super::{Problem, Zone, ZoneError, read_u16, read_u32, sort};
use crate::answer::Tail;
use crate::hash::NameHash;
use crate::name::Name;
use crate::rtype as t;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
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
    origin: Name,
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
/// How many records or names are handled in one step.
pub(super) const STEP: usize = 256;

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

    /// Groups and checks the records; without a zone there are errors.
    pub(crate) async fn finish<S: Source>(mut self, pace: &mut Pace<'_, S>) -> Result<Zone, Vec<ZoneError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let (order, ends) = self.by_name(pace).await;
        let mut data = Vec::with_capacity(self.data.len() + 64);
        let mut groups = Groups::default();
        let mut records = 0;
        for node in 0..ends.len() {
            let from = if node == 0 { 0 } else { ends[node - 1] };
            let members = &order[from as usize..ends[node] as usize];
            if !members.is_empty() {
                records += self.group(node as NodeId, members, &mut groups, &mut data);
            }
            pace.step(1 + members.len()).await;
        }
        drop((order, ends));
        self.mark(pace).await;
        self.check(pace).await;
        let found = |rtype| {
            let apex = self.tree.node(self.tree.apex);
            let first = apex.first_rrset as usize;
            self.rrsets[first..first + usize::from(apex.rrsets)]
                .iter()
                .find(|set: &&Rrset| set.rtype == rtype)
                .copied()
        };
        let (soa, ns) = (found(t::SOA), found(t::NS));
        let secure = found(t::DNSKEY).is_some_and(|set| set.signatures > 0);
        let top = Place { file: 0, line: 1 };
        let (Some(soa), Some(ns)) = (soa, ns) else {
            if soa.is_none() {
                self.error(top, Problem::NoSoa);
            }
            if ns.is_none() {
                self.error(top, Problem::NoNs);
            }
            return Err(self.errors);
        };
        let denial =
            if secure && self.errors.is_empty() { self.denial(&data, pace).await } else { Denial::None };
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let negative_soa = negative(&mut data, soa);
        // The SOA record ends with five numbers, of which the first is the serial.
        let serial = read_u32(&data[(soa.start + soa.length) as usize - 20..]);
        data.shrink_to_fit();
        self.rrsets.shrink_to_fit();
        self.tree.shrink();
        let mut zone = Zone {
            origin: self.origin,
            tree: self.tree,
            rrsets: self.rrsets,
            data,
            negative_soa,
            soa,
            ns,
            secure,
            denial,
            servers: Default::default(),
            nothing: Default::default(),
            serial,
            records,
            warnings: self.warnings,
            queries: Default::default(),
        };
        let servers: Vec<NodeId> = zone.targets(&ns).map(|target| target.node).collect();
        for server in servers {
            zone.tree.nodes[server as usize].flags |= Node::SERVER;
        }
        let prepare = |set: &Rrset, dnssec| Tail::prepare(&zone, set, dnssec).unwrap_or_default();
        let servers = [prepare(&ns, false), prepare(&ns, secure)];
        let nothing = [prepare(&negative_soa, false), prepare(&negative_soa, secure)];
        (zone.servers, zone.nothing) = (servers, nothing);
        Ok(zone)
    }

    /// The records in the order of their names, and for each name where its records end.
    async fn by_name<S: Source>(&self, pace: &mut Pace<'_, S>) -> (Vec<u32>, Vec<u32>) {
        let mut ends = vec![0u32; self.tree.nodes.len()];
        for part in self.staged.chunks(STEP) {
            part.iter().for_each(|record| ends[record.node as usize] += 1);
            pace.step(part.len() / 4).await;
        }
        let mut sum = 0;
        for count in &mut ends {
            (*count, sum) = (sum, sum + *count);
        }
        // Where a name's records start becomes, one by one, where they end.
        let mut order = vec![0u32; self.staged.len()];
        for (step, part) in self.staged.chunks(STEP).enumerate() {
            for (n, record) in part.iter().enumerate() {
                let place = &mut ends[record.node as usize];
                order[*place as usize] = (step * STEP + n) as u32;
                *place += 1;
            }
            pace.step(part.len() / 4).await;
        }
        (order, ends)
    }

    /// Makes RRsets of the records of one name; how many records there are.
    fn group(&mut self, node: NodeId, members: &[u32], groups: &mut Groups, data: &mut Vec<u8>) -> usize {
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

    /// Sets what the answers ask of a node: whether it exists, and what cuts it off.
    async fn mark<S: Source>(&mut self, pace: &mut Pace<'_, S>) {
        let apex = self.tree.apex;
        for n in 0..self.staged.len() {
            pace.step(1).await;
            let Staged { node, rtype, .. } = self.staged[n];
            let slot = &mut self.tree.nodes[node as usize];
            match rtype {
                t::NS if node != apex => slot.flags |= Node::CUT | Node::AT_OR_BELOW_CUT,
                t::DNAME => slot.flags |= Node::DNAME,
                _ => {}
            }
            let mut id = node;
            while !self.tree.node(id).is(Node::EXISTS) && !self.is_hashed(n) {
                self.tree.nodes[id as usize].flags |= Node::EXISTS;
                if id == apex {
                    break;
                }
                let (parent, wild) =
                    (self.tree.node(id).parent, self.tree.label(self.tree.node(id)) == b"\x01*");
                if wild {
                    self.tree.nodes[parent as usize].wildcard = id;
                }
                id = parent;
            }
        }
        // Parents come before their children.
        for id in 0..self.tree.nodes.len() {
            pace.step(usize::from(id % 4 == 0)).await;
            let node = &self.tree.nodes[id];
            if node.parent != NO_NODE {
                let above = self.tree.node(node.parent).flags;
                let mut handed = above & (Node::AT_OR_BELOW_CUT | Node::BELOW_DNAME);
                if above & Node::DNAME != 0 {
                    handed |= Node::BELOW_DNAME;
                }
                self.tree.nodes[id].flags |= handed;
            }
        }
    }
}

/// Lists that are used again for each name.
#[derive(Default)]
struct Groups {
    members: Vec<(u64, u32)>,
    /// For each type of a name: its first record, and where the type starts in `members`.
    types: Vec<(u64, u32)>,
}

/// A copy of the SOA record whose time to live is that of negative answers (RFC 2308 section 3), with its signatures.
fn negative(data: &mut Vec<u8>, soa: Rrset) -> Rrset {
    let start = data.len();
    let end = soa.start as usize + soa.length as usize + usize::from(soa.signed_length);
    data.extend_from_within(soa.start as usize..end);
    let minimum = read_u32(&data[start + soa.length as usize - 4..]);
    let ttl = minimum.min(read_u32(&data[start + TTL_AT..])).to_be_bytes();
    data[start + TTL_AT..start + FIXED].copy_from_slice(&ttl);
    let mut at = start + soa.length as usize;
    while at < data.len() {
        data[at + TTL_AT..at + FIXED].copy_from_slice(&ttl);
        at += FIXED + 2 + usize::from(read_u16(&data[at + FIXED..]));
    }
    Rrset { start: start as u32, ..soa }
}
