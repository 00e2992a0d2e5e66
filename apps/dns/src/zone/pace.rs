//! Where a zone's text comes from, and how others get to work while it is read.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Gives the text of zone files, piece by piece.
pub trait Source {
    /// Appends the next octets of a file to `into`, those from `offset` on, and says how many; none at its end. `name`
    /// is as the caller or an $INCLUDE names it. An error says why there is no such text.
    fn read(
        &mut self,
        name: &str,
        offset: u64,
        into: &mut Vec<u8>,
    ) -> impl Future<Output = Result<usize, Box<str>>>;

    /// Called every few microseconds of work: lets others work.
    fn pause(&mut self) -> impl Future<Output = ()>;
}

/// How much work lies between two pauses, in records.
const QUANTUM: usize = 128;

/// Work that is done in steps.
pub(crate) struct Pace<'s, S> {
    pub(crate) source: &'s mut S,
    left: usize,
}

impl<'s, S: Source> Pace<'s, S> {
    pub(crate) fn new(source: &'s mut S) -> Self {
        Self { source, left: QUANTUM }
    }

    /// Says that work was done, about that of reading `records` records.
    #[inline]
    pub(crate) async fn step(&mut self, records: usize) {
        match self.left.checked_sub(records) {
            Some(left) => self.left = left,
            None => {
                self.left = QUANTUM;
                self.source.pause().await;
            }
        }
    }
}
