//! Faults in host calls: what [`crate::faults`] offers. No image holds this module.

use super::call::number;
use crate::Errno;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::marker::PhantomData;

/// A kind of host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "each is the system call of its name")]
pub enum Call {
    Read = number::READ,
    Write = number::WRITE,
    Writev = number::WRITEV,
    Pread = number::PREAD64,
    Pwrite = number::PWRITE64,
    Truncate = number::FTRUNCATE,
    Stat = number::FSTAT,
    Getdents = number::GETDENTS64,
    Receive = number::RECVMSG,
    ReceiveBatch = number::RECVMMSG,
    SendBatch = number::SENDMMSG,
    Accept = number::ACCEPT4,
    SetOption = number::SETSOCKOPT,
    Shutdown = number::SHUTDOWN,
    Watch = number::EPOLL_CTL,
    Wait = number::EPOLL_PWAIT2,
    Poll = number::POLL,
    Map = number::MMAP,
    Protect = number::MPROTECT,
    Advise = number::MADVISE,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and gives this error.
    Error(Errno),
    /// It does a part: fewer bytes, or fewer of a batch, but at least one.
    Short,
}

struct Plan {
    random: u64,
    share: u32,
    rules: Vec<(Call, Fault)>,
    /// All host calls, by number, and how many of them met a fault.
    made: BTreeMap<usize, u64>,
    faults: u64,
    /// What was watched: descriptor, then epoll instance, events and token.
    watched: BTreeMap<usize, (usize, [u8; 12])>,
    /// Descriptors whose users were told EAGAIN although that was not so.
    owed: Vec<usize>,
}

std::thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
}

impl Plan {
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn fault(&mut self, number: usize) -> Option<Fault> {
        let fitting = self.rules.iter().filter(|(call, _)| *call as usize == number).count();
        if fitting == 0 || self.next() % 1000 >= u64::from(self.share) {
            return None;
        }
        let which = self.next() as usize % fitting;
        self.faults += 1;
        self.rules.iter().filter(|(call, _)| *call as usize == number).nth(which).map(|(_, fault)| *fault)
    }
}

/// What happens to a host call: its arguments, or the error that it gives without being made.
pub fn before(number: usize, mut arguments: [usize; 6]) -> Result<[usize; 6], Errno> {
    let mut again = Vec::new();
    let result = PLAN.with_borrow_mut(|plan| {
        let Some(plan) = plan else { return Ok(()) };
        *plan.made.entry(number).or_default() += 1;
        match number {
            number::EPOLL_CTL => {
                // SAFETY: the caller vouches for the event that the host is about to read.
                let event = unsafe { *(arguments[3] as *const [u8; 12]) };
                plan.watched.insert(arguments[2], (arguments[0], event));
            }
            number::EPOLL_PWAIT2 => {
                let owed = core::mem::take(&mut plan.owed);
                again.extend(owed.into_iter().filter_map(|d| Some((d, *plan.watched.get(&d)?))));
            }
            number::CLOSE => drop(plan.watched.remove(&arguments[0])),
            _ => {}
        }
        match plan.fault(number) {
            None => Ok(()),
            Some(Fault::Error(error)) => {
                if error == Errno::EAGAIN {
                    plan.owed.push(arguments[0]);
                }
                Err(error)
            }
            Some(Fault::Short) => {
                // The length or count is the third argument of every call that can be cut.
                arguments[2] = 1 + plan.next() as usize % arguments[2].max(1);
                Ok(())
            }
        }
    });
    for (descriptor, (epoll, event)) in again {
        watch_again(epoll, descriptor, event);
    }
    result.map(|()| arguments)
}

/// Makes epoll report a descriptor anew if it is ready.
fn watch_again(epoll: usize, descriptor: usize, event: [u8; 12]) {
    const EPOLL_CTL_MOD: usize = 3;
    let plan = PLAN.take();
    let arguments = [epoll, EPOLL_CTL_MOD, descriptor, event.as_ptr() as usize, 0, 0];
    // SAFETY: the host reads one epoll_event of 12 bytes.
    let _ = unsafe { super::call::call(number::EPOLL_CTL, arguments) };
    PLAN.set(plan);
}

/// Faults are injected into host calls of this thread until this is dropped.
#[derive(Debug)]
pub struct Injection(PhantomData<*const ()>);

impl Injection {
    pub(crate) fn start(seed: u64, share: u32, rules: &[(Call, Fault)]) -> Self {
        let plan = Plan {
            random: seed,
            share,
            rules: rules.to_vec(),
            made: BTreeMap::new(),
            faults: 0,
            watched: BTreeMap::new(),
            owed: Vec::new(),
        };
        assert!(PLAN.replace(Some(plan)).is_none(), "faults are injected already");
        Self(PhantomData)
    }

    /// How many host calls there were.
    pub fn calls(&self) -> u64 {
        PLAN.with_borrow(|plan| plan.as_ref().map_or(0, |p| p.made.values().sum()))
    }

    /// How many there were of one kind.
    pub fn calls_of(&self, call: Call) -> u64 {
        PLAN.with_borrow(|plan| {
            plan.as_ref().and_then(|p| p.made.get(&(call as usize)).copied()).unwrap_or(0)
        })
    }

    /// How many met a fault.
    pub fn faults(&self) -> u64 {
        PLAN.with_borrow(|plan| plan.as_ref().map_or(0, |p| p.faults))
    }

    /// Changes how many of 1000 calls meet a fault.
    pub fn share(&self, share: u32) {
        PLAN.with_borrow_mut(|plan| {
            if let Some(plan) = plan {
                plan.share = share;
            }
        });
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        PLAN.set(None);
    }
}
