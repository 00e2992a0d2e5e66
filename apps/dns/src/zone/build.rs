//! From records in the order of the file to a zone: grouped by name and type, without duplicates, checked.

use super::rrset::{FIXED, Rrset, TTL_AT, layout};
use super::tree::{NO_NODE, Node, NodeId, Tree};
use super::{Problem, Zone, ZoneError, read_u32, sort};
use crate::answer::Tail;
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
struct Staged {
    node: NodeId,
    start: u32,
    line: u32,
    file: u16,
    rtype: u16,
}

/// A zone under construction.
pub(crate) struct Builder {
    origin: Name,
    pub(crate) tree: Tree,
    /// The stored form of all records (see [`super::rrset`]); the reader appends the record it is at.
    pub(crate) data: Vec<u8>,
    staged: Vec<Staged>,
    /// The names of the files, which places refer to.
    pub(crate) files: Vec<Box<str>>,
    pub(crate) errors: Vec<ZoneError>,
}

/// The members at the start of some records in order that have one name and type.
fn same_key(order: &[(u64, u32)]) -> &[(u64, u32)] {
    let count = order.iter().take_while(|member| member.0 == order[0].0).count();
    &order[..count]
}

/// More errors than this are not collected.
pub(crate) const MOST_ERRORS: usize = 20;

impl Builder {
    pub(crate) fn new(origin: &Name, hash: NameHash) -> Result<Self, Problem> {
        Ok(Self {
            origin: origin.clone(),
            tree: Tree::new(hash, origin)?,
            data: Vec::new(),
            staged: Vec::new(),
            files: Vec::new(),
            errors: Vec::new(),
        })
    }

