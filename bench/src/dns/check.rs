//! Whether an answer is right: parsed in full the first time, afterwards compared octet by octet.

use super::zone::{Answer, Query};

const HEADER: usize = 12;
const NO_SUCH_NAME: u8 = 3;

/// What is wrong with a reply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Wrong {
    /// It ends early, or a name in it goes in circles.
    #[error("the packet is malformed")]
    Malformed,
    /// The question is not the one that was asked.
    #[error("the question is another one")]
    Question,
    /// The flags are not those of an authoritative answer.
    #[error("flags {0:#06x}")]
    Flags(u16),
    /// Another status than expected.
    #[error("status {0}")]
    Status(u8),
    /// Another number of answers than expected.
    #[error("{0} answers")]
    Count(u16),
    /// The answer's record is not the one of the zone.
    #[error("another record than the zone has")]
    Record,
}

/// Replies that were found right, by query.
#[derive(Debug)]
pub struct Checker<'a> {
    queries: &'a [Query],
    echo: bool,
    known: Vec<Box<[u8]>>,
}

impl<'a> Checker<'a> {
    /// For one server: another one may write the same answer in another way.
    pub fn new(queries: &'a [Query]) -> Self {
        Self { queries, echo: false, known: vec![Box::default(); queries.len()] }
    }

    /// For a responder that sends every query back.
    pub fn of_echo(queries: &'a [Query]) -> Self {
        Self { echo: true, ..Self::new(queries) }
    }

    /// Checks the reply to query `index`. Its id is the caller's to check.
    pub fn check(&mut self, index: usize, reply: &[u8]) -> Result<(), Wrong> {
        let body = reply.get(2..).ok_or(Wrong::Malformed)?;
        if *self.known[index] == *body {
            return Ok(());
        }
        if self.echo {
            let query = self.queries[index].packet.get(2..);
            if query != Some(body) {
                return Err(Wrong::Question);
            }
        } else {
            examine(&self.queries[index], reply)?;
        }
        self.known[index] = body.into();
        Ok(())
    }
}

fn examine(query: &Query, reply: &[u8]) -> Result<(), Wrong> {
    let header: &[u8; HEADER] = reply.first_chunk().ok_or(Wrong::Malformed)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = word(2);
    // QR, AA and the query's RD; not TC, not RA.
    if flags & 0xfff0 != 0x8500 {
        return Err(Wrong::Flags(flags));
    }
    let status = header[3] & 15;
    if status != if query.answer.is_some() { 0 } else { NO_SUCH_NAME } {
        return Err(Wrong::Status(status));
    }
    let question = HEADER..HEADER + query.question;
    if word(4) != 1 || reply.get(question.clone()) != Some(&query.packet[question.clone()]) {
        return Err(Wrong::Question);
    }
    let records = if query.signed { 2 } else { 1 };
    if word(6) != if query.answer.is_some() { records } else { 0 } {
        return Err(Wrong::Count(word(6)));
    }
    match &query.answer {
        Some(answer) => {
            let end = record(reply, question.end, &query.packet[question], answer)?;
            if query.signed { signature(reply, end, answer) } else { Ok(()) }
        }
        None => Ok(()),
    }
}

/// Checks the record at `at` against the question and the zone.
fn record(reply: &[u8], at: usize, question: &[u8], answer: &Answer) -> Result<usize, Wrong> {
    let (owner, at) = name(reply, at)?;
    let fixed: &[u8; 10] = reply.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Wrong::Malformed)?;
    let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let start = at + fixed.len();
    let rdata = reply.get(start..start + length).ok_or(Wrong::Malformed)?;
    let asked = [owner.as_slice(), &fixed[..4]].concat();
    let ttl = &fixed[4..8] == 3600_u32.to_be_bytes().as_slice();
    let same = match answer.rtype {
        super::zone::RecordType::Mx => {
            let (exchange, end) = name(reply, start + 2)?;
            end == start + length && answer.rdata == [&rdata[..2], &exchange].concat()
        }
        _ => answer.rdata == rdata,
    };
    if asked == question && ttl && same { Ok(start + length) } else { Err(Wrong::Record) }
}

/// Checks that the record at `at` is an RRSIG (type 46) that covers the answer's type.
fn signature(reply: &[u8], at: usize, answer: &Answer) -> Result<(), Wrong> {
    let (_, at) = name(reply, at)?;
    let fixed: &[u8; 12] = reply.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Wrong::Malformed)?;
    let covers = u16::from_be_bytes([fixed[10], fixed[11]]);
    if fixed[..2] == [0, 46] && covers == answer.rtype as u16 { Ok(()) } else { Err(Wrong::Record) }
}

/// A name in full, and where what follows it begins.
fn name(packet: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), Wrong> {
    let (mut wire, mut end) = (vec![], None);
    loop {
        let length = *packet.get(at).ok_or(Wrong::Malformed)?;
        if length >= 0xc0 {
            let low = *packet.get(at + 1).ok_or(Wrong::Malformed)?;
            end.get_or_insert(at + 2);
            let to = usize::from(length & 0x3f) << 8 | usize::from(low);
            // Pointers lead backwards, so that they come to an end.
            if to >= at {
                return Err(Wrong::Malformed);
            }
            at = to;
            continue;
        }
        let next = at + 1 + usize::from(length);
        wire.extend_from_slice(packet.get(at..next).ok_or(Wrong::Malformed)?);
        at = next;
        if length == 0 {
            return Ok((wire, end.unwrap_or(at)));
        }
        if wire.len() > 255 {
            return Err(Wrong::Malformed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::zone::{Mix, RecordType, queries, reply};
    use super::*;

    #[test]
    fn right_answers_pass_and_every_altered_octet_fails() {
        let queries = queries(Mix { missing: 20, ..Mix::default() });
        for (index, query) in queries.iter().enumerate().take(200) {
            let reply = reply(query);
            let mut checker = Checker::new(&queries);
            assert_eq!(checker.check(index, &reply), Ok(()));
            assert_eq!(checker.check(index, &reply), Ok(()));
            for at in 2..reply.len() {
                // The counts of the other sections are the server's business.
                if (8..HEADER).contains(&at) {
                    continue;
                }
                let mut altered = reply.clone();
                altered[at] ^= 0x55;
                assert!(examine(query, &altered).is_err(), "octet {at} of {:?}", query.answer);
            }
        }
    }

    #[test]
    fn compressed_exchanges_are_read_in_full() {
        let queries = queries(Mix::default());
        let mx = queries.iter().find(|query| query.answer.as_ref().unwrap().rtype == RecordType::Mx).unwrap();
        let mut packet = reply(mx);
        let rdata = mx.answer.as_ref().unwrap().rdata.len();
        let start = packet.len() - rdata;
        // "hostNNNNNNN" is 12 octets long, and the origin follows the first label of the question.
        packet.truncate(start + 2 + 12);
        packet.extend_from_slice(&[0xc0, 12 + 12]);
        packet[start - 1] = 2 + 12 + 2;
        assert_eq!(examine(mx, &packet), Ok(()));
        packet[start + 2 + 12 + 1] = 12;
        assert!(examine(mx, &packet).is_err());
    }

    #[test]
    fn names_in_circles_are_malformed() {
        assert_eq!(name(&[0xc0, 0], 0), Err(Wrong::Malformed));
        assert_eq!(name(&[1, b'a', 0xc0, 0], 2), Err(Wrong::Malformed));
    }
}
