//! Judging one question: ours, NSD's and Knot's reply to it.

use crate::excuses::{self, Erase, Whose};
use crate::message::{ADDITIONAL, ANSWER, AUTHORITY, Message, Record, TC, name_at};
use crate::queries::Question;
use dns::Transport;
use std::collections::BTreeSet;

/// One question with all that was replied.
pub struct Case<'c> {
    pub question: &'c Question,
    /// The names of all zones, in lower case.
    pub origins: &'c [String],
    pub ours: Option<Message>,
    /// Ours if there were room for all of it.
    pub full: Option<Message>,
    pub nsd: Option<Message>,
    pub knot: Option<Message>,
}

/// What was found: the rules that were needed, or a difference that no rule has.
pub type Verdict = Result<Vec<(Whose, &'static str)>, Difference>;

/// A difference that no rule has.
#[derive(Default)]
pub struct Difference {
    /// In which parts.
    pub kind: String,
    /// The records and flags in question, after all rules.
    pub detail: String,
}

impl From<String> for Difference {
    fn from(kind: String) -> Self {
        Self { kind, detail: String::new() }
    }
}

impl Case<'_> {
    /// Compares with both peers.
    pub fn judge(&self) -> Verdict {
        self.truncation()?;
        self.proofs()?;
        let mut used = self.compare(Whose::Nsd)?;
        used.extend(self.compare(Whose::Knot)?);
        Ok(used)
    }

    fn theirs(&self, whose: Whose) -> Option<&Message> {
        match whose {
            Whose::Nsd => self.nsd.as_ref(),
            Whose::Knot => self.knot.as_ref(),
        }
    }

    fn compare(&self, whose: Whose) -> Verdict {
        let theirs = self.theirs(whose);
        if self.ours.as_ref() == theirs {
            return Ok(vec![]);
        }
        for excuse in excuses::of(whose) {
            if let Erase::Whole(holds) = excuse.erase
                && holds(self, theirs)
            {
                return Ok(vec![(whose, excuse.name)]);
            }
        }
        self.parts(whose)
    }

    /// Whether ours is a peer's reply, but for rules about parts of it.
    pub fn explained(&self, whose: Whose) -> bool {
        self.parts(whose).is_ok()
    }

    /// Applies the rules about parts, one after the other, until nothing differs.
    fn parts(&self, whose: Whose) -> Verdict {
        let (Some(ours), Some(theirs)) = (&self.ours, self.theirs(whose)) else {
            let same = self.ours.as_ref() == self.theirs(whose);
            let tell = || format!("{whose:?}: {}", difference(self.ours.as_ref(), self.theirs(whose))).into();
            return if same { Ok(vec![]) } else { Err(tell()) };
        };
        let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
        let mut used = vec![];
        for excuse in excuses::of(whose) {
            if ours == theirs {
                break;
            }
            if let Erase::Part(erase) = excuse.erase {
                let before = (ours.clone(), theirs.clone());
                erase(self, &mut ours, &mut theirs);
                if before != (ours.clone(), theirs.clone()) {
                    used.push((whose, excuse.name));
                }
            }
        }
        if ours == theirs {
            Ok(used)
        } else {
            let kind = format!("{whose:?}: {}", difference(Some(&ours), Some(&theirs)));
            Err(Difference { kind, detail: detail(&ours, &theirs) })
        }
    }

    /// Whether a name is that of a zone.
    pub fn is_origin(&self, name: &str) -> bool {
        self.origins.iter().any(|origin| origin == name)
    }

    /// The name of the zone that a name belongs to.
    pub fn zone_of(&self, name: &str) -> Option<&str> {
        self.origins
            .iter()
            .filter(|origin| is_at_or_below(name, origin))
            .max_by_key(|origin| origin.len())
            .map(String::as_str)
    }

    /// The name that the aliases of a reply lead to.
    pub fn end_of(&self, reply: &Message) -> Option<String> {
        let mut name = name_at(&self.question.ask.name, 0)?.0;
        // As many steps as any answer has.
        for _ in 0..100 {
            let alias = reply.sections[ANSWER].iter().find(|it| it.owner == name && it.rtype == CNAME);
            let Some(alias) = alias else { return Some(name) };
            name = alias.name().to_owned();
        }
        None
    }

    /// How many zones a name is at or below.
    pub fn zones_above(&self, name: &str) -> usize {
        self.origins.iter().filter(|origin| is_at_or_below(name, origin)).count()
    }

    /// Whether the question's name is at or below one that looks like the hash of an NSEC3 record.
    pub fn asks_at_hash(&self) -> bool {
        let name = name_at(&self.question.ask.name, 0).map(|(name, _)| name);
        let hash = |label: &str| {
            label.len() == 32 && label.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'v'))
        };
        name.is_some_and(|name| name.split('.').any(hash))
    }

    /// The host that a record names.
    pub fn host(&self, record: &Record) -> Option<String> {
        let prefix = match record.rtype {
            2 | 7 => 0,
            15 | 21 | 36 => 2,
            33 => 6,
            // Their names are not compressed.
            64 | 65 => return Some(name_at(&record.data, 2)?.0),
            _ => return None,
        };
        Some(std::str::from_utf8(&record.data[prefix..]).ok()?.trim_end_matches(' ').to_owned())
    }

    /// The part of an answer that is in the question's zone, if its aliases lead into another one that is served, and
    /// the name of the question's zone.
    pub fn until_another_zone(&self, reply: &Message) -> Option<(BTreeSet<Record>, &str)> {
        let mut name = name_at(&self.question.ask.name, 0)?.0;
        let zone = self.zone_of(&name)?;
        let mut kept = BTreeSet::new();
        // As many steps as any answer has.
        for _ in 0..100 {
            let answer = &reply.sections[ANSWER];
            let mine = |it: &&Record| {
                it.owner == name || (is_or_covers(it, DNAME) && name.ends_with(&format!(".{}", it.owner)))
            };
            kept.extend(answer.iter().filter(mine).cloned());
            let alias = answer.iter().find(|it| it.owner == name && it.rtype == CNAME)?;
            name = alias.name().to_owned();
            if self.zone_of(&name).is_some_and(|next| next != zone) {
                return Some((kept, zone));
            }
        }
        None
    }

    /// Whether a peer's reply had a record, before any rule was applied.
    pub fn has(&self, theirs: &Message, record: &Record) -> bool {
        let all =
            [&self.nsd, &self.knot].into_iter().flatten().find(|it| it.shape.number == theirs.shape.number);
        all.is_some_and(|it| it.sections.iter().any(|section| section.contains(record)))
    }

    /// What truncation promises (RFC 2181 section 9, RFC 9471): a reply is truncated if and only if what is
    /// required does not fit; what is there is whole RRsets of the full reply.
    fn truncation(&self) -> Result<(), String> {
        let (Some(ours), Some(full), false) = (&self.ours, &self.full, self.question.malformed) else {
            return Ok(());
        };
        let limit = self.question.limit();
        if ours.shape.length > limit {
            return Err(format!("ours: {} octets where {limit} are allowed", ours.shape.length));
        }
        if ours.shape.repeats {
            return Err("ours: a record stands twice in a section".into());
        }
        // A zone is refused over UDP, whatever its size.
        let transfer = matches!(self.question.qtype(), 251 | 252);
        if self.question.transport == Transport::Tcp || transfer {
            return Ok(());
        }
        if full.shape.length <= limit {
            return if ours == full { Ok(()) } else { Err("ours: what would fit is not whole".into()) };
        }
        for section in [ANSWER, AUTHORITY, ADDITIONAL] {
            for record in &ours.sections[section] {
                let same = |it: &&Record| {
                    (&it.owner, it.rtype, it.covers()) == (&record.owner, record.rtype, record.covers())
                };
                let count = |of: &Message| of.sections[section].iter().filter(same).count();
                if !full.sections[section].contains(record) || count(ours) != count(full) {
                    return Err(format!("ours: part of an RRset, or a foreign one: {record:?}"));
                }
            }
        }
        let required = self.required(full);
        let missing =
            required.iter().filter(|(section, record, _)| !ours.sections[*section].contains(record)).count();
        if !ours.has(TC) && missing > 0 {
            return Err(format!("ours: {missing} required records are missing, and it does not say so"));
        }
        let end = required.iter().map(|&(_, _, end)| end).max().unwrap_or(0);
        if ours.has(TC) && end + ours.shape.opt <= limit {
            return Err(format!("ours: truncated, though what is required takes {end} of {limit} octets"));
        }
        Ok(())
    }

    /// What a signed reply promises: it proves itself, whatever the peers say.
    fn proofs(&self) -> Result<(), String> {
        let ours = self.full.as_ref().or(self.ours.as_ref());
        ours.map_or(Ok(()), |ours| self.proves(ours)).map_err(|error| format!("ours: {error}"))
    }

    /// Whether a reply, if it is whole and was to be proven, proves what it says.
    pub fn proves(&self, reply: &Message) -> Result<(), String> {
        let Question { ask, malformed, .. } = self.question;
        let wanted =
            !malformed && matches!(ask.class, 1 | 255) && ask.edns.as_ref().is_some_and(|edns| edns.2);
        match name_at(&ask.name, 0) {
            Some((name, _)) if wanted && !reply.has(TC) => crate::proof::check(reply, &name),
            _ => Ok(()),
        }
    }

    /// The records that a reply must not lack without saying so: all but the zone's own servers, and additional data
    /// that is no glue.
    pub fn required(&self, full: &Message) -> Vec<(usize, Record, usize)> {
        let own = |owner: &str| self.is_origin(owner);
        let cut = full.sections[AUTHORITY].iter().find(|record| record.rtype == 2 && !own(&record.owner));
        let required = |section: usize, record: &Record| match section {
            ANSWER => true,
            AUTHORITY => !(own(&record.owner) && (record.rtype == 2 || record.covers() == Some(2))),
            _ => cut.is_some_and(|cut| {
                matches!(record.rtype, 1 | 28)
                    && (record.owner == cut.owner || record.owner.ends_with(&format!(".{}", cut.owner)))
            }),
        };
        full.shape.ends.iter().filter(|(section, record, _)| required(*section, record)).cloned().collect()
    }

    /// Whether there was too little room for one of the servers.
    pub fn tight(&self) -> bool {
        let replies = [&self.ours, &self.nsd, &self.knot];
        let truncated = replies.iter().any(|reply| reply.as_ref().is_some_and(|it| it.has(TC)));
        // What a damaged packet allows nobody knows, but for the least.
        let limit = if self.question.malformed { 512 } else { self.question.limit() };
        let longer = self.full.as_ref().is_some_and(|full| full.shape.length > limit);
        self.question.transport == Transport::Udp && (truncated || longer)
    }

    /// Whether a peer's reply shows something. Of a damaged packet nobody needs to understand what the other does: then
    /// the question that is not damaged is what is compared.
    pub fn shows(&self, whose: Whose, what: impl Fn(&Message) -> bool) -> bool {
        self.question.malformed || self.theirs(whose).is_some_and(what)
    }
}

