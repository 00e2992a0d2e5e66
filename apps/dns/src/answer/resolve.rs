//! What answers a question: RFC 1034 section 4.3.2, with wildcards (RFC 4592), DNAME (RFC 6672), negative
//! answers (RFC 2308) and the place of DS records (RFC 4035 section 3.1.4.1).

use super::additional::Additional;
use super::policy::Any;
use super::proofs::Proofs;
use super::query::{HEADER, Query};
use super::writer::{Owner, Writer};
use super::{Path, Transport, rcode};
use crate::name::MAX_NAME;
use crate::rtype as t;
use crate::zone::rrset::{FIXED, Rrset};
use crate::zone::tree::{NO_NODE, Node, NodeId};
use crate::{Zone, Zones};

/// How many aliases are followed; a resolver follows the rest itself.
const MAX_CHAIN: usize = 16;

/// The sections after the question.
#[derive(Clone, Copy)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// The work on one answer.
pub(super) struct Resolver<'q, 'o, 'z> {
    pub(super) writer: &'q mut Writer<'o>,
    pub(super) query: &'q Query,
    pub(super) transport: Transport,
    pub(super) any: Any,
    /// What proves that names and types do not exist.
    pub(super) proofs: Proofs<'z>,
    pub(super) rcode: u8,
    pub(super) authoritative: bool,
    /// How many records each section has.
    pub(super) counts: [u16; 3],
    /// The name that answered, or that was the closest.
    pub(super) subject: NodeId,
}

/// Where the name that is looked up stands in the reply, and the aliases that led to it.
struct Chain {
    /// The offset of the name.
    owner: u16,
    owners: [u16; MAX_CHAIN],
    /// The DNAME records written so far.
    dnames: [NodeId; MAX_CHAIN],
    length: usize,
}

/// What to do after one name.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, and most are not followed")]
enum Step {
    Done,
    /// Look up this name too.
    Follow(Path),
}

impl<'q, 'o, 'z> Resolver<'q, 'o, 'z> {
    pub(super) fn new(writer: &'q mut Writer<'o>, query: &'q Query, transport: Transport, any: Any) -> Self {
        Self {
            writer,
            query,
            transport,
            any,
            proofs: Proofs::new(),
            rcode: rcode::NOERROR,
            authoritative: false,
            counts: [0; 3],
            subject: 0,
        }
    }

    /// Writes an RRset into a section; an answer without it would be wrong, so it is truncated if it does not fit.
    pub(super) fn needed(&mut self, section: Section, zone: &Zone, owner: Owner, set: &Rrset) {
        if !self.writer.truncated && !self.optional(section, zone, owner, set) {
            self.writer.truncated = true;
        }
    }

    /// Writes an RRset that may be left out; whether it fitted.
    pub(super) fn optional(&mut self, section: Section, zone: &Zone, owner: Owner, set: &Rrset) -> bool {
        let written = if self.writer.truncated { 0 } else { self.writer.rrset(zone, owner, set) };
        self.counts[section as usize] += written;
        written > 0
    }

    /// Whether signatures and proofs belong into the reply.
    pub(super) fn proves(&self, zone: &Zone) -> bool {
        zone.secure && self.query.dnssec()
    }

    fn additional(&mut self, additional: Additional<'_>) {
        let added = additional.write(self.writer, self.transport == Transport::Tcp);
        self.counts[Section::Additional as usize] += added.count;
    }

    /// Answers the question from `zone`, which its name belongs to, and others that aliases lead to.
    pub(super) fn resolve(&mut self, zones: &'z Zones, mut zone: &'z Zone) {
        let query = self.query;
        let mut chain =
            Chain { owner: HEADER as u16, owners: [0; MAX_CHAIN], dnames: [NO_NODE; MAX_CHAIN], length: 0 };
        let mut step = self.name(zones, &mut zone, &query.path, &mut chain);
        while let Step::Follow(path) = step {
            // The rest of the chain is somebody else's, or too long: the answer so far stands.
            let Some((_, next)) = zones.find(&path).filter(|_| chain.length < MAX_CHAIN) else { break };
            if !core::ptr::eq(&**next, zone) {
                self.writer.change_zone(&zone.tree, &next.tree);
                zone = next;
            }
            step = self.name(zones, &mut zone, &path, &mut chain);
        }
        self.prove(zone);
    }

