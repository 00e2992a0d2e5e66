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
        name: "NOTIFY that is not taken",
        reason: "RFC 1996 section 3.10 leaves open what is said to a NOTIFY of a zone that is not there, or from who may not: \
                 NSD sends a header only, with NXDOMAIN or REFUSED and the flags as they came, and no OPT for OPT",
        erase: Erase::Part(|case, ours, theirs| {
            let header = theirs.question.is_empty() && theirs.opt.is_none();
            if is_notify(case) && header && matches!(theirs.rcode, NXDOMAIN | REFUSED) {
                *theirs = ours.clone();
            }
        }),
    },
    Excuse {
        name: "BADVERS without a question",
        reason: "RFC 6891 section 6.1.3 has BADVERS for every version that is not known; where there is no question NSD says \
                 FORMERR before it looks at the version",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.rcode == BADVERS && ours.question.is_empty() && theirs.rcode == FORMERR {
                *theirs = ours.clone();
            }
        }),
    },
    Excuse {
        name: "names of another zone",
        reason: "NSD keeps the names of all zones in one tree, so glue of the zone above makes a name exist that is not \
                 there: it says NODATA where RFC 8020 and Knot have NXDOMAIN",
        erase: Erase::Part(|case, ours, theirs| {
            // For type 0 Knot does not look, nor where an alias leads into another zone.
            let elsewhere = case.until_another_zone(ours).is_some();
            let knot = |it: &Message| {
                it.rcode == NXDOMAIN || elsewhere || (case.question.qtype() == 0 && it.rcode == NOTIMP)
            };
            let shared = case.end_of(ours).is_some_and(|name| case.zones_above(&name) > 1);
            if ours.rcode == NXDOMAIN && theirs.rcode == NOERROR && shared && case.shows(Whose::Knot, knot) {
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
        name: "hosts of services",
        reason: "RFC 9460 section 4.1 has hosts and services come along with SVCB and HTTPS records, RFC 3403 section 6 with \
                 NAPTR; NSD 4.6 looks for none",
        erase: Erase::Part(|case, ours, theirs| {
            let service = |it: &Record| matches!(it.rtype, 35 | 64 | 65);
            let host = |it: &Record| matches!(it.rtype, A | AAAA | 33 | 35 | 46 | 64 | 65);
            if matches!(case.question.qtype(), 35 | 64 | 65 | ANY)
                && ours.sections[ANSWER].iter().any(service)
            {
                let had = &theirs.sections[ADDITIONAL];
                ours.sections[ADDITIONAL].retain(|it| had.contains(it) || !host(it));
            }
        }),
    },
    Excuse {
        name: "proof that is none",
        reason: "behind a DNAME NSD proves the lack of a name or wildcard by the record of another, or not at all, and below names \
                 that are opted out it has no closest encloser: by RFC 4035 section 5.4 and RFC 5155 section 8.4 that is no \
                 proof. Ours is one, as is checked for every reply",
        erase: Erase::Part(|case, ours, theirs| {
            if case.question.malformed || case.tight() || case.question.qclass() == CLASS_ANY {
                // Of these nothing can be told by itself: ours is Knot's.
                let behind = ours.sections[ANSWER].iter().any(|it| it.rtype == DNAME);
                if behind || ours.sections[AUTHORITY].iter().any(|it| it.rtype == 50) {
                    proofs(case, Whose::Knot, ours, theirs, |it| it.rcode == NXDOMAIN);
                }
            }
            if !proves_nothing(case, case.nsd.as_ref()) || ours.rcode != theirs.rcode {
                return;
            }
            if case.tight() && ours.has(TC) && !theirs.has(TC) {
                // Less fits where more does not.
                ours.flags &= !TC;
                ours.sections[AUTHORITY].clone_from(&theirs.sections[AUTHORITY]);
            }
            for reply in [ours, theirs] {
                reply.sections[AUTHORITY].retain(|it| !is_proof(it));
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
