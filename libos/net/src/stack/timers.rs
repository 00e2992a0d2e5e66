//! When connections are to be polled again.

use super::connection::Connection;
use alloc::rc::Rc;
use alloc::vec::Vec;
use kernlet_time::Instant;

/// The timers of connections: a binary heap, the earliest first. Each connection knows where in the heap it stands, so
/// that none is looked for.
#[derive(Default)]
pub struct Timers(Vec<(Instant, Rc<Connection>)>);

impl Timers {
    /// When the first is due.
    pub fn first(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out the first if it is due.
    pub fn pop(&mut self, now: Instant) -> Option<Rc<Connection>> {
        let (at, connection) = self.0.first()?;
        if *at > now {
            return None;
        }
        let connection = connection.clone();
        self.remove(&connection);
        Some(connection)
    }

    /// Sets a connection's timer. One that is there is only ever moved forward: it then comes too early, which costs a
    /// poll.
    pub fn set(&mut self, connection: &Rc<Connection>, at: Instant) {
        let place = match connection.timer.get() {
            Some(place) if self.at(place) <= at => return,
            Some(place) => {
                self.0[place].0 = at;
                place
            }
            None => {
                self.0.push((at, connection.clone()));
                self.0.len() - 1
            }
        };
        self.settle(place);
    }

    /// Takes a connection's timer away.
    pub fn remove(&mut self, connection: &Connection) {
        let Some(place) = connection.timer.take() else { return };
        self.0.swap_remove(place);
        if place < self.0.len() {
            self.settle(place);
        }
    }

    /// Brings the entry at `place`, which may be out of order, to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.at(place) < self.at((place - 1) / 2) {
            place = self.swap(place, (place - 1) / 2);
        }
        loop {
            let (mut first, child) = (place, place * 2 + 1);
            for below in child..self.0.len().min(child + 2) {
                if self.at(below) < self.at(first) {
                    first = below;
                }
            }
            if first == place {
                break;
            }
            place = self.swap(place, first);
        }
        self.tell(place);
    }

    fn at(&self, place: usize) -> Instant {
        self.0[place].0
    }

    /// Tells the connection at `place` where it stands.
    fn tell(&self, place: usize) {
        self.0[place].1.timer.set(Some(place));
    }

    fn swap(&mut self, one: usize, other: usize) -> usize {
        self.0.swap(one, other);
        self.tell(one);
        other
    }

    /// Whether there are none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::connection::Tuple;
    use core::time::Duration;
    use std::vec::Vec;

    #[test]
    fn timers_come_in_order_whatever_was_moved_and_taken_away() {
        let start = Instant::now();
        let after = |ms: u32| start + Duration::from_millis(ms.into());
        let connections: Vec<_> = (0..200u16)
            .map(|port| {
                let tuple = Tuple { local: ([10, 0, 0, 1], 53).into(), remote: ([10, 0, 0, 2], port).into() };
                Connection::new(tuple, None, None)
            })
            .collect();
        let mut wanted = std::vec![None; connections.len()];
        let (mut timers, mut random) = (Timers::default(), 1u32);
        for _ in 0..5000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let which = (random >> 16) as usize % connections.len();
            if random >> 8 & 3 == 0 {
                timers.remove(&connections[which]);
                wanted[which] = None;
            } else {
                let ms = random >> 4 & 0xfff;
                timers.set(&connections[which], after(ms));
                wanted[which] = Some(wanted[which].unwrap_or(ms).min(ms));
            }
            assert_eq!(timers.first(), wanted.iter().flatten().min().map(|&ms| after(ms)));
        }
        let mut last = 0;
        for ms in 0..=0xfff {
            while let Some(connection) = timers.pop(after(ms)) {
                let known = wanted[usize::from(connection.tuple().remote.port())].take();
                assert!(known == Some(ms) && last <= ms);
                last = ms;
            }
        }
        assert!(timers.is_empty() && wanted.iter().all(Option::is_none));
    }
}
