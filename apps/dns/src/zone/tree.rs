//! The tree of a zone's names: a node for each name, found by its parent and first label.
//!
//! A label is stored once for each node, in lower case; a whole name is read by walking up. One flat table of
//! slots maps (parent, label) to a node, so that a walk from the zone's apex down to a question costs one probe
//! a label, and stops by itself at the closest encloser (RFC 4592 section 2.2.1). Parents are made before their
//! children, so a pass in the order of the nodes can hand a property down.

use super::Problem;
use crate::hash::NameHash;
use crate::name::{Labels, MAX_LABELS, MAX_NAME, Name};
use alloc::vec;
use alloc::vec::Vec;

/// The index of a node.
pub(crate) type NodeId = u32;

/// The node of the root name.
pub(crate) const ROOT: NodeId = 0;
/// No node: the parent of the root, a missing wildcard, an empty slot.
pub(crate) const NO_NODE: NodeId = u32::MAX;
/// Three bits above a node's index are free for those who keep lists of nodes.
const MAX_NODES: usize = 1 << 29;

/// One name.
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    /// Where the first label starts in `Tree::labels`.
    label: u32,
    /// The first of the node's RRsets, and how many follow.
    pub(crate) first_rrset: u32,
    pub(crate) rrsets: u16,
    pub(crate) flags: u8,
    /// How many labels the name has.
    pub(crate) depth: u8,
    /// The child whose label is `*`, if it has data or is above data.
    pub(crate) wildcard: NodeId,
}

impl Node {
    /// The zone's apex or below it.
    pub(crate) const IN_ZONE: u8 = 1;
    /// Has data, or is an empty non-terminal: is above data.
    pub(crate) const EXISTS: u8 = 2;
    /// A delegation: has NS records and is not the apex.
    pub(crate) const CUT: u8 = 4;
    /// A delegation or below one.
    pub(crate) const AT_OR_BELOW_CUT: u8 = 8;
    /// Has a DNAME record.
    pub(crate) const DNAME: u8 = 16;
    /// Below a DNAME record.
    pub(crate) const BELOW_DNAME: u8 = 32;
    /// One of the zone's own servers: named by the NS records of the apex.
    pub(crate) const SERVER: u8 = 64;

    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A place in the table: part of the hash, so that most misses are seen without a look at the node.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    node: NodeId,
}

const EMPTY: Slot = Slot { tag: 0, node: NO_NODE };

/// How many slots of the next table are filled and moved with each name: together it is ready three sixteenths of the table's size
/// after it was begun.
const FILLED: usize = 32;
const MOVED: usize = 8;

fn occupy(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut at = slot.tag as usize & mask;
    while slots[at].node != NO_NODE {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/// A list of equal elements, if there is memory for it.
pub(super) fn filled<T: Clone>(count: usize, element: T) -> Result<Vec<T>, Problem> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Problem::NoMemory)?;
    list.resize(count, element);
    Ok(list)
}

/// All names of a zone, with those that its records point at.
pub(crate) struct Tree {
    pub(crate) hash: NameHash,
    pub(crate) nodes: Vec<Node>,
    labels: Vec<u8>,
    /// At most seven tenths full.
    slots: Vec<Slot>,
    /// The table of twice the size that takes their place before they are full, made bit by bit: no one name takes long, however
    /// many there are. First it is filled up with empty slots, then the others move in.
    next: Vec<Slot>,
    /// How many of `slots` have moved, and the first node that found the next table ready and is in both.
    moved: usize,
    first_twice: NodeId,
    /// The zone's own name.
    pub(crate) apex: NodeId,
    /// The hash of the apex, where walks start.
    pub(crate) apex_hash: u64,
}

