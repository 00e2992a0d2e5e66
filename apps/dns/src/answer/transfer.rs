//! Zone transfers: AXFR (RFC 5936), and IXFR (RFC 1995) that is answered with the whole zone or with nothing new.

use super::edns::Opt;
use super::query::{HEADER, Query};
use super::writer::{Owner, Writer};
use super::{Asker, Extended, Kind, Policy, Reply, Transport, header, rcode};
use crate::rtype as t;
use crate::zone::tree::{NO_NODE, Node, NodeId};
use crate::{Zone, Zones};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The length of most messages: compression pointers reach 16 KiB.
const MESSAGE: usize = 16384;

impl Zones {
    /// Answers a question for a transfer: that it is to follow, or why not, or that nothing is new.
    #[expect(clippy::too_many_arguments, reason = "it is a part of its one caller")]
    pub(super) fn transfer_or_not(
        &self,
        packet: &[u8],
        query: &Query,
        asker: &Asker,
        policy: &Policy,
        opt: &Opt<'_>,
        whole: Option<(usize, &Arc<Zone>)>,
        out: &mut [u8],
        limit: usize,
        reply: Reply,
    ) -> Reply {
        let error = |out: &mut [u8], rcode, why| {
            header(packet, out, false, false, rcode, [0; 3]);
            Reply { length: opt.write(out, query.end, 0, why), kind: Kind::Error, rcode, ..reply }
        };
        let tcp = asker.transport == Transport::Tcp;
        if query.qtype == t::AXFR && !tcp {
            // A zone never fits (RFC 5936 section 4.2).
            return error(out, rcode::NOTIMP, None);
        }
        let Some((at, zone)) = whole else { return error(out, rcode::NOTAUTH, None) };
        if !policy.transfer.contain(asker.address) {
            return error(out, rcode::REFUSED, Some(Extended::Prohibited));
        }
        let reply = Reply { zone: Some(at), ..reply };
        let new = query.serial(packet).is_none_or(|theirs| is_newer(zone.serial(), theirs));
        if tcp && (query.qtype == t::AXFR || new) {
            return Reply { kind: Kind::Transfer, ..reply };
        }
        // The SOA record alone: nothing is new, or it is to be fetched over TCP (RFC 1995 sections 2 and 4).
        let mut writer = Writer::new(&mut out[..limit], query.end, false);
        remember(&mut writer, zone);
        let count = writer.rrset(zone, Owner::At(HEADER as u16), &zone.soa);
        let end = writer.position();
        header(packet, out, true, false, rcode::NOERROR, [count, 0, 0]);
        Reply { length: opt.write(out, end, 0, None), ..reply }
    }

    /// Begins the transfer that a reply of the kind [`Kind::Transfer`] announced for a query.
    pub fn transfer(&self, query: &[u8], reply: &Reply) -> Option<Transfer> {
        let zone = self.at(reply.zone?)?.clone();
        let mut parsed = Query::new();
        parsed.read(query)?;
        let question = query.get(..parsed.end)?.into();
        let edns = parsed.edns.is_some();
        Some(Transfer { zone, question, edns, node: 0, set: 0, taken: 0, started: false, ended: false })
    }
}

/// Whether a serial number is newer than another (RFC 1982).
fn is_newer(ours: u32, theirs: u32) -> bool {
    ours != theirs && ours.wrapping_sub(theirs) < 1 << 31
}

/// Says that the zone's name is in the question.
fn remember(writer: &mut Writer<'_>, zone: &Zone) {
    let (mut at, mut id) = (HEADER, zone.tree.apex);
    while zone.node(id).parent != NO_NODE {
        writer.remember(id, at);
        at += zone.tree.label(zone.node(id)).len();
        id = zone.node(id).parent;
    }
}

/// A zone on its way to a secondary. It is the zone as it was when the transfer began.
pub struct Transfer {
    zone: Arc<Zone>,
    /// The query's header and question.
    question: Vec<u8>,
    edns: bool,
    /// The name, the RRset of it, and how much of that was sent.
    node: NodeId,
    set: usize,
    taken: usize,
    started: bool,
    ended: bool,
}

impl Transfer {
    /// Writes the next message into `out`, which has room for 65535 octets; none after the last.
    pub fn next(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.ended {
            return None;
        }
        let zone = self.zone.clone();
        // The first message has the question, and OPT if the query had it; the others need neither.
        let first = !self.started;
        let (end, opt) = if first { (self.question.len(), usize::from(self.edns) * 11) } else { (HEADER, 0) };
        out[..end].copy_from_slice(&self.question[..end]);
        let mut count = 0;
        let (mut position, mut all) = (end, false);
        // A record that is longer than most messages gets a longer one of its own.
        for limit in [MESSAGE, 65535] {
            let mut writer = Writer::new(&mut out[..limit - opt], end, false);
            if first {
                remember(&mut writer, &zone);
            }
            if first && !self.started {
                self.started = true;
                count += writer.rrset(&zone, Owner::Node(zone.tree.apex), &zone.soa);
            }
            all = self.fill(&zone, &mut writer, &mut count);
            if all {
                let last = writer.rrset(&zone, Owner::Node(zone.tree.apex), &zone.soa);
                self.ended = last > 0;
                count += last;
            }
            position = writer.position();
            if count > 0 {
                break;
            }
        }
        // A record never needs more than a whole message, so that something was written.
        self.ended |= count == 0 && all;
        let query = self.question.clone();
        header(&query, out, true, false, rcode::NOERROR, [count, 0, 0]);
        out[4..6].copy_from_slice(&u16::from(first).to_be_bytes());
        out[10..12].copy_from_slice(&u16::from(opt > 0).to_be_bytes());
        if opt > 0 {
            out[position..position + opt].copy_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        Some(position + opt)
    }

    /// Writes records until there is no room; true after the last of the zone.
    fn fill(&mut self, zone: &Zone, writer: &mut Writer<'_>, count: &mut u16) -> bool {
        while (self.node as usize) < zone.tree.nodes.len() {
            let node = zone.node(self.node);
            let sets = if node.is(Node::IN_ZONE) { zone.rrsets(node) } else { &[] };
            while let Some(set) = sets.get(self.set) {
                let length = set.length as usize;
                let stored = zone.stored_with_signatures(set);
                // The SOA record itself comes first and last, its signatures in between.
                if set.rtype == t::SOA {
                    self.taken = self.taken.max(length);
                }
                while self.taken < stored.len() {
                    let (rtype, part) = match self.taken < length {
                        true => (set.rtype, &stored[self.taken..length]),
                        false => (t::RRSIG, &stored[self.taken..]),
                    };
                    let (taken, written) = writer.some(zone, self.node, rtype, part);
                    *count += written;
                    self.taken += taken;
                    if taken < part.len() {
                        return false;
                    }
                }
                (self.set, self.taken) = (self.set + 1, 0);
            }
            (self.node, self.set) = (self.node + 1, 0);
        }
        true
    }
}
