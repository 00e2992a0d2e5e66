//! Closed connections whose last segments may still come (RFC 9293, 3.6.1): only who they were, without buffers.

use super::Inner;
use super::build::Ends;
use super::connection::Tuple;
use super::packet::Segment;
use super::tuple_map::TupleMap;
use alloc::collections::VecDeque;
use core::time::Duration;
use kernlet_time::Instant;

/// How long segments may still come (smoltcp's figure; RFC 9293 has four minutes).
const TIME_WAIT: Duration = Duration::from_secs(10);
/// How many are remembered; the oldest go first.
const MOST: usize = 8192;

/// The connections in TIME-WAIT that nobody holds any more, and in which order they came.
#[derive(Default)]
pub struct TimeWait {
    until: TupleMap<Instant>,
    order: VecDeque<(Instant, Tuple)>,
}

impl TimeWait {
    /// Whether the segment belongs to one of them. A repeated end is acknowledged again; a new connection may take the
    /// place (RFC 9293, 3.10.7.4).
    pub fn answers(&mut self, inner: &mut Inner, tuple: &Tuple, segment: &Segment, now: Instant) -> bool {
        let Some(&until) = self.until.get(tuple) else { return false };
        if until <= now || segment.flags.opens() {
            self.until.remove(tuple);
            return false;
        }
        if segment.flags.fin() {
            let facts = inner.link.facts();
            let ends = Ends { from_mac: facts.mac, to_mac: segment.mac, from: tuple.local, to: tuple.remote };
            let write = &mut |frame: &mut [u8]| {
                ends.write_acknowledgement(frame, segment.acknowledged, segment.next, facts.checksums)
            };
            // When there is no room the other end repeats it once more.
            let _ = inner.link.transmit(ends.acknowledgement_length(), write);
        }
        true
    }

    /// Remembers a connection from now on.
    pub fn remember(&mut self, tuple: Tuple, now: Instant) {
        while let Some(&(until, oldest)) = self.order.front()
            && (until <= now || self.order.len() >= MOST)
        {
            self.order.pop_front();
            // It may have been replaced by a newer one.
            if self.until.get(&oldest) == Some(&until) {
                self.until.remove(&oldest);
            }
        }
        self.until.insert(tuple, now + TIME_WAIT);
        self.order.push_back((now + TIME_WAIT, tuple));
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.until.len()
    }
}