impl Tree {
    pub(crate) fn new(hash: NameHash, origin: &Name) -> Result<Self, Problem> {
        let root = Node {
            parent: NO_NODE,
            label: 0,
            first_rrset: 0,
            rrsets: 0,
            flags: 0,
            depth: 0,
            wildcard: NO_NODE,
        };
        let mut tree = Self {
            hash,
            nodes: vec![root],
            labels: vec![0],
            slots: vec![EMPTY; 64],
            next: Vec::new(),
            moved: 0,
            first_twice: 0,
            apex: ROOT,
            apex_hash: hash.root(),
        };
        (tree.apex, tree.apex_hash) = tree.intern(origin.wire(), ROOT, hash.root())?;
        tree.nodes[tree.apex as usize].flags |= Node::IN_ZONE;
        Ok(tree)
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The first label of a node, with its length octet; the root's is empty of all but that.
    #[inline]
    pub(crate) fn label(&self, node: &Node) -> &[u8] {
        let start = node.label as usize;
        let length = usize::from(self.labels[start]);
        &self.labels[start..=start + length]
    }

    /// The child of `parent` with this label, in lower case; `hash` is that of the child's name.
    #[inline]
    pub(crate) fn child(&self, parent: NodeId, hash: u64, label: &[u8]) -> Option<NodeId> {
        let (tag, mask) = (hash as u32, self.slots.len() - 1);
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.node == NO_NODE {
                return None;
            }
            if slot.tag == tag {
                let node = self.node(slot.node);
                if node.parent == parent && self.label(node) == label {
                    return Some(slot.node);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn child_or_new(&mut self, parent: NodeId, hash: u64, label: &[u8]) -> Result<NodeId, Problem> {
        if let Some(found) = self.child(parent, hash, label) {
            return Ok(found);
        }
        let start = u32::try_from(self.labels.len()).map_err(|_| Problem::TooLarge)?;
        if self.nodes.len() >= MAX_NODES {
            return Err(Problem::TooLarge);
        }
        let id = self.nodes.len() as NodeId;
        let above = self.node(parent);
        let node = Node {
            parent,
            label: start,
            first_rrset: 0,
            rrsets: 0,
            flags: above.flags & Node::IN_ZONE,
            depth: above.depth + 1,
            wildcard: NO_NODE,
        };
        self.labels.try_reserve(label.len()).map_err(|_| Problem::NoMemory)?;
        self.nodes.try_reserve(1).map_err(|_| Problem::NoMemory)?;
        self.grow(Slot { tag: hash as u32, node: id })?;
        self.labels.extend_from_slice(label);
        self.nodes.push(node);
        Ok(id)
    }

    /// Takes `new` in, and makes a part of the next table.
    fn grow(&mut self, new: Slot) -> Result<(), Problem> {
        let size = self.slots.len();
        if self.next.len() == 2 * size {
            occupy(&mut self.next, new);
            let end = size.min(self.moved + MOVED);
            for &slot in &self.slots[self.moved..end] {
                // Those that came since have been here already.
                if slot.node < self.first_twice {
                    occupy(&mut self.next, slot);
                }
            }
            self.moved = end;
            if end == size {
                self.slots = core::mem::take(&mut self.next);
                return Ok(());
            }
        } else if self.nodes.len() * 2 >= size {
            let larger = size * 2;
            self.next.try_reserve_exact(larger - self.next.len()).map_err(|_| Problem::NoMemory)?;
            self.next.resize(larger.min(self.next.len() + FILLED), EMPTY);
            (self.moved, self.first_twice) = (0, new.node + 1);
        }
        occupy(&mut self.slots, new);
        Ok(())
    }

    /// Finds or makes the node whose name is `labels` (wire form, in lower case) in front of `parent`'s.
    pub(crate) fn intern(
        &mut self,
        labels: &[u8],
        parent: NodeId,
        parent_hash: u64,
    ) -> Result<(NodeId, u64), Problem> {
        let mut starts = [0u8; MAX_LABELS];
        let mut count = 0;
        let mut at = 0;
        for label in Labels(labels) {
            *starts.get_mut(count).ok_or(Problem::NameTooLong)? = at as u8;
            at += label.len();
            count += 1;
        }
        let (mut node, mut hash) = (parent, parent_hash);
        let mut end = at;
        for &start in starts[..count].iter().rev() {
            let label = &labels[usize::from(start)..end];
            hash = self.hash.child(hash, label);
            node = self.child_or_new(node, hash, label)?;
            end = usize::from(start);
        }
        Ok((node, hash))
    }

    /// The node of a whole name (wire form, in lower case), if there is one.
    pub(crate) fn find(&self, name: &[u8]) -> Option<NodeId> {
        let mut starts = [0u8; MAX_LABELS];
        let (mut count, mut end) = (0, 0);
        for label in Labels(name) {
            *starts.get_mut(count)? = end as u8;
            end += label.len();
            count += 1;
        }
        let (mut node, mut hash) = (ROOT, self.hash.root());
        for &start in starts[..count].iter().rev() {
            let label = &name[usize::from(start)..end];
            hash = self.hash.child(hash, label);
            node = self.child(node, hash, label)?;
            end = usize::from(start);
        }
        Some(node)
    }

    /// Writes the whole name of a node, in wire form, and says how long it is.
    pub(crate) fn write_name(&self, id: NodeId, into: &mut [u8; MAX_NAME]) -> usize {
        let mut length = 0;
        let mut node = self.node(id);
        while node.parent != NO_NODE {
            let label = self.label(node);
            into[length..length + label.len()].copy_from_slice(label);
            length += label.len();
            node = self.node(node.parent);
        }
        into[length] = 0;
        length + 1
    }

    /// The name of a node.
    pub(crate) fn name(&self, id: NodeId) -> Name {
        let mut wire = [0; MAX_NAME];
        let length = self.write_name(id, &mut wire);
        Name::from_wire(&wire[..length])
    }

    /// Gives back the room that growing left over.
    pub(crate) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.labels.shrink_to_fit();
        self.next = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn names_are_found_while_the_table_grows() {
        let hash = NameHash::new(7);
        let origin = "example.".parse::<Name>().unwrap();
        let mut tree = Tree::new(hash, &origin).unwrap();
        let mut known = vec![];
        for number in 0..60_000u32 {
            let label = format!("n{number}");
            let wire = [&[label.len() as u8][..], label.as_bytes()].concat();
            let (node, _) = tree.intern(&wire, tree.apex, tree.apex_hash).unwrap();
            known.push((wire, node));
            assert!(
                tree.nodes.len() * 10 <= tree.slots.len() * 7,
                "{} of {}",
                tree.nodes.len(),
                tree.slots.len()
            );
            // Those of all ages.
            for (wire, node) in known.iter().rev().step_by(1 + known.len() / 5) {
                assert_eq!(tree.intern(wire, tree.apex, tree.apex_hash).unwrap().0, *node);
            }
        }
        assert_eq!(tree.nodes.len(), known.len() + 2);
        tree.shrink();
        for (wire, node) in &known {
            let name = [wire, origin.wire()].concat();
            assert_eq!(tree.find(&name), Some(*node));
        }
        let used = tree.slots.iter().filter(|slot| slot.node != NO_NODE).count();
        assert!(used == tree.nodes.len() - 1 && tree.next.is_empty(), "{used}");
    }
}