    /// Answers for one name of a zone.
    fn name(&mut self, zones: &'z Zones, zone: &mut &'z Zone, path: &Path, chain: &mut Chain) -> Step {
        let query = self.query;
        let first = chain.length == 0;
        let (mut lowest, mut found) = path.walk(zone);
        if query.qtype == t::DS && found && lowest == zone.tree.apex {
            if let Some((parent, cut)) = zones.delegating(path) {
                if !first {
                    self.writer.change_zone(&zone.tree, &parent.tree);
                }
                (*zone, lowest, found) = (parent, cut, true);
            } else {
                self.authoritative = query.qclass != t::CLASS_ANY;
                self.no_data(zone, lowest, true);
                return Step::Done;
            }
        }
        let zone = *zone;
        if first {
            // The question's name, from its longest known ending on, is there to point at.
            let (mut id, mut node) = (lowest, zone.node(lowest));
            while node.parent != NO_NODE {
                self.writer.remember(id, HEADER + path.start(usize::from(node.depth)));
                id = node.parent;
                node = zone.node(id);
            }
        }
        let encloser = zone.existing(lowest);
        let exact = found && encloser == lowest;
        if exact && !first && self.writer.offset(encloser).is_none() {
            // A name that a DNAME made, which an alias may lead back to.
            self.writer.remember(encloser, chain.owner.into());
        }
        let node = zone.node(encloser);
        if node.is(Node::AT_OR_BELOW_CUT)
            && let Some(cut) = zone.cut_above(encloser)
            && !(query.qtype == t::DS && exact && encloser == cut)
        {
            self.authoritative = !first;
            self.referral(zone, cut);
            return Step::Done;
        }
        self.authoritative = query.qclass != t::CLASS_ANY;
        if first {
            self.subject = encloser;
        }
        if exact {
            return self.data(zone, encloser, true, chain);
        }
        if let Some(set) = zone.rrset(node, t::DNAME).filter(|_| node.is(Node::DNAME)) {
            return self.dname(zone, encloser, set, path, chain);
        }
        if self.proves(zone) {
            self.deny_name(zone, path, lowest, encloser);
        }
        if node.wildcard != NO_NODE {
            return self.data(zone, node.wildcard, false, chain);
        }
        self.rcode = rcode::NXDOMAIN;
        self.prove(zone);
        self.negative(zone);
        Step::Done
    }

    /// Answers with the data of a node; without `exact` it is a wildcard's.
    fn data(&mut self, zone: &'z Zone, id: NodeId, exact: bool, chain: &mut Chain) -> Step {
        let query = self.query;
        let node = zone.node(id);
        let owner = Owner::At(chain.owner);
        let set = match query.qtype {
            // Its names are hashes, which nobody asks for (RFC 5155 section 7.2.8).
            t::NSEC3 => {
                self.no_data(zone, id, exact);
                return Step::Done;
            }
            t::RRSIG => self.signatures(zone, id, owner),
            t::ANY => self.any(zone, id, owner),
            rtype => {
                let set = zone.rrset(node, rtype);
                if let Some(set) = set {
                    self.needed(Section::Answer, zone, owner, set);
                }
                set
            }
        };
        if let Some(set) = set {
            self.prove(zone);
            // The zone's servers come along where they are likely to fit and to be of use.
            let at_apex = exact && id == zone.tree.apex && set.rtype == t::NS;
            let with_ns = !matches!(query.qtype, t::DNSKEY | t::DS | t::ANY) && query.qclass != t::CLASS_ANY;
            let ns = (with_ns && !at_apex).then_some(&zone.ns);
            let mut room = true;
            if let Some(ns) = ns {
                room = self.optional(Section::Authority, zone, Owner::Node(zone.tree.apex), ns);
            }
            if room && !self.writer.truncated {
                let answered = exact.then_some((id, set.rtype));
                self.additional(Additional { zone, sources: [Some(set), ns], answered, cut: None });
            }
            return Step::Done;
        }
        if let Some(set) = zone.rrset(node, t::CNAME) {
            if chain.owners[..chain.length].contains(&chain.owner) {
                return Step::Done;
            }
            self.needed(Section::Answer, zone, owner, set);
            let Some(target) = zone.targets(set).next().map(|target| target.node) else { return Step::Done };
            let offset = if self.writer.truncated { Some(chain.owner) } else { self.writer.offset(target) };
            return chain.follow(offset, zone.tree.name(target).wire());
        }
        self.no_data(zone, id, exact);
        Step::Done
    }