    pub(crate) fn error(&mut self, place: Place, problem: Problem) {
        if self.errors.len() < MOST_ERRORS {
            let file = self.files.get(usize::from(place.file)).cloned().unwrap_or_default();
            self.errors.push(ZoneError { file, line: place.line, problem });
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

    fn name(&self, node: NodeId) -> Box<str> {
        self.tree.name(node).to_string().into()
    }

    /// Groups and checks the records; without a zone there are errors.
    pub(crate) fn finish(mut self) -> Result<Zone, Vec<ZoneError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut order: Vec<(u64, u32)> = (0..self.staged.len() as u32)
            .map(|n| {
                let record = &self.staged[n as usize];
                (u64::from(record.node) << 16 | u64::from(record.rtype), n)
            })
            .collect();
        sort(&mut order);

        let mut data = Vec::with_capacity(self.data.len() + 64);
        let mut rrsets = Vec::new();
        let mut records = 0;
        // For each type of a name: its first record, and where the type starts in `order`.
        let mut groups: Vec<(u64, u32)> = Vec::new();
        let mut rest = 0;
        while rest < order.len() {
            // All records of one name, as groups of one type each, in the order of the types' first records.
            let node = (order[rest].0 >> 16) as NodeId;
            groups.clear();
            while rest < order.len() && (order[rest].0 >> 16) as NodeId == node {
                groups.push((order[rest].1.into(), rest as u32));
                rest += same_key(&order[rest..]).len();
            }
            sort(&mut groups);
            self.check_name(node, &groups, &order);
            let slot = &mut self.tree.nodes[node as usize];
            slot.first_rrset = rrsets.len() as u32;
            slot.rrsets = groups.len() as u16;
            for &(_, from) in &groups {
                let set = self.copy_rrset(same_key(&order[from as usize..]), &mut data);
                records += usize::from(set.count);
                rrsets.push(set);
            }
        }
        self.mark();
        self.check_below_dname(&rrsets, &order);
        let found = |rtype| {
            let apex = self.tree.node(self.tree.apex);
            let first = apex.first_rrset as usize;
            rrsets[first..first + usize::from(apex.rrsets)]
                .iter()
                .find(|set: &&Rrset| set.rtype == rtype)
                .copied()
        };
        let (soa, ns) = (found(t::SOA), found(t::NS));
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
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        // A copy of the SOA record whose time to live is that of negative answers.
        let mut record = data[soa.start as usize..][..soa.length as usize].to_vec();
        let minimum = read_u32(&record[record.len() - 4..]);
        let serial = read_u32(&record[record.len() - 20..]);
        let negative = minimum.min(read_u32(&record[TTL_AT..]));
        record[TTL_AT..FIXED].copy_from_slice(&negative.to_be_bytes());
        let negative_soa = Rrset { start: data.len() as u32, ..soa };
        data.extend_from_slice(&record);
        data.shrink_to_fit();
        rrsets.shrink_to_fit();
        self.tree.shrink();
        let (servers, nothing) = (Tail::default(), Tail::default());
        let (origin, tree) = (self.origin, self.tree);
        let mut zone =
            Zone { origin, tree, rrsets, data, negative_soa, ns, servers, nothing, serial, records };
        let servers: Vec<NodeId> = zone.targets(&ns).collect();
        for server in servers {
            zone.tree.nodes[server as usize].flags |= Node::SERVER;
        }
        zone.servers = Tail::prepare(&zone, &ns).unwrap_or_default();
        zone.nothing = Tail::prepare(&zone, &negative_soa).unwrap_or_default();
        Ok(zone)
    }

    fn record(&self, n: u32) -> &[u8] {
        let n = n as usize;
        let end = self.staged.get(n + 1).map_or(self.data.len(), |next| next.start as usize);
        &self.data[self.staged[n].start as usize..end]
    }

    fn place(&self, n: u32) -> Place {
        let record = &self.staged[n as usize];
        Place { file: record.file, line: record.line }
    }

    /// Copies one RRset; records that are there already, whatever their time to live, are left out.
    fn copy_rrset(&mut self, members: &[(u64, u32)], data: &mut Vec<u8>) -> Rrset {
        const FEW: usize = 8;
        let start = data.len() as u32;
        let first = members[0].1;
        let rtype = self.staged[first as usize].rtype;
        let mut count = 0usize;
        if members.len() <= FEW {
            for (n, &(_, member)) in members.iter().enumerate() {
                let record = self.record(member);
                if !members[..n].iter().any(|&(_, other)| self.record(other)[FIXED..] == record[FIXED..]) {
                    data.extend_from_slice(record);
                    count += 1;
                }
            }
        } else {
            // Equal records have equal hashes, and so stand side by side.
            let hash = &self.tree.hash;
            let mut sorted: Vec<(u64, u32)> = members
                .iter()
                .map(|&(_, n)| (hash.child(hash.root(), &self.record(n)[FIXED..]), n))
                .collect();
            sort(&mut sorted);
            sorted.dedup_by(|a, b| a.0 == b.0 && self.record(a.1)[FIXED..] == self.record(b.1)[FIXED..]);
            for member in &mut sorted {
                member.0 = 0;
            }
            sort(&mut sorted);
            for &(_, member) in &sorted {
                data.extend_from_slice(self.record(member));
            }
            count = sorted.len();
        }
        let name = self.staged[first as usize].node;
        if count > usize::from(u16::MAX) {
            let problem = Problem::TooManyRecords(self.name(name));
            self.error(self.place(first), problem);
        }
        if count > 1 && rtype == t::SOA {
            self.error(self.place(members[1].1), Problem::SecondSoa);
        }
        if count > 1 && (rtype == t::CNAME || rtype == t::DNAME) {
            let problem = Problem::SecondAlias(self.name(name));
            self.error(self.place(members[1].1), problem);
        }
        debug_assert!(layout(rtype).is_none_or(|form| form.stored() * count == data.len() - start as usize));
        Rrset { start, length: data.len() as u32 - start, rtype, count: count as u16 }
    }

    /// A CNAME stands alone, but for what DNSSEC puts beside it (RFC 2181 section 10.1, RFC 4034 section 3).
    fn check_name(&mut self, node: NodeId, groups: &[(u64, u32)], order: &[(u64, u32)]) {
        let rtype = |group: &(u64, u32)| order[group.1 as usize].0 as u16;
        if groups.len() < 2 || !groups.iter().any(|group| rtype(group) == t::CNAME) {
            return;
        }
        let beside =
            |rtype| !matches!(rtype, t::CNAME | t::RRSIG | t::NSEC | t::SIG | t::KEY | t::NXT | t::NSEC3);
        // The later of the two is the one to complain about.
        let clash = groups.iter().filter(|group| beside(rtype(group))).map(|group| group.0).next();
        let alias = groups.iter().find(|group| rtype(group) == t::CNAME).map(|group| group.0);
        if let (Some(clash), Some(alias)) = (clash, alias) {
            let problem = Problem::CnameAndOther(self.name(node));
            self.error(self.place(clash.max(alias) as u32), problem);
        }
    }

    /// Sets what the answers ask of a node: whether it exists, and what cuts it off.
    fn mark(&mut self) {
        let apex = self.tree.apex;
        for record in &self.staged {
            let node = &mut self.tree.nodes[record.node as usize];
            match record.rtype {
                t::NS if record.node != apex => node.flags |= Node::CUT | Node::AT_OR_BELOW_CUT,
                t::DNAME => node.flags |= Node::DNAME,
                _ => {}
            }
            let mut id = record.node;
            while !self.tree.node(id).is(Node::EXISTS) {
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

    /// Nothing may be below a DNAME record (RFC 6672 section 2.4).
    fn check_below_dname(&mut self, rrsets: &[Rrset], order: &[(u64, u32)]) {
        if !rrsets.iter().any(|set| set.rtype == t::DNAME) {
            return;
        }
        for &(key, n) in order {
            let node = (key >> 16) as NodeId;
            if self.tree.node(node).is(Node::BELOW_DNAME) && key as u16 != t::NSEC3 {
                let problem = Problem::BelowDname(self.name(node));
                self.error(self.place(n), problem);
            }
        }
    }
}
