//! From a zone's records to the zone, in steps between which others work, so that a large zone is built while queries
//! are answered.

use super::build::{Builder, Groups, Place};
use super::chain::Chain;
use super::denial::Denial;
use super::rrset::{FIXED, Rrset, TTL_AT};
use super::tree::{NO_NODE, Node, NodeId, filled};
use super::{Problem, Zone, ZoneError, read_u16, read_u32};
use crate::answer::Tail;
use crate::rtype as t;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A zone that is put together.
pub(crate) struct Assembly {
    pub(super) builder: Builder,
    /// The records in the order of their names, and for each name where its records end.
    order: Vec<u32>,
    ends: Vec<u32>,
    groups: Groups,
    /// The records of all RRsets.
    pub(super) data: Vec<u8>,
    records: usize,
    /// What proves that there is nothing.
    pub(super) chain: Chain,
    /// What is being done, and how many of its items are.
    phase: usize,
    done: usize,
}

/// A part of the work: how many items it has, how many of them are done at a time, and what is done with each.
struct Phase {
    items: fn(&Assembly) -> usize,
    at_once: usize,
    item: fn(&mut Assembly, usize),
}

const fn phase(items: fn(&Assembly) -> usize, at_once: usize, item: fn(&mut Assembly, usize)) -> Phase {
    Phase { items, at_once, item }
}

static PHASES: [Phase; 14] = [
    phase(Assembly::staged, 2048, Assembly::count),
    phase(|_| 1, 1, Assembly::sum),
    phase(Assembly::staged, 1024, Assembly::sort),
    phase(Assembly::nodes, 128, Assembly::group),
    phase(|_| 1, 1, |it, _| (it.order, it.ends) = Default::default()),
    phase(Assembly::staged, 512, Assembly::mark),
    phase(Assembly::nodes, 1024, Assembly::hand_down),
    phase(Assembly::staged, 512, Assembly::check),
    phase(|_| 1, 1, Assembly::choose_chain),
    phase(Assembly::links, 128, Assembly::follow),
    phase(Assembly::hashed_nodes, 512, Assembly::collect),
    phase(Assembly::hashes, 256, Assembly::follow_hashes),
    phase(Assembly::buckets, 1024, Assembly::bucket),
    phase(Assembly::hashed_nodes, 64, Assembly::hash),
];

impl Assembly {
    /// Begins, if there is memory for it.
    pub(crate) fn new(builder: Builder) -> Result<Self, Problem> {
        let (nodes, records) = (builder.tree.nodes.len(), builder.staged.len());
        let (ends, order) = (filled(nodes, 0)?, filled(records, 0)?);
        let (mut data, groups, chain) = (Vec::new(), Groups::default(), Chain::default());
        // The SOA record is there twice.
        let size = builder.data.len() + 1024;
        data.try_reserve_exact(size).map_err(|_| Problem::NoMemory)?;
        // RRsets are still to come, at most one for each record.
        let mut builder = builder;
        builder.rrsets.try_reserve_exact(records.min(nodes * 2)).map_err(|_| Problem::NoMemory)?;
        Ok(Self { builder, order, ends, groups, data, records: 0, chain, phase: 0, done: 0 })
    }

    /// Does a little; true when nothing is left to do but to [finish](Assembly::finish).
    pub(crate) fn step(&mut self) -> bool {
        let Some(phase) = PHASES.get(self.phase) else { return true };
        let end = (self.done + self.at_once(phase)).min((phase.items)(self));
        for n in self.done..end {
            (phase.item)(self, n);
        }
        self.done = end;
        if self.done >= (phase.items)(self) {
            (self.phase, self.done) = (self.phase + 1, 0);
        }
        false
    }

    /// Fewer names at a time where each is hashed many times.
    fn at_once(&self, phase: &Phase) -> usize {
        (phase.at_once / (1 + self.chain.rounds())).max(1)
    }

    fn staged(&self) -> usize {
        self.builder.staged.len()
    }

    pub(super) fn nodes(&self) -> usize {
        self.builder.tree.nodes.len()
    }

    /// Sorting by counting: how many records each name has,
    fn count(&mut self, n: usize) {
        self.ends[self.builder.staged[n].node as usize] += 1;
    }

    /// where those of each name start,
    fn sum(&mut self, _: usize) {
        let mut sum = 0;
        for count in &mut self.ends {
            (*count, sum) = (sum, sum + *count);
        }
    }

