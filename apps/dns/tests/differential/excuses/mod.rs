//! Where servers may differ, rule by rule, each with its reason.
//!
//! A rule takes exactly its difference out, so that all else is still compared. Where a peer has no rule for a part
//! of a reply, ours must be the peer's in that part: so whatever NSD and Knot do alike is what we do, unless
//! a rule of each says why not; and where they differ ours is like one of them.

mod knot;
mod nsd;

use crate::compare::Case;
use crate::message::{AA, ADDITIONAL, ANSWER, AUTHORITY, Message, Record, TC};
use std::collections::BTreeSet;

/// Whose reply a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Nsd,
    Knot,
}

/// A difference that is meant.
pub struct Excuse {
    pub name: &'static str,
    pub reason: &'static str,
    pub erase: Erase,
}

/// How a rule is applied.
pub enum Erase {
    /// The whole reply is another, or there is none: whether that is excused.
    Whole(fn(&Case<'_>, Option<&Message>) -> bool),
    /// Both are there, ours first, and differ in a part, which is taken out of both.
    Part(fn(&Case<'_>, &mut Message, &mut Message)),
}

/// All rules about a peer's replies, in the order in which they are tried.
pub fn of(whose: Whose) -> impl Iterator<Item = &'static Excuse> {
    let own = match whose {
        Whose::Nsd => nsd::EXCUSES,
        Whose::Knot => knot::EXCUSES,
    };
    own.iter().chain(EITHER)
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const AAAA: u16 = 28;
const DNAME: u16 = 39;
const ANY: u16 = 255;
const CLASS_ANY: u16 = 255;
const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const YXDOMAIN: u16 = 6;
const NOTAUTH: u16 = 9;
const BADVERS: u16 = 16;

/// Rules about both.
const EITHER: &[Excuse] = &[
    Excuse {
        name: "services at the owner itself",
        reason: "RFC 9460 sections 2.5.2 and 4.1: the target `.` is the owner, whose addresses come along; neither peer looks for them",
        erase: Erase::Part(|case, ours, theirs| {
            if !matches!(case.question.qtype(), 64 | 65) {
                return;
            }
            let at_owner = |it: &&Record| matches!(it.rtype, 64 | 65) && it.data.get(2) == Some(&0);
            let owners: BTreeSet<String> =
                ours.sections[ANSWER].iter().filter(at_owner).map(|it| it.owner.clone()).collect();
            let address = |it: &Record| {
                owners.contains(&it.owner)
                    && (matches!(it.rtype, A | AAAA) || matches!(it.covers(), Some(A | AAAA)))
            };
            ours.sections[ADDITIONAL].retain(|it| theirs.sections[ADDITIONAL].contains(it) || !address(it));
        }),
    },
    Excuse {
        name: "no room for all",
        reason: "what a server leaves out first where not all fits is its own affair: the answer and what is required \
                 are compared, and that TC is set where they are not whole; all of it is asked for again over TCP",
        erase: Erase::Part(|case, ours, theirs| {
            if !case.tight() {
                return;
            }
            let truncated = ours.has(TC) || theirs.has(TC);
            for section in [ANSWER, AUTHORITY, ADDITIONAL] {
                let optional = |record: &Record| match section {
                    ANSWER => false,
                    AUTHORITY => record.rtype == NS || record.covers() == Some(NS),
                    _ => true,
                };
                for reply in [&mut *ours, &mut *theirs] {
                    let referral = !reply.has(AA) && reply.sections[ANSWER].is_empty();
                    reply.sections[section].retain(|record| {
                        !truncated && (!optional(record) || (referral && section == AUTHORITY))
                    });
                }
            }
        }),
    },
    Excuse {
        name: "truncated for more than is required",
        reason: "TC where all that is required is there is allowed, but costs a connection over TCP",
        erase: Erase::Part(|case, ours, theirs| {
            if case.tight() && theirs.has(TC) && !ours.has(TC) {
                theirs.flags &= !TC;
            }
        }),
    },
    Excuse {
        name: "glue missing without TC",
        reason: "RFC 9471: a referral over UDP that lacks glue from below the delegation is truncated; both peers are older",
        erase: Erase::Part(|case, ours, theirs| {
            let Some(full) = case.full.as_ref().filter(|_| case.tight() && ours.has(TC) && !theirs.has(TC))
            else {
                return;
            };
            let lacks = |(section, record, _): &(usize, Record, usize)| {
                *section == ADDITIONAL && !case.has(theirs, record)
            };
            if case.required(full).iter().any(lacks) {
                ours.flags &= !TC;
            }
        }),
    },
];

/// Ours is a reply to a NOTIFY that was not taken.
fn is_notify(case: &Case<'_>) -> bool {
    case.ours.as_ref().is_some_and(|it| it.flags >> 11 & 15 == 4 && it.rcode != NOERROR)
}

/// Ours says that the packet is malformed, or of a kind or, being damaged, of a version that is not implemented.
fn is_error(case: &Case<'_>) -> bool {
    let damaged = case.question.malformed;
    case.ours
        .as_ref()
        .is_some_and(|it| matches!(it.rcode, FORMERR | NOTIMP) || (damaged && it.rcode == BADVERS))
}

/// Whether a record is the NS RRset of a zone that is served, or its signature.
fn is_own_server(case: &Case<'_>, record: &Record) -> bool {
    (record.rtype == NS || record.covers() == Some(NS)) && case.is_origin(&record.owner)
}

/// Whether a section is nothing but aliases.
fn only_aliases(records: &BTreeSet<Record>) -> bool {
    records.iter().all(is_chain)
}

/// Whether a record is an alias, or its signature.
fn is_chain(record: &Record) -> bool {
    matches!(record.rtype, CNAME | DNAME) || matches!(record.covers(), Some(CNAME | DNAME))
}

fn is_alias(record: &Record) -> bool {
    record.rtype == CNAME || record.covers() == Some(CNAME)
}

fn has_alias(reply: &Message) -> bool {
    reply.sections[ANSWER].iter().any(is_alias)
}

/// Whether a record proves that something is not there.
fn is_proof(record: &Record) -> bool {
    matches!(record.rtype, 47 | 50) || matches!(record.covers(), Some(47 | 50))
}

/// Takes out the proofs of replies of a kind, where ours are those of the other peer.
fn proofs(
    case: &Case<'_>,
    other: Whose,
    ours: &mut Message,
    theirs: &mut Message,
    kind: fn(&Message) -> bool,
) {
    let of =
        |it: &Message| it.sections[AUTHORITY].iter().filter(|it| is_proof(it)).cloned().collect::<Vec<_>>();
    // Fewer fit where more do not.
    let fewer = case.full.as_ref().is_some_and(|full| of(theirs).len() < of(full).len());
    if case.tight() && ours.has(TC) && !theirs.has(TC) && kind(theirs) && fewer {
        ours.flags &= !TC;
        ours.sections[AUTHORITY].clone_from(&theirs.sections[AUTHORITY]);
    }
    // Knot goes on from an alias even for NSEC3, which is not there to be asked for, and does not answer type 0.
    let same = matches!(case.question.qtype(), 0 | 50) || case.shows(other, |other| of(other) == of(ours));
    if same && kind(ours) && !of(theirs).is_empty() && of(ours) != of(theirs) {
        for reply in [ours, theirs] {
            reply.sections[AUTHORITY].retain(|it| !is_proof(it));
        }
    }
}

/// Whether a peer's reply, which is whole, should prove something and does not.
fn proves_nothing(case: &Case<'_>, reply: Option<&Message>) -> bool {
    reply.is_some_and(|it| case.proves(it).is_err())
}

/// Whether a reply refers to the servers of a wildcard.
fn refers_to_wildcard(reply: &Message) -> bool {
    let wildcard = |it: &Record| it.rtype == NS && it.owner.starts_with("*.");
    !reply.has(AA) && reply.sections[AUTHORITY].iter().any(wildcard)
}
