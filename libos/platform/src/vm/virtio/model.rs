//! A virtio device for tests: what a [`Behaviour`] says, done well or badly as a script says. It gets its turn whenever
//! a driver looks at a queue and whenever the vCPU halts, so that a test's course is always the same.

use super::super::{entropy, event, nic, p9, ports};
use super::queue::Bell;
use super::{Queue, feature};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once};

/// A vCPU that halts so often without anything coming of it halts for ever.
const FOREVER: u32 = 10_000;

/// What an honest device does.
pub trait Behaviour {
    /// Answers a request: `asked` is what the driver wrote, `room` how much the device may write. `None`: not now.
    fn serve(&mut self, queue: u16, asked: &[u8], room: usize) -> Option<Vec<u8>>;
}

/// One device of a machine.
pub struct Offer {
    pub kind: u16,
    pub legacy: bool,
    pub features: u64,
    pub config: Vec<u8>,
    pub queue_size: u16,
    pub behaviour: Box<dyn Behaviour>,
}

/// What a device does when its script has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// As the virtio specification says.
    Honest,
    /// Nothing ever again.
    Silent,
}

/// A queue that a driver told a device of.
struct Seen {
    offer: usize,
    index: u16,
    size: u16,
    /// Descriptors, available ring, used ring.
    addresses: [usize; 3],
    /// How much of the available ring was looked at.
    looked: u16,
    used: u16,
    /// Heads that came and were not given back.
    pending: Vec<u16>,
    last: u16,
}

struct Machine {
    offers: Vec<Offer>,
    queues: Vec<Seen>,
    script: Vec<u8>,
    at: usize,
    then: Then,
    halts: u32,
}