    /// Answers with a DNAME record and the CNAME record that it means for this name.
    fn dname(&mut self, zone: &'z Zone, id: NodeId, set: &Rrset, path: &Path, chain: &mut Chain) -> Step {
        let Some(target) = zone.targets(set).next().map(|target| target.node) else { return Step::Done };
        let again = chain.dnames[..chain.length].contains(&id);
        if again {
            // A DNAME to a name below itself would go on for ever.
            let mut above = target;
            while above != NO_NODE {
                if above == id {
                    return Step::Done;
                }
                above = zone.node(above).parent;
            }
        } else {
            self.needed(Section::Answer, zone, Owner::Node(id), set);
        }
        let labels = path.first(usize::from(zone.node(id).depth));
        let mut wire = [0; MAX_NAME];
        let length = zone.tree.write_name(target, &mut wire);
        let mut name = [0; MAX_NAME];
        let total = labels.len() + length;
        let Some(room) = name.get_mut(..total) else {
            self.rcode = rcode::YXDOMAIN;
            return Step::Done;
        };
        room[..labels.len()].copy_from_slice(labels);
        room[labels.len()..].copy_from_slice(&wire[..length]);
        if chain.owners[..chain.length].contains(&chain.owner) {
            return Step::Done;
        }
        let mut offset = Some(usize::from(chain.owner));
        if !self.writer.truncated {
            let mut fixed = [0; FIXED - 2];
            fixed.copy_from_slice(&zone.stored(set)[2..FIXED]);
            fixed[..2].copy_from_slice(&t::CNAME.to_be_bytes());
            offset = self.writer.synthesized(zone, chain.owner, &fixed, labels, target);
            match offset {
                Some(_) => self.counts[Section::Answer as usize] += 1,
                None => (self.writer.truncated, offset) = (true, Some(chain.owner.into())),
            }
        }
        if self.query.qtype == t::CNAME {
            return Step::Done;
        }
        chain.dnames[chain.length] = id;
        chain.follow(offset.and_then(|offset| u16::try_from(offset).ok()), &name[..total])
    }

    /// Refers to the servers of a delegation.
    fn referral(&mut self, zone: &'z Zone, cut: NodeId) {
        self.prove(zone);
        let Some(set) = zone.rrset(zone.node(cut), t::NS) else { return };
        self.subject = cut;
        self.needed(Section::Authority, zone, Owner::Node(cut), set);
        if self.proves(zone) {
            match zone.rrset(zone.node(cut), t::DS) {
                Some(keys) => self.needed(Section::Authority, zone, Owner::Node(cut), keys),
                None => self.deny_keys(zone, cut),
            }
            self.prove(zone);
        }
        if !self.writer.truncated {
            self.additional(Additional { zone, sources: [Some(set), None], answered: None, cut: Some(cut) });
        }
    }

    /// Says that a name has no such data.
    fn no_data(&mut self, zone: &'z Zone, id: NodeId, exact: bool) {
        self.prove(zone);
        self.negative(zone);
        if self.proves(zone) {
            self.deny_type(zone, id, exact);
            self.prove(zone);
        }
    }

    /// Writes all signatures of a name, if there are any; they point at nothing.
    fn signatures(&mut self, zone: &Zone, id: NodeId, owner: Owner) -> Option<&'static Rrset> {
        static SIGNATURES: Rrset =
            Rrset { start: 0, length: 0, rtype: t::RRSIG, count: 0, signed_length: 0, signatures: 0 };
        let sets = zone.rrsets(zone.node(id));
        if !sets.iter().any(|set| set.rtype == t::RRSIG || set.signatures > 0) {
            return None;
        }
        if !self.writer.truncated {
            let written = self.writer.signatures(zone, owner, sets);
            self.counts[Section::Answer as usize] += written.unwrap_or(0);
            self.writer.truncated = written.is_none();
        }
        Some(&SIGNATURES)
    }

    /// Answers for all types, as the policy says; one of the RRsets, if there are any.
    fn any<'s>(&mut self, zone: &'s Zone, id: NodeId, owner: Owner) -> Option<&'s Rrset> {
        let sets = zone.rrsets(zone.node(id));
        if self.any == Any::One {
            let set = any(sets)?;
            self.needed(Section::Answer, zone, owner, set);
            return Some(set);
        }
        for set in sets.iter().filter(|set| set.rtype != t::NSEC3) {
            self.needed(Section::Answer, zone, owner, set);
        }
        sets.first()
    }

    /// Says that there is nothing, and for how long.
    pub(super) fn negative(&mut self, zone: &Zone) {
        if self.query.qclass != t::CLASS_ANY {
            self.needed(Section::Authority, zone, Owner::Node(zone.tree.apex), &zone.negative_soa);
        }
    }
}

impl Chain {
    /// Goes on with another name, which is at `offset` in the reply.
    fn follow(&mut self, offset: Option<u16>, name: &[u8]) -> Step {
        // A name where no pointer reaches cannot own the next record.
        let (Some(offset), Some(path)) = (offset, Path::parse(name)) else { return Step::Done };
        if self.length >= MAX_CHAIN {
            return Step::Done;
        }
        self.owners[self.length] = self.owner;
        self.length += 1;
        self.owner = offset;
        Step::Follow(path)
    }
}

/// The one RRset that answers for all (RFC 8482 section 4.1): small and of use, rather than large.
fn any(sets: &[Rrset]) -> Option<&Rrset> {
    let liked = |set: &&Rrset| matches!(set.rtype, t::A | t::AAAA | t::SOA | t::MX | t::PTR);
    let large = |set: &&Rrset| matches!(set.rtype, t::DNSKEY | t::RRSIG | t::NSEC);
    sets.iter().find(liked).or_else(|| sets.iter().rev().find(|set| !large(set))).or_else(|| sets.last())
}
