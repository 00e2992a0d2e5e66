//! Rules about NSD 4.6.

use super::*;

pub const EXCUSES: &[Excuse] = &[
    Excuse {
        name: "errors a second",
        reason: "NSD bounds how many times a second it says that a packet is malformed, and is silent beyond",
        erase: Erase::Whole(|case, theirs| theirs.is_none() && is_error(case)),
    },
    Excuse {
        name: "malformed, as Knot",
        reason: "no standard says what a malformed packet is answered with: ours is Knot's reply",
        erase: Erase::Whole(|case, _| case.question.malformed && case.explained(Whose::Knot)),
    },
    Excuse {
        name: "no TSIG",
        reason: "this server has no keys and does not implement TSIG, whose records are unknown data in a query to it; \
                 NSD and Knot say NOTAUTH with an error of RFC 8945",
        erase: Erase::Whole(|case, theirs| {
            let ours = case.ours.as_ref().is_some_and(|it| it.rcode == FORMERR);
            case.question.kind == "a record like TSIG" && ours && theirs.is_some_and(|it| it.rcode == NOTAUTH)
        }),
    },
    Excuse {
        name: "names of another zone",
        reason: "NSD keeps the names of all zones in one tree, so glue of the zone above makes a name exist that is not \
                 there: it says NODATA where RFC 8020 and Knot have NXDOMAIN",
        erase: Erase::Part(|case, ours, theirs| {
            let knot = case.shows(Whose::Knot, |it| it.rcode == NXDOMAIN);
            if ours.rcode == NXDOMAIN && theirs.rcode == NOERROR && knot && case.zones_of_question() > 1 {
                theirs.rcode = NXDOMAIN;
            }
        }),
    },
    Excuse {
        name: "hashes as names",
        reason: "RFC 5155 section 7.2.8: the names of NSEC3 records are not there to be asked for. NSD has them in its tree, \
                 so that what is below them is no longer below the wildcards and proofs of the zone; ours is Knot's reply",
        erase: Erase::Whole(|case, _| {
            case.asks_at_hash()
                && (case.question.malformed || case.question.qtype() == 0 || case.explained(Whose::Knot))
        }),
    },
    Excuse {
        name: "flags of BADVERS",
        reason: "with BADVERS NSD sends back flags as they came, which RFC 1035 has for replies to set",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.rcode == BADVERS && theirs.rcode == BADVERS {
                theirs.flags = ours.flags;
            }
        }),
    },
    Excuse {
        name: "hosts beside ANY",
        reason: "RFC 9460 section 4.1 and RFC 3403 section 6 have hosts and services come along with SVCB, HTTPS and NAPTR records; \
                 NSD looks for them where these types are asked for, not where they answer ANY",
        erase: Erase::Part(|case, ours, theirs| {
            let service =
                |it: &Record| matches!(it.rtype, 35 | 64 | 65) || matches!(it.covers(), Some(35 | 64 | 65));
            if case.question.qtype() == ANY
                && ours.sections[ANSWER].iter().all(service)
                && theirs.sections[ADDITIONAL].is_empty()
            {
                ours.sections[ADDITIONAL].clear();
            }
        }),
    },
    Excuse {
        name: "proof of NXDOMAIN",
        reason: "behind a DNAME NSD proves the lack of a wildcard by the record of another name, or not at all; ours is \
                 Knot's proof (RFC 4035 section 3.1.3.2)",
        erase: Erase::Part(|case, ours, theirs| {
            if ours.sections[ANSWER].iter().any(|it| it.rtype == DNAME) {
                proofs(case, Whose::Knot, ours, theirs, |_| true);
            }
        }),
    },
    Excuse {
        name: "proof of NXDOMAIN in another zone",
        reason: "the same where a DNAME leads into another zone of the server's, in which Knot does not go on: NSD sends less \
                 than RFC 4035 section 3.1.3.2 asks for",
        erase: Erase::Part(|case, ours, theirs| {
            let of = |it: &Message| {
                it.sections[AUTHORITY].iter().filter(|it| is_proof(it)).cloned().collect::<BTreeSet<_>>()
            };
            let alias = ours.sections[ANSWER].iter().any(|it| it.rtype == DNAME);
            let stays = case.shows(Whose::Knot, |it| it.rcode == NOERROR);
            if alias
                && stays
                && ours.rcode == NXDOMAIN
                && theirs.rcode == NXDOMAIN
                && of(theirs).is_subset(&of(ours))
            {
                ours.sections[AUTHORITY].retain(|it| !is_proof(it));
                theirs.sections[AUTHORITY].retain(|it| !is_proof(it));
            }
        }),
    },
    Excuse {
        name: "proof of NODATA",
        reason: "for a wildcard's own name NSD sends the proof of the closest encloser that RFC 5155 section 7.2.5 asks for with \
                 expanded wildcards only; ours is Knot's",
        erase: Erase::Part(|case, ours, theirs| {
            proofs(case, Whose::Knot, ours, theirs, |it| {
                it.rcode == NOERROR && it.sections[AUTHORITY].iter().all(|it| it.rtype != NS)
            });
        }),
    },
    Excuse {
        name: "proof at wildcards that delegate",
        reason: "RFC 4592 section 4.2 leaves NS records of wildcards undefined; NSD, for which they are data, sends less than \
                 the proof of a wildcard's NODATA (RFC 5155 section 7.2.5), and Knot refers to them",
        erase: Erase::Part(|case, ours, theirs| {
            let of = |it: &Message| {
                it.sections[AUTHORITY].iter().filter(|it| is_proof(it)).cloned().collect::<BTreeSet<_>>()
            };
            if case.shows(Whose::Knot, refers_to_wildcard) && of(theirs).is_subset(&of(ours)) {
                ours.sections[AUTHORITY].retain(|it| !is_proof(it));
                theirs.sections[AUTHORITY].retain(|it| !is_proof(it));
            }
        }),
    },
];
