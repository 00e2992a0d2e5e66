//! The names that records point at, for which additional records are of use: RFC 1034 section 4.3.2 step 6, RFC 2782,
//! RFC 3403 section 4.1 and RFC 9460 section 4.1.

use super::rrset::{FIXED, Rrset, layout};
use super::tree::{NodeId, ROOT};
use super::{Zone, read_u16, read_u32};
use crate::name::MAX_NAME;
use crate::rtype as t;

/// The additional types in the order of their importance.
pub(crate) const TYPES: [u16; 7] = [t::A, t::AAAA, t::X25, t::ISDN, t::SRV, t::SVCB, t::HTTPS];
const ADDRESSES: u8 = 0b11;

/// What one record points at.
pub(crate) struct Target {
    /// The name. The root means the record's own name, in SVCB records.
    pub(crate) node: NodeId,
    /// Bit n: records of `TYPES[n]` there are of use.
    pub(crate) wanted: u8,
}

/// The additional types for the targets of an RRset. In NAPTR records the flags say which.
fn wanted(rtype: u16) -> u8 {
    match rtype {
        t::NS | t::MB | t::MX | t::KX | t::SRV => ADDRESSES,
        t::RT => 0b1111,
        t::NAPTR => 0b1_0011,
        t::SVCB => 0b10_0011,
        t::HTTPS => 0b100_0011,
        _ => 0,
    }
}

impl Zone {
    /// What the records of an RRset point at, the first name of each.
    pub(crate) fn targets<'z>(&'z self, set: &Rrset) -> Targets<'z> {
        let (at, step) = layout(set.rtype).map_or((0, 0), |form| (FIXED + form.prefix, form.stored()));
        let wanted = wanted(set.rtype);
        // Types without targets have nothing to look at.
        let rest = if step == 0 && wanted == 0 { &[][..] } else { self.stored(set) };
        Targets { zone: self, rest, rtype: set.rtype, at, step, wanted }
    }
}

/// See [`Zone::targets`].
pub(crate) struct Targets<'z> {
    zone: &'z Zone,
    rest: &'z [u8],
    rtype: u16,
    /// Where in a stored record its node is, and how long such a record is; zero when names are as on the wire.
    at: usize,
    step: usize,
    wanted: u8,
}

impl Targets<'_> {
    /// The target of a record whose data has a name as on the wire.
    fn plain(&self, data: &[u8]) -> Option<Target> {
        let (mut at, mut wanted) = (2, self.wanted);
        if self.rtype == t::NAPTR {
            // Order, preference; then flags, services and a regular expression before the replacement.
            at = 4;
            let flags = data.get(5..5 + usize::from(*data.get(4)?))?;
            wanted = match flags {
                b"s" | b"S" => wanted & !ADDRESSES,
                b"a" | b"A" => ADDRESSES,
                _ => return None,
            };
            for _ in 0..3 {
                at += 1 + usize::from(*data.get(at)?);
            }
        }
        let name = data.get(at..)?;
        let mut lower = [0; MAX_NAME];
        let name = &name[..name.len().min(MAX_NAME)];
        let room = &mut lower[..name.len()];
        room.copy_from_slice(name);
        room.make_ascii_lowercase();
        let node = self.zone.tree.find(room)?;
        // An alias to the root is to nowhere (RFC 9460 section 2.5.1), and so is any other.
        let own = node == ROOT && self.rtype != t::NAPTR && data[..2] != [0, 0];
        (node != ROOT || own).then_some(Target { node, wanted })
    }
}

impl Iterator for Targets<'_> {
    type Item = Target;

    #[inline]
    fn next(&mut self) -> Option<Target> {
        if self.step > 0 {
            let (record, rest) = self.rest.split_at_checked(self.step)?;
            self.rest = rest;
            return Some(Target { node: read_u32(&record[self.at..]), wanted: self.wanted });
        }
        loop {
            let length = usize::from(read_u16(self.rest.get(FIXED..)?));
            let (record, rest) = self.rest.split_at_checked(FIXED + 2 + length)?;
            self.rest = rest;
            if let Some(target) = self.plain(&record[FIXED + 2..]) {
                return Some(target);
            }
        }
    }
}