    /// and each record at its place. Where a name's records start becomes, one by one, where they end.
    fn sort(&mut self, n: usize) {
        let place = &mut self.ends[self.builder.staged[n].node as usize];
        self.order[*place as usize] = n as u32;
        *place += 1;
    }

    fn group(&mut self, node: usize) {
        let from = node.checked_sub(1).map_or(0, |before| self.ends[before]);
        let members = &self.order[from as usize..self.ends[node] as usize];
        if !members.is_empty() {
            self.records += self.builder.group(node as NodeId, members, &mut self.groups, &mut self.data);
        }
    }

    /// Sets what the answers ask of a node: whether it exists, and what cuts it off.
    fn mark(&mut self, n: usize) {
        let builder = &mut self.builder;
        let apex = builder.tree.apex;
        let (mut id, rtype) = (builder.staged[n].node, builder.staged[n].rtype);
        let hashed = builder.is_hashed(n);
        let slot = &mut builder.tree.nodes[id as usize];
        match rtype {
            t::NS if id != apex => slot.flags |= Node::CUT | Node::AT_OR_BELOW_CUT,
            t::DNAME => slot.flags |= Node::DNAME,
            _ => {}
        }
        while !builder.tree.node(id).is(Node::EXISTS) && !hashed {
            builder.tree.nodes[id as usize].flags |= Node::EXISTS;
            if id == apex {
                break;
            }
            let node = builder.tree.node(id);
            let (parent, wild) = (node.parent, builder.tree.label(node) == b"\x01*");
            if wild {
                builder.tree.nodes[parent as usize].wildcard = id;
            }
            id = parent;
        }
    }

    /// Parents come before their children.
    fn hand_down(&mut self, id: usize) {
        let tree = &mut self.builder.tree;
        let parent = tree.nodes[id].parent;
        if parent != NO_NODE {
            let above = tree.node(parent).flags;
            let mut handed = above & (Node::AT_OR_BELOW_CUT | Node::BELOW_DNAME);
            if above & Node::DNAME != 0 {
                handed |= Node::BELOW_DNAME;
            }
            tree.nodes[id].flags |= handed;
        }
    }

    fn check(&mut self, n: usize) {
        self.builder.check(n);
    }

    /// The zone; without one there are errors.
    #[inline(never)]
    pub(crate) fn finish(self: Box<Self>) -> Result<Zone, Vec<ZoneError>> {
        let mut this = *self;
        let builder = &mut this.builder;
        let (soa, ns) = (builder.apex_set(t::SOA), builder.apex_set(t::NS));
        let top = Place { file: 0, line: 1 };
        if soa.is_none() {
            builder.error(top, Problem::NoSoa);
        }
        if ns.is_none() {
            builder.error(top, Problem::NoNs);
        }
        let (Some(soa), Some(ns), true) = (soa, ns, builder.errors.is_empty()) else {
            return Err(this.builder.errors);
        };
        let secure = builder.is_secure();
        let mut data = this.data;
        let negative_soa = negative(&mut data, soa);
        // The SOA record ends with five numbers, of which the first is the serial.
        let serial = read_u32(&data[(soa.start + soa.length) as usize - 20..]);
        let Builder { origin, mut tree, mut rrsets, warnings, .. } = this.builder;
        data.shrink_to_fit();
        rrsets.shrink_to_fit();
        tree.shrink();
        let denial = if secure { this.chain.finish() } else { Denial::None };
        let mut zone = Zone {
            origin,
            tree,
            rrsets,
            data,
            negative_soa,
            soa,
            ns,
            secure,
            denial,
            servers: Default::default(),
            nothing: Default::default(),
            serial,
            records: this.records,
            warnings,
            queries: Default::default(),
        };
        let servers: Vec<NodeId> = zone.targets(&ns).map(|target| target.node).collect();
        for server in servers {
            zone.tree.nodes[server as usize].flags |= Node::SERVER;
        }
        let tails = [(&ns, false), (&ns, secure), (&negative_soa, false), (&negative_soa, secure)]
            .map(|(set, dnssec)| Tail::prepare(&zone, set, dnssec).unwrap_or_default());
        let [plain, signed, nothing, signed_nothing] = tails;
        (zone.servers, zone.nothing) = ([plain, signed], [nothing, signed_nothing]);
        Ok(zone)
    }
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
