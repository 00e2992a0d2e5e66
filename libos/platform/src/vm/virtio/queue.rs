//! A split virtqueue (virtio 1.2, 2.7). What the device writes is not trusted: indexes are checked against what
//! is in flight, and a device that breaks the rules is heard no more.

use crate::vm::dma::Dma;
use core::sync::atomic::{Ordering, fence};

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
/// In the available ring: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// In the used ring: the device wants no notifications.
const NO_NOTIFY: u16 = 1;
/// Where a legacy device expects the used ring: on the next page.
const LEGACY_ALIGN: usize = 4096;

/// One piece of a request.
#[derive(Clone, Copy)]
pub struct Part {
    /// Its physical address.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
    /// The device writes it (else it reads it).
    pub writable: bool,
}

/// How a device is told that there is something in a queue: a value written to a register.
pub struct Bell {
    pub register: usize,
    pub value: u16,
    /// The register has 32 bits, not 16.
    pub wide: bool,
}

/// A queue. Its users choose descriptors themselves: a request lies in descriptors that follow each other.
pub struct Queue {
    memory: Dma,
    size: u16,
    available: usize,
    used: usize,
    event_index: bool,
    bell: Bell,
    /// How many requests were ever posted, told to the device, and taken back.
    posted: u16,
    told: u16,
    taken: u16,
    in_flight: u128,
    broken: bool,
}

impl Queue {
    /// The largest queue, for which `in_flight` has bits.
    pub const MAX_SIZE: u16 = 128;

    /// The size of a queue of which the driver wants `size` descriptors, and the device takes `most`.
    pub fn fitting(most: u16, size: u16) -> Option<u16> {
        // A device with an odd idea of a size gets a power of 2 below it.
        let size = if most < size { (most / 2 + 1).next_power_of_two() } else { size };
        (most != 0).then_some(size)
    }

    pub fn new(size: u16, legacy: bool, event_index: bool, bell: Bell) -> Option<Self> {
        if size > Self::MAX_SIZE || !size.is_power_of_two() {
            return None;
        }
        let entries = usize::from(size);
        let available = entries * 16;
        let available_end = available + 6 + entries * 2;
        let used = available_end.next_multiple_of(if legacy { LEGACY_ALIGN } else { 4 });
        let memory = Dma::new(used + 6 + entries * 8)?;
        Some(Self {
            memory,
            size,
            available,
            used,
            event_index,
            bell,
            posted: 0,
            told: 0,
            taken: 0,
            in_flight: 0,
            broken: false,
        })
    }

    /// Physical addresses of the descriptors, the available ring and the used ring.
    pub fn addresses(&self) -> [u64; 3] {
        [0, self.available, self.used].map(|offset| self.memory.physical(offset))
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.size
    }

    fn read16(&self, offset: usize) -> u16 {
        // SAFETY: `pointer` checks the bounds, and all offsets of 16-bit fields are even.
        unsafe { self.memory.pointer(offset, 2).cast::<u16>().read_volatile() }
    }

    fn read32(&self, offset: usize) -> u32 {
        // SAFETY: as above; offsets of 32-bit fields are multiples of 4.
        unsafe { self.memory.pointer(offset, 4).cast::<u32>().read_volatile() }
    }

    fn write16(&self, offset: usize, value: u16) {
        // SAFETY: as above.
        unsafe { self.memory.pointer(offset, 2).cast::<u16>().write_volatile(value) }
    }

    /// Posts a request that lies in the descriptors from `head` on, which are not in flight. The device learns of
    /// it at the next [`Queue::kick`]. The memory of `parts` is the device's until `head` comes back.
    pub fn post(&mut self, head: u16, parts: &[Part]) {
        let free =
            usize::from(head) + parts.len() <= usize::from(self.size) && self.in_flight >> head & 1 == 0;
        assert!(free, "a descriptor in use");
        for (i, part) in parts.iter().enumerate() {
            let index = head + i as u16;
            let last = i + 1 == parts.len();
            let flags = if part.writable { WRITABLE } else { 0 } | if last { 0 } else { NEXT };
            let words = [
                part.address,
                u64::from(part.length)
                    | u64::from(flags) << 32
                    | u64::from(if last { 0 } else { index + 1 }) << 48,
            ];
            // SAFETY: descriptor `index` lies in bounds (checked above) and is 16-byte aligned.
            unsafe {
                self.memory.pointer(usize::from(index) * 16, 16).cast::<[u64; 2]>().write_volatile(words)
            };
        }
        self.in_flight |= 1 << head;
        let slot = usize::from(self.posted & (self.size - 1));
        self.write16(self.available + 4 + slot * 2, head);
        self.posted = self.posted.wrapping_add(1);
    }

    /// How many requests were posted that the device was not told of.
    pub fn untold(&self) -> u16 {
        self.posted.wrapping_sub(self.told)
    }