std::thread_local! {
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
    static LENT: RefCell<BTreeMap<usize, Vec<u128>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Drivers keep their state in statics, as there is one vCPU: one test at a time.
static ONE: Mutex<()> = Mutex::new(());
static BELL: AtomicU32 = AtomicU32::new(0);

/// The machine is there until this is dropped.
pub struct Powered(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

/// Starts a machine with these devices on this thread, whose drivers know of none yet.
pub fn power_on(offers: Vec<Offer>, script: &[u8], then: Then) -> Powered {
    // Memory enough for frames of every size.
    static MEMORY: Once = Once::new();
    MEMORY.call_once(|| super::super::frames::RAM.lock().add(1 << 20, 64 << 20));
    let guard = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let script = script.to_vec();
    MACHINE.set(Some(Machine { offers, queues: Vec::new(), script, at: 0, then, halts: 0 }));
    Powered(guard)
}

impl Drop for Powered {
    fn drop(&mut self) {
        MACHINE.set(None);
        nic::reset();
        p9::reset();
        entropy::reset();
        ports::reset();
        LENT.with_borrow_mut(BTreeMap::clear);
    }
}

/// Memory that drivers may tell a device of; like that of a real machine it is never given back, until power off.
pub fn lend(length: usize) -> usize {
    let memory = alloc::vec![0; length.div_ceil(16)];
    let address = memory.as_ptr().addr();
    LENT.with_borrow_mut(|lent| lent.insert(address, memory));
    address
}

fn is_lent(address: usize, length: usize) -> bool {
    LENT.with_borrow(|lent| {
        lent.range(..=address)
            .next_back()
            .is_some_and(|(start, whole)| address + length <= start + whole.len() * 16)
    })
}

/// Devices do something.
pub fn turn() {
    MACHINE.with(|machine| {
        if let Ok(mut machine) = machine.try_borrow_mut()
            && let Some(machine) = &mut *machine
        {
            (0..machine.queues.len()).for_each(|queue| machine.turn(queue));
        }
    });
}

/// The vCPU waits for devices.
pub fn halted() {
    turn();
    MACHINE.with_borrow_mut(|machine| {
        let machine = machine.as_mut().expect("no device will ever wake it");
        machine.halts += 1;
        assert!(machine.halts < FOREVER, "the vCPU halts for ever");
    });
}

impl Machine {
    fn next(&mut self) -> Option<u8> {
        let byte = self.script.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn word(&mut self) -> u32 {
        (0..4).fold(0, |all, _| all << 8 | u32::from(self.next().unwrap_or(0)))
    }

    fn turn(&mut self, queue: usize) {
        self.queues[queue].look();
        let Some(what) = self.next() else {
            if self.then == Then::Honest {
                while self.complete(queue, 0, None) {}
            }
            return;
        };
        match what % 16 {
            0..8 => drop(self.complete(queue, 0, None)),
            // The latest first.
            8 => drop(self.complete(queue, self.queues[queue].pending.len().saturating_sub(1), None)),
            9 | 10 => {
                let length = self.word();
                self.complete(queue, 0, Some(length));
            }
            // A request that never was, or one given back before.
            11 => {
                let head = self.word();
                self.queues[queue].give_back(head, 4);
            }
            12 => {
                let last = self.queues[queue].last;
                self.queues[queue].give_back(last.into(), 4);
            }
            // An index from nowhere.
            13 => {
                // Not so far that it seems to come back: a host that takes nothing is waited for, as for a full pipe.
                let jump = 1 + self.word() as u16 % 64;
                self.queues[queue].used = self.queues[queue].used.wrapping_add(jump);
                self.queues[queue].publish();
            }
            _ => {}
        }
    }

    /// Serves a pending request; tells whether there was one that could be.
    fn complete(&mut self, queue: usize, which: usize, lie: Option<u32>) -> bool {
        let seen = &mut self.queues[queue];
        let Some(&head) = seen.pending.get(which) else { return false };
        let (asked, room) = seen.request(head);
        let length: usize = room.iter().map(|(_, length)| length).sum();
        let behaviour = &mut self.offers[seen.offer].behaviour;
        let Some(answer) = behaviour.serve(seen.index, &asked, length) else { return false };
        let mut rest = &answer[..answer.len().min(length)];
        let written = rest.len() as u32;
        for (address, length) in room {
            let (piece, tail) = rest.split_at(rest.len().min(length));
            // SAFETY: `request` checked that the driver lent this memory, which no reference leads to while it is the
            // device's.
            unsafe { core::ptr::copy_nonoverlapping(piece.as_ptr(), address as *mut u8, piece.len()) };
            rest = tail;
        }
        seen.pending.remove(which);
        seen.last = head;
        seen.give_back(head.into(), lie.unwrap_or(written));
        self.halts = 0;
        true
    }
}

impl Seen {
    fn read16(&self, area: usize, offset: usize) -> u16 {
        // SAFETY: the addresses lead into memory that was lent, which lives as long as the machine.
        unsafe { ((self.addresses[area] + offset) as *const u16).read_volatile() }
    }

    fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ((self.addresses[2] + offset) as *mut u32).write_volatile(value) }
    }

    fn publish(&self) {
        // SAFETY: as above.
        unsafe { ((self.addresses[2] + 2) as *mut u16).write_volatile(self.used) }
    }

    /// Takes in what the driver made available.
    fn look(&mut self) {
        let index = self.read16(1, 2);
        if index.wrapping_sub(self.looked) > self.size {
            // It gave back what it was not told of yet, and the driver wrote over it.
            self.looked = index.wrapping_sub(self.size);
        }
        while self.looked != index {
            let head = self.read16(1, 4 + usize::from(self.looked & (self.size - 1)) * 2);
            // A head that was given back behind the device's own back may come again.
            if !self.pending.contains(&head) {
                self.pending.push(head);
            }
            self.looked = self.looked.wrapping_add(1);
        }
    }

    /// What a request says, and where there is room for the answer.
    fn request(&self, head: u16) -> (Vec<u8>, Vec<(usize, usize)>) {
        let (mut asked, mut room) = (Vec::new(), Vec::new());
        let mut index = head;
        for _ in 0..self.size {
            assert!(index < self.size, "a descriptor beyond the table");
            let at = (self.addresses[0] + usize::from(index) * 16) as *const [u64; 2];
            // SAFETY: as above; descriptor `index` lies in the table.
            let [address, rest] = unsafe { at.read_volatile() };
            let (length, flags, next) = (rest as u32 as usize, rest >> 32 & 3, (rest >> 48) as u16);
            assert!(length > 0 && is_lent(address as usize, length), "memory that was not lent");
            if flags & 2 != 0 {
                room.push((address as usize, length));
            } else {
                assert!(room.is_empty(), "what a device reads comes first (virtio 1.2, 2.7.4.2)");
                // SAFETY: lent, as checked above, and the device's while the request is.
                asked.extend_from_slice(unsafe { core::slice::from_raw_parts(address as *const u8, length) });
            }
            if flags & 1 == 0 {
                return (asked, room);
            }
            index = next;
        }
        panic!("the descriptors form a circle");
    }

    fn give_back(&mut self, head: u32, length: u32) {
        let at = 4 + usize::from(self.used & (self.size - 1)) * 8;
        self.write32(at, head);
        self.write32(at + 4, length);
        self.used = self.used.wrapping_add(1);
        self.publish();
    }
}

/// The driver's view of a device, as the transports give it.
pub struct Device {
    offer: usize,
    features: u64,
    interrupts: bool,
}

fn with<R>(f: impl FnOnce(&mut Machine) -> R) -> Option<R> {
    MACHINE.with_borrow_mut(|machine| machine.as_mut().map(f))
}

impl Device {
    pub fn open(kind: u16, nth: usize, wanted: u64, interrupts: bool) -> Option<Self> {
        Self::open_choosing(kind, nth, &|offered| offered & wanted, interrupts)
    }

    pub fn open_choosing(
        kind: u16,
        nth: usize,
        choose: &dyn Fn(u64) -> u64,
        interrupts: bool,
    ) -> Option<Self> {
        with(|machine| {
            let mut fitting = machine.offers.iter().enumerate().filter(|(_, offer)| offer.kind == kind);
            let (offer, found) = fitting.nth(nth)?;
            let offered = found.features & u64::from(u32::MAX);
            let offered = offered | if found.legacy { 0 } else { feature::VERSION_1 };
            Some(Self { offer, features: offered & (choose(offered) | feature::VERSION_1), interrupts })
        })?
    }

    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }

    pub fn line(&self) -> Option<event::Line> {
        self.interrupts.then_some(event::Line)
    }

    pub fn queue(&self, index: u16, size: u16) -> Option<Queue> {
        let (most, legacy) = with(|m| (m.offers[self.offer].queue_size, m.offers[self.offer].legacy))?;
        let size = Queue::fitting(most, size)?;
        let bell = Bell { register: BELL.as_ptr().addr(), value: 1, wide: true };
        let queue = Queue::new(size, legacy, self.has(feature::EVENT_INDEX), bell)?;
        let addresses = queue.addresses().map(|address| address as usize);
        let (pending, offer) = (Vec::new(), self.offer);
        let seen = Seen { offer, index, size, addresses, looked: 0, used: 0, pending, last: 0 };
        with(|machine| machine.queues.push(seen))?;
        Some(queue)
    }

    pub fn start(&self) {
        BELL.store(0, Ordering::Relaxed);
    }

    pub fn config(&self, offset: usize) -> u8 {
        with(|machine| machine.offers[self.offer].config.get(offset).copied().unwrap_or(0)).unwrap_or(0)
    }

    pub fn config_u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.config(offset), self.config(offset + 1)])
    }
}
