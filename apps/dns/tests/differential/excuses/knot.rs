//! Rules about Knot DNS 3.2.

use super::*;
use dns::Transport;

pub const EXCUSES: &[Excuse] = &[
    Excuse {
        name: "malformed, as NSD",
        reason: "no standard says what a malformed packet is answered with: ours is NSD's reply",
        erase: Erase::Whole(|case, _| {
            let tired = case.nsd.is_none() && is_error(case);
            case.question.malformed && (case.explained(Whose::Nsd) || tired || case.asks_at_hash())
        }),
    },
    Excuse {
        name: "NOTIFY from who may not",
        reason: "RFC 1996 section 3.10 leaves open what is said to a NOTIFY from who may not: REFUSED here and by NSD, NOTAUTH by \
                 Knot, as for zones that are not there",
        erase: Erase::Part(|case, ours, theirs| {
            if is_notify(case) && ours.rcode == REFUSED && theirs.rcode == NOTAUTH {
                theirs.rcode = REFUSED;
            }
        }),
    },
    Excuse {
        name: "no TSIG",
        reason: "this server has no keys and does not implement TSIG, whose records are unknown data in a query to it; \
                 NSD and Knot say NOTAUTH with an error of RFC 8945",
        erase: Erase::Whole(|case, theirs| {
            let ours = case.ours.as_ref().is_some_and(|it| it.rcode == FORMERR);
            let theirs = theirs.is_some_and(|it| matches!(it.rcode, NOTAUTH | REFUSED | FORMERR | NOTIMP));
            case.question.kind == "a record like TSIG" && ours && theirs
        }),
    },
    Excuse {
        name: "zero octets in names",
        reason: "Knot finds names by keys in which a zero octet ends each label, so that it takes names with such octets for \
                 others, `x.\\000.a` for `\\000\\000x.a`; ours is NSD's reply",
        erase: Erase::Whole(|case, theirs| {
            let other = |it: &Message| case.ours.as_ref().is_some_and(|ours| ours.rcode != it.rcode);
            let name = crate::message::name_at(&case.question.ask.name, 0);
            name.is_some_and(|(name, _)| name.contains("\\000"))
                && theirs.is_some_and(other)
                && case.explained(Whose::Nsd)
        }),
    },
    Excuse {
        name: "type 0",
        reason: "type 0 is reserved, and no rule says that it cannot be asked for; Knot says NOTIMP",
        erase: Erase::Whole(|case, theirs| {
            let asked = case.question.qtype() == 0;
            asked
                && theirs.is_some_and(|it| it.rcode == NOTIMP)
                && (case.explained(Whose::Nsd) || case.asks_at_hash())
        }),
    },
    Excuse {
        name: "an RRset that no message holds",
        reason: "nothing is right for an RRset beyond 64 KiB: NSD truncates even over TCP, Knot says SERVFAIL",
        erase: Erase::Whole(|case, theirs| {
            let truncated =
                case.question.transport == Transport::Tcp && case.ours.as_ref().is_some_and(|it| it.has(TC));
            truncated && theirs.is_some_and(|it| it.rcode == SERVFAIL) && case.explained(Whose::Nsd)
        }),
    },
    Excuse {
        name: "type NSEC3",
        reason: "RFC 5155 section 7.2.8: NSEC3 records are not there to be asked for; NSD has no data of that type anywhere, \
                 Knot treats it as any type that the zone's names do not have",
        erase: Erase::Whole(|case, _| case.question.qtype() == 50 && case.explained(Whose::Nsd)),
    },
    Excuse {
        name: "DO of BADVERS",
        reason: "Knot copies DO of an OPT record whose version it does not know; NSD does not",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.rcode == BADVERS
                && theirs.rcode == BADVERS
                && let (Some(ours), Some(theirs)) = (&ours.opt, &mut theirs.opt)
            {
                theirs.flags = ours.flags;
            }
        }),
    },
    Excuse {
        name: "question of a refusal",
        reason: "Knot repeats the question where it refuses a class; NSD sends only the header",
        erase: Erase::Part(|case, ours, theirs| {
            if ours.rcode == REFUSED && ours.question.is_empty() && case.question.qclass() != 1 {
                theirs.question.clear();
            }
        }),
    },
    Excuse {
        name: "class ANY",
        reason: "RFC 1034 section 4.3.2 and RFC 1035 section 6.2: what is answered for class ANY is never authoritative; \
                 NSD clears AA and leaves the authority section out, Knot treats it as IN",
        erase: Erase::Part(|case, ours, theirs| {
            if case.question.qclass() == CLASS_ANY && !ours.has(AA) && theirs.has(AA) {
                theirs.flags &= !AA;
                let soa = |it: &Record| it.rtype == SOA || it.covers() == Some(SOA);
                if !ours.sections[AUTHORITY].iter().any(soa) {
                    theirs.sections[AUTHORITY].retain(|it| !soa(it));
                }
            }
        }),
    },
    Excuse {
        name: "one RRset for ANY",
        reason: "RFC 8482 section 4.1 allows one RRset of all, of the server's choice; ours is NSD's choice",
        erase: Erase::Part(|case, ours, theirs| {
            // What comes behind aliases, at the same name.
            let Some(name) = case.end_of(ours).filter(|_| case.question.qtype() == ANY) else { return };
            if case.end_of(theirs).is_some_and(|it| it == name) {
                let chosen = |it: &Message| it.sections[ANSWER].iter().any(|it| it.owner == name);
                if chosen(ours) && chosen(theirs) {
                    theirs.sections[ANSWER].retain(|it| it.owner != name);
                    ours.sections[ANSWER].retain(|it| it.owner != name);
                    theirs.sections[ADDITIONAL] = ours.sections[ADDITIONAL].clone();
                }
            }
        }),
    },
    Excuse {
        name: "one zone's aliases",
        reason: "RFC 1034 section 4.3.2 goes on with an alias in whatever zone of the server's it leads to, as NSD does; \
                 Knot stays in the zone of the question",
        erase: Erase::Part(|case, ours, theirs| {
            let Some((kept, zone)) = case.until_another_zone(ours) else { return };
            let referral =
                theirs.sections[AUTHORITY].iter().all(|it| it.rtype != SOA && it.owner.ends_with(zone));
            if theirs.rcode == NOERROR && kept == theirs.sections[ANSWER] && referral {
                *ours = theirs.clone();
            }
        }),
    },
    Excuse {
        name: "wildcards that delegate",
        reason: "RFC 4592 section 4.2 leaves NS records of wildcards undefined: for NSD they are data, Knot refers to them",
        erase: Erase::Whole(|case, theirs| {
            theirs.is_some_and(refers_to_wildcard) && case.explained(Whose::Nsd)
        }),
    },
    Excuse {
        name: "transfers that are not allowed",
        reason: "RFC 5936 section 2.2.1 has REFUSED for those who may not ask; Knot says NOTAUTH, and NOTIMP in other classes than IN",
        erase: Erase::Part(|case, ours, theirs| {
            let said = theirs.rcode == NOTAUTH || (theirs.rcode == NOTIMP && case.question.qclass() != 1);
            if matches!(case.question.qtype(), 251 | 252) && ours.rcode == REFUSED && said {
                theirs.rcode = REFUSED;
            }
        }),
    },
    Excuse {
        name: "steps of a loop",
        reason: "how often a loop of aliases is gone round is each server's own affair",
        erase: Erase::Part(|_, ours, theirs| {
            let (a, b) = (&ours.sections[ANSWER], &theirs.sections[ANSWER]);
            let loops = |it: &BTreeSet<Record>| it.len() > 1 && only_aliases(it);
            if ours.rcode == NOERROR
                && loops(b)
                && a.is_subset(b)
                && !a.is_empty()
                && ours.sections[AUTHORITY].is_empty()
                && theirs.sections[AUTHORITY].is_empty()
            {
                theirs.sections[ANSWER] = a.clone();
            }
        }),
    },
    Excuse {
        name: "SOA of YXDOMAIN",
        reason: "where a DNAME makes a name too long Knot adds the SOA record; RFC 6672 does not ask for it, NSD does not",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.rcode == YXDOMAIN && theirs.rcode == YXDOMAIN && ours.sections[AUTHORITY].is_empty() {
                theirs.sections[AUTHORITY]
                    .retain(|record| record.rtype != SOA && record.covers() != Some(SOA));
            }
        }),
    },
    Excuse {
        name: "types beside an alias",
        reason: "NSEC and RRSIG may stand beside a CNAME record, so Knot looks for them at the alias itself; NSD follows it",
        erase: Erase::Whole(|case, theirs| {
            let asked = matches!(case.question.qtype(), 46 | 47);
            let ours =
                case.ours.as_ref().is_some_and(|it| it.sections[ANSWER].iter().any(|it| it.rtype == CNAME));
            let nothing =
                theirs.is_some_and(|it| it.rcode == NOERROR && it.has(AA) && it.sections[ANSWER].is_empty());
            asked && ours && nothing && case.explained(Whose::Nsd)
        }),
    },
    Excuse {
        name: "the zone's servers",
        reason: "positive answers need no NS records of the zone: NSD adds them and their addresses, Knot does not",
        erase: Erase::Part(|case, ours, theirs| {
            if ours.sections[ANSWER].is_empty() || theirs.sections[AUTHORITY].iter().any(|it| it.rtype == NS)
            {
                return;
            }
            let servers =
                ours.sections[AUTHORITY].iter().filter(|it| it.rtype == NS && case.is_origin(&it.owner));
            let hosts: Vec<String> = servers.map(|record| record.name().to_owned()).collect();
            ours.sections[AUTHORITY].retain(|record| !is_own_server(case, record));
            let kept = theirs.sections[ADDITIONAL].clone();
            let address = |record: &Record| {
                matches!(record.rtype, A | AAAA) || matches!(record.covers(), Some(A | AAAA))
            };
            ours.sections[ADDITIONAL]
                .retain(|record| kept.contains(record) || !address(record) || !hosts.contains(&record.owner));
        }),
    },
    Excuse {
        name: "glue for hosts",
        reason: "addresses below a delegation are not this zone's data: NSD gives them in referrals only, Knot for MX, SRV, \
                 SVCB and HTTPS too",
        erase: Erase::Part(|case, ours, theirs| {
            let hosts: Vec<String> =
                ours.sections[ANSWER].iter().filter_map(|record| case.host(record)).collect();
            let had = &ours.sections[ADDITIONAL];
            if case.explained(Whose::Nsd) {
                theirs.sections[ADDITIONAL].retain(|it| {
                    had.contains(it)
                        || !matches!(it.rtype, A | AAAA)
                        || !hosts.contains(&it.owner)
                        || it.covers().is_some()
                });
            }
        }),
    },
    Excuse {
        name: "what comes along with services",
        reason: "RFC 9460 section 4.1 has addresses and services of targets come along; for targets that a wildcard has Knot \
                 gives them the wildcard's name, it repeats the record that is the answer, and proves that a target has no services",
        erase: Erase::Part(|case, ours, theirs| {
            let services = ours.sections[ANSWER].iter().filter(|it| matches!(it.rtype, 64 | 65));
            let hosts: Vec<String> = services.filter_map(|record| case.host(record)).collect();
            let of_ours = &ours.sections[ADDITIONAL];
            let named = |record: Record| {
                let same =
                    |it: &&Record| (it.rtype, it.ttl, &it.data) == (record.rtype, record.ttl, &record.data);
                let found = of_ours.iter().find(|it| same(it) && hosts.contains(&it.owner));
                if record.owner.starts_with("*.") { found.cloned().unwrap_or(record) } else { record }
            };
            let extra = |it: &Record| ours.sections[ANSWER].contains(it) || is_proof(it);
            if !hosts.is_empty() {
                let all = std::mem::take(&mut theirs.sections[ADDITIONAL]).into_iter();
                theirs.sections[ADDITIONAL] = all.filter(|it| !extra(it)).map(named).collect();
            }
        }),
    },
    Excuse {
        name: "hosts of NAPTR",
        reason: "RFC 3403 section 6 has services and hosts come along with NAPTR records; Knot looks for none",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.sections[ANSWER].iter().any(|it| it.rtype == 35) {
                let had = &theirs.sections[ADDITIONAL];
                let host = |it: &Record| matches!(it.rtype, A | AAAA | 33 | 35 | 46);
                ours.sections[ADDITIONAL].retain(|it| had.contains(it) || !host(it));
            }
        }),
    },
    Excuse {
        name: "hosts of rare types",
        reason: "RFC 1035 section 3.3 has addresses come along with MB, RFC 1183 with RT, RFC 2230 with KX; NSD does it, Knot does not",
        erase: Erase::Part(|case, ours, theirs| {
            if matches!(case.question.qtype(), 7 | 21 | 36)
                && theirs.sections[ADDITIONAL].is_subset(&ours.sections[ADDITIONAL])
            {
                ours.sections[ADDITIONAL] = theirs.sections[ADDITIONAL].clone();
            }
        }),
    },
    Excuse {
        name: "one signature for RRSIG",
        reason: "RFC 8482 section 7 has RRSIG answered like ANY, with one of all; NSD sends all",
        erase: Erase::Part(|case, ours, theirs| {
            let all = case.full.as_ref().map_or(&ours.sections[ANSWER], |full| &full.sections[ANSWER]);
            let some = !theirs.sections[ANSWER].is_empty() && theirs.sections[ANSWER].is_subset(all);
            if case.question.qtype() == 46 && some {
                ours.sections[ANSWER] = theirs.sections[ANSWER].clone();
                if ours.has(TC) {
                    ours.sections = theirs.sections.clone();
                }
                ours.flags = ours.flags & !TC | theirs.flags & TC;
            }
        }),
    },
    Excuse {
        name: "times to live in one RRset",
        reason: "RFC 2181 section 5.2: the records of an RRset have one time to live. Where a zone says otherwise NSD serves \
                 what it says, Knot makes them one",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.sections[ANSWER].is_empty()
                || !ours.sections[ANSWER].iter().all(|it| it.owner.starts_with("ttls."))
            {
                return;
            }
            for reply in [ours, theirs] {
                let one = reply.sections[ANSWER].iter().map(|it| Record { ttl: 0, ..it.clone() }).collect();
                reply.sections[ANSWER] = one;
            }
        }),
    },
    Excuse {
        name: "SOA that does not fit",
        reason: "RFC 2308 section 3 requires the SOA record of a negative answer: ours and NSD's are truncated where it does \
                 not fit, Knot's is not",
        erase: Erase::Part(|case, ours, theirs| {
            let soa =
                case.full.as_ref().is_some_and(|it| it.sections[AUTHORITY].iter().any(|it| it.rtype == SOA));
            let without = theirs.sections[AUTHORITY].is_empty();
            if case.tight() && soa && without && ours.has(TC) && !theirs.has(TC) {
                ours.flags &= !TC;
            }
        }),
    },
    Excuse {
        name: "code of YXDOMAIN",
        reason: "RFC 6672 section 2.2 has YXDOMAIN for a name that a DNAME made too long; Knot has it for some, and NXDOMAIN for \
                 others",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.rcode == YXDOMAIN && theirs.rcode == NXDOMAIN && ours.sections[AUTHORITY].is_empty() {
                theirs.rcode = YXDOMAIN;
                theirs.sections[AUTHORITY].clear();
            }
        }),
    },
    Excuse {
        name: "proof of a wildcard's use",
        reason: "RFC 4035 section 3.1.3.3 and RFC 5155 section 7.2.5 have what a wildcard answers, or lacks, come with the proof that the name itself is not there; \
                 Knot leaves it out where NSEC is asked for, and for names that begin with a `*` of their own",
        erase: Erase::Part(|case, ours, theirs| {
            let of = |it: &Message| {
                it.sections[AUTHORITY].iter().filter(|it| is_proof(it)).cloned().collect::<BTreeSet<_>>()
            };
            let (of_ours, of_theirs) = (of(ours), of(theirs));
            let special = case.question.qtype() == 47 || case.question.ask.name.starts_with(b"\x01*");
            if special && of_theirs.is_subset(&of_ours) {
                ours.sections[AUTHORITY].retain(|it| !is_proof(it) || of_theirs.contains(it));
            }
        }),
    },
    Excuse {
        name: "proof that is none",
        reason: "for names right behind a wildcard's own Knot takes the record before the one that covers them, which proves \
                 nothing by RFC 4035 section 5.3.4. Ours is a proof, as is checked for every reply",
        erase: Erase::Part(|case, ours, theirs| {
            if proves_nothing(case, case.knot.as_ref()) && ours.rcode == theirs.rcode {
                for reply in [ours, theirs] {
                    reply.sections[AUTHORITY].retain(|it| !is_proof(it));
                }
            }
        }),
    },
    Excuse {
        name: "code of what is cut",
        reason: "where a chain of aliases does not fit Knot does not look at its end: it is truncated, so that the code is \
                 to be asked for again",
        erase: Erase::Part(|_, ours, theirs| {
            if ours.has(TC) && theirs.has(TC) && ours.rcode == NXDOMAIN && has_alias(theirs) {
                theirs.rcode = NXDOMAIN;
            }
        }),
    },
    Excuse {
        name: "proof of NXDOMAIN",
        reason: "NSD and Knot choose differently among the records that prove it where one would do for two (RFC 4035 section 3.1.3.2, \
                 RFC 5155 section 7.2.2); ours are NSD's",
        erase: Erase::Part(|case, ours, theirs| {
            proofs(case, Whose::Nsd, ours, theirs, |it| it.rcode == NXDOMAIN)
        }),
    },
    Excuse {
        name: "proof of NODATA",
        reason: "for a wildcard's own name NSD sends the proof of the closest encloser that RFC 5155 section 7.2.5 asks for with \
                 expanded wildcards only; Knot does not",
        erase: Erase::Part(|case, ours, theirs| {
            proofs(case, Whose::Nsd, ours, theirs, |it| {
                // For class ANY there is no SOA record.
                let has = |rtype| it.sections[AUTHORITY].iter().any(|it| it.rtype == rtype);
                it.rcode == NOERROR && (has(SOA) || (!it.has(AA) && !has(NS)))
            });
        }),
    },
    Excuse {
        name: "room that compression leaves",
        reason: "Knot compresses fewer names, so that an additional record that still fits for us and NSD does not fit for it",
        erase: Erase::Part(|case, ours, theirs| {
            let (a, b) = (&ours.sections[ADDITIONAL], &theirs.sections[ADDITIONAL]);
            let missing: usize = a.difference(b).map(|it| it.owner.len() + 11 + it.data.len()).sum();
            let full = theirs.shape.length + missing > case.question.limit();
            if case.question.transport == Transport::Udp && b.is_subset(a) && full {
                ours.sections[ADDITIONAL] = b.clone();
            }
        }),
    },
];