    /// Shows the device all that was posted, and wakes it unless it asked not to be.
    pub fn kick(&mut self) {
        let (old, new) = (self.told, self.posted);
        if old == new {
            return;
        }
        fence(Ordering::Release);
        self.write16(self.available + 2, new);
        self.told = new;
        fence(Ordering::SeqCst);
        let wake = if self.event_index {
            let event = self.read16(self.used + 4 + usize::from(self.size) * 8);
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.read16(self.used) & NO_NOTIFY == 0
        };
        if wake && !self.broken {
            self.ring();
        }
    }

    fn ring(&self) {
        // SAFETY: the transport gave the address of the queue's notification register.
        unsafe {
            if self.bell.wide {
                (self.bell.register as *mut u32).write_volatile(self.bell.value.into());
            } else {
                (self.bell.register as *mut u16).write_volatile(self.bell.value);
            }
        }
    }

    /// Takes back the next request that the device is done with: its head, and how many bytes the device says it
    /// wrote (check that against the buffer).
    pub fn pop(&mut self) -> Option<(u16, u32)> {
        #[cfg(not(kernlet_image))]
        super::model::turn();
        let done = self.read16(self.used + 2).wrapping_sub(self.taken);
        if done == 0 || self.broken {
            return None;
        }
        fence(Ordering::Acquire);
        let at = self.used + 4 + usize::from(self.taken & (self.size - 1)) * 8;
        let (head, length) = (self.read32(at), self.read32(at + 4));
        if done > self.size || head >= u32::from(self.size) || self.in_flight >> head & 1 == 0 {
            self.broken = true;
            return None;
        }
        self.in_flight &= !(1 << head);
        self.taken = self.taken.wrapping_add(1);
        Some((head as u16, length))
    }

    /// Asks for an interrupt when the device is done with the next request, or for none. With the event index,
    /// asking holds for one interrupt. What came before is not reported: look once more behind this.
    pub fn want_interrupt(&mut self, wanted: bool) {
        if self.event_index {
            // 'None' is a point that the device has just passed.
            let event = if wanted { self.taken } else { self.taken.wrapping_sub(1) };
            self.write16(self.available + 4 + usize::from(self.size) * 2, event);
        } else {
            self.write16(self.available, if wanted { 0 } else { NO_INTERRUPT });
        }
        fence(Ordering::SeqCst);
    }

    /// Nothing will come from this device any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u16 = 8;

    fn queue(event_index: bool, register: &mut u32) -> Queue {
        let bell = Bell { register: core::ptr::from_mut(register) as usize, value: 1, wide: true };
        Queue::new(SIZE, false, event_index, bell).unwrap()
    }

    impl Queue {
        /// What a device does: writes to the used ring.
        fn device_writes(&self, slot: u16, head: u32, length: u32, index: u16) {
            let at = self.used + 4 + usize::from(slot & (SIZE - 1)) * 8;
            self.write16(at, head as u16);
            self.write16(at + 2, (head >> 16) as u16);
            self.write16(at + 4, length as u16);
            self.write16(at + 6, (length >> 16) as u16);
            self.write16(self.used + 2, index);
        }

        fn device_wants_event(&self, at: u16) {
            self.write16(self.used + 4 + usize::from(SIZE) * 8, at);
        }
    }

    const PART: Part = Part { address: 4096, length: 64, writable: true };

    #[test]
    fn a_device_that_waits_is_woken_every_time_also_when_indexes_wrap() {
        let mut register = 0;
        let mut queue = queue(true, &mut register);
        for round in 0..70_000u32 {
            let index = round as u16;
            queue.device_wants_event(index);
            queue.post(0, &[PART]);
            queue.kick();
            assert_eq!(core::mem::take(&mut register), 1, "round {round}");
            queue.device_writes(index, 0, 64, index.wrapping_add(1));
            assert_eq!(queue.pop(), Some((0, 64)));
            assert_eq!(queue.pop(), None);
        }
    }

    #[test]
    fn a_device_that_is_awake_is_left_alone() {
        let mut register = 0;
        let mut queue = queue(true, &mut register);
        queue.device_wants_event(100);
        queue.post(0, &[PART]);
        queue.kick();
        assert_eq!(register, 0);
    }

    proptest! {
        #[test]
        fn a_hostile_device_returns_each_request_at_most_once(
            writes in proptest::collection::vec((any::<u16>(), 0u32..12, any::<u32>(), any::<u16>()), 1..40),
        ) {
            let mut register = 0;
            let mut queue = queue(false, &mut register);
            let mut in_flight = [false; SIZE as usize];
            for (slot, head, length, index) in writes {
                for free in 0..SIZE {
                    if !core::mem::replace(&mut in_flight[usize::from(free)], true) {
                        queue.post(free, &[PART]);
                    }
                }
                queue.kick();
                queue.device_writes(slot, head, length, index % 16);
                for _ in 0..20 {
                    let Some((head, _)) = queue.pop() else { break };
                    prop_assert!(core::mem::replace(&mut in_flight[usize::from(head)], false));
                }
            }
        }
    }
}