const CNAME: u16 = 5;
const DNAME: u16 = 39;

fn is_at_or_below(name: &str, origin: &str) -> bool {
    name == origin || origin == "." || name.strip_suffix(origin).is_some_and(|rest| rest.ends_with('.'))
}

fn is_or_covers(record: &Record, rtype: u16) -> bool {
    record.rtype == rtype || record.covers() == Some(rtype)
}

/// The records that are in one of two replies only.
fn detail(ours: &Message, theirs: &Message) -> String {
    let mut text = String::new();
    for (name, section) in [("answer", ANSWER), ("authority", AUTHORITY), ("additional", ADDITIONAL)] {
        let (a, b) = (&ours.sections[section], &theirs.sections[section]);
        a.difference(b).take(8).for_each(|record| text += &format!("\n    only ours, {name}: {record:?}"));
        b.difference(a).take(8).for_each(|record| text += &format!("\n    only theirs, {name}: {record:?}"));
    }
    if ours.opt != theirs.opt {
        text += &format!("\n    ours: {:?}\n    theirs: {:?}", ours.opt, theirs.opt);
    }
    text
}

/// In which parts two replies differ.
fn difference(ours: Option<&Message>, theirs: Option<&Message>) -> String {
    let (ours, theirs) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (Some(ours), None) => return format!("silent where ours has rcode {}", ours.rcode),
        (None, Some(theirs)) => return format!("rcode {} where ours is silent", theirs.rcode),
        (None, None) => return "none".into(),
    };
    let mut parts = vec![];
    if ours.rcode != theirs.rcode {
        parts.push(format!("rcode {} and theirs {}", ours.rcode, theirs.rcode));
    }
    if ours.flags != theirs.flags {
        parts.push(format!("flags {:04x} and theirs {:04x}", ours.flags, theirs.flags));
    }
    if ours.question != theirs.question {
        parts.push("question".into());
    }
    for (name, section) in [("answer", ANSWER), ("authority", AUTHORITY), ("additional", ADDITIONAL)] {
        let (a, b) = (&ours.sections[section], &theirs.sections[section]);
        let (more, less) = (a.difference(b).count(), b.difference(a).count());
        match (more, less) {
            (0, 0) => {}
            (_, 0) => parts.push(format!("more {name}")),
            (0, _) => parts.push(format!("less {name}")),
            _ => parts.push(format!("other {name}")),
        }
    }
    if ours.opt != theirs.opt {
        parts.push("OPT".into());
    }
    parts.join(", ")
}
