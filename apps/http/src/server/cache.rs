//! Files that were looked up before, by the path of the request.
//!
//! A direct-mapped table: a file takes the place that its hash gives it, whoever had that before. Files of the image
//! stay right for ever. Those of a volume are kept here, too, open and, if they are small, with their contents; they are
//! checked before each use.

use super::files::Served;
use core::cell::{Cell, RefCell};
use kernlet::alloc::boxed::Box;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::vec::Vec;

/// Places.
const PLACES: usize = 1024;

struct Place {
    path: Box<[u8]>,
    gzip: bool,
    file: Rc<Served>,
}

/// The table; it takes memory from its first entry on.
pub struct Cache {
    places: RefCell<Vec<Option<Place>>>,
    /// Mixed into hashes, so that nobody can choose paths that meet in one place.
    seed: u64,
    held: Cell<usize>,
    limit: usize,
}

impl Cache {
    /// An empty one that holds at most `limit` octets of content.
    pub fn new(limit: usize) -> Self {
        Self { places: RefCell::default(), seed: kernlet::random::u64(), held: Cell::new(0), limit }
    }

    fn place(&self, path: &[u8], gzip: bool) -> usize {
        // FNV-1a over words, with a multiplication by which the upper bits depend on all.
        let mut hash = self.seed ^ u64::from(gzip);
        let mut words = path.chunks_exact(8);
        for word in &mut words {
            let word = word.first_chunk().map_or(0, |w| u64::from_le_bytes(*w));
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        for &octet in words.remainder() {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % PLACES
    }

    /// The file for this path and coding.
    pub fn get(&self, path: &[u8], gzip: bool) -> Option<Rc<Served>> {
        let places = self.places.borrow();
        let place = places.get(self.place(path, gzip))?.as_ref()?;
        (place.gzip == gzip && *place.path == *path).then(|| place.file.clone())
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.places.borrow_mut().clear();
        self.held.set(0);
    }

    /// Keeps a file, if it is small enough.
    pub fn insert(&self, path: &[u8], gzip: bool, file: Rc<Served>) {
        let size = file.held();
        let at = self.place(path, gzip);
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        let before = places[at].take().map_or(0, |p| p.file.held());
        self.held.set(self.held.get() - before);
        // Others make room, from the one behind on.
        for other in (at + 1..PLACES).chain(0..at) {
            if self.held.get() + size <= self.limit {
                break;
            }
            if let Some(place) = places[other].take_if(|p| p.file.held() > 0) {
                self.held.set(self.held.get() - place.file.held());
            }
        }
        if self.held.get() + size <= self.limit {
            self.held.set(self.held.get() + size);
            places[at] = Some(Place { path: path.into(), gzip, file });
        }
    }
}
