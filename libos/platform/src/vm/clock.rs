//! Clocks and the timer.
//!
//! Best is the hypervisor's own clock (KVM). Else it is the time stamp counter, whose rate CPUID may tell; where
//! it does not (QEMU without KVM), the APIC timer, which hypervisors run at 1 GHz, measures it on the side
//! during the first quarter of a second, in which it is itself the clock. Nothing ever spins to measure.

use super::apic::{self, Count};
use super::port::{cpuid, rdtsc};
use super::single::Single;
use super::{kvmclock, rtc, start};
use core::num::NonZero;
use core::sync::atomic::{AtomicU64, Ordering};

/// How long the counter's rate is measured: 250 ms against a reading error below 1 us.
const MEASURE: u64 = 250_000_000;
/// While measuring, the timer runs periodically, so keep it from striking all the time.
const SHORTEST: u64 = 20_000;
/// Steps of 128 ns last for nine minutes.
const COARSE: u32 = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Unknown,
    Kvm,
    /// The counter, with a rate that is known.
    Counter,
    /// The APIC timer, measuring the counter.
    Measuring,
}

struct Clock {
    source: Source,
    /// At `base_tsc` the time was `base_ns`; a tick lasts `rate` / 2^32 ns.
    base_tsc: u64,
    base_ns: u64,
    rate: u64,
    /// While measuring: the counter at the start, and the timer's present round: when it was started, its length
    /// in steps of 2^`shift` ns.
    start_tsc: u64,
    round: u64,
    initial: u32,
    shift: u32,
    /// The timer can strike at a value of the counter.
    deadlines: bool,
    /// When the timer will strike, in any mode but while measuring; 0: it will not.
    armed: u64,
    /// What to add for the wall clock, when known.
    wall: Option<u64>,
}

static CLOCK: Single<Clock> = Single::new(Clock {
    source: Source::Unknown,
    base_tsc: 0,
    base_ns: 0,
    rate: 0,
    start_tsc: 0,
    round: 0,
    initial: 0,
    shift: 0,
    deadlines: false,
    armed: 0,
    wall: None,
});

impl Clock {
    fn find(&mut self) {
        apic::init();
        self.deadlines = apic::has_deadline();
        self.source = if kvmclock::start() {
            Source::Kvm
        } else if let Some(hertz) = counter_rate() {
            self.base_tsc = start::entry_tsc();
            self.rate = ((1_000_000_000u128 << 32) / NonZero::<u128>::from(hertz)) as u64;
            Source::Counter
        } else {
            self.start_round(0, Count::Silent, u32::MAX, COARSE);
            self.start_tsc = apic::sample().1;
            self.base_tsc = self.start_tsc;
            Source::Measuring
        };
    }

    fn start_round(&mut self, now: u64, count: Count, initial: u32, shift: u32) {
        (self.round, self.initial, self.shift) = (now, initial, shift);
        apic::start_timer(count, initial, shift);
    }

    fn by_counter(&self, tsc: u64) -> u64 {
        let ticks = u128::from(tsc.saturating_sub(self.base_tsc));
        self.base_ns + ((ticks * u128::from(self.rate)) >> 32) as u64
    }

    /// What the counter will be at the time `at`.
    fn counter_at(&self, at: u64) -> Option<u64> {
        if self.source == Source::Kvm {
            return kvmclock::counter_at(at);
        }
        let ticks = (u128::from(at.saturating_sub(self.base_ns)) << 32).checked_div(self.rate.into())?;
        // One more, as divisions round down: never wake up early.
        Some(self.base_tsc.saturating_add(u64::try_from(ticks).ok()?).saturating_add(1))
    }

    /// The time by the APIC timer, and a better measure of the counter's rate.
    fn measure(&mut self) -> u64 {
        let (count, tsc) = apic::sample();
        let phase = u64::from(self.initial.saturating_sub(count)) << self.shift;
        let length = (u64::from(self.initial) + 1) << self.shift;
        // How often the timer went round: the counter knows well enough.
        let rough = if self.rate == 0 { 0 } else { self.by_counter(tsc).saturating_sub(self.round) };
        let rounds = rough.saturating_sub(phase).saturating_add(length / 2).checked_div(length).unwrap_or(0);
        let now = self.round + phase + rounds * length;
        let ticks = tsc.saturating_sub(self.start_tsc);
        if now > 0 && ticks > 0 {
            self.rate = ((u128::from(now) << 32) / u128::from(ticks)) as u64;
        }
        // The last time that was told may be a little ahead.
        self.base_ns = self.base_ns.max(now);
        self.base_tsc = tsc;
        now
    }

    fn now(&mut self) -> u64 {
        loop {
            match self.source {
                Source::Unknown => self.find(),
                Source::Kvm => {
                    // The hypervisor may correct its clock a little, also backward.
                    self.base_ns = self.base_ns.max(kvmclock::now());
                    return self.base_ns;
                }
                Source::Counter => return self.by_counter(rdtsc()),
                Source::Measuring => {
                    if self.measure() > MEASURE {
                        self.source = Source::Counter;
                        apic::start_timer(Count::Once, 0, 0);
                    }
                    return self.base_ns;
                }
            }
        }
    }
}

/// The counter's rate in Hz, as CPUID tells it.
fn counter_rate() -> Option<NonZero<u64>> {
    let [most, ..] = cpuid(0, 0);
    if most >= 0x15 {
        let [denominator, numerator, crystal, _] = cpuid(0x15, 0).map(u64::from);
        if let Some(rate) = (crystal * numerator).checked_div(denominator).and_then(NonZero::new) {
            return Some(rate);
        }
    }
    // The hypervisor's leaf for it, which VMware, KVM and others have.
    if cpuid(1, 0)[2] & 1 << 31 != 0 && cpuid(0x4000_0000, 0)[0] >= 0x4000_0010 {
        let kilohertz = u64::from(cpuid(0x4000_0010, 0)[0]);
        return NonZero::new(kilohertz * 1000);
    }
    None
}

/// See [`crate::clock::monotonic`].
pub fn monotonic() -> u64 {
    CLOCK.lock().now()
}

/// See [`crate::clock::wall`].
pub fn wall() -> u64 {
    let mut clock = CLOCK.lock();
    let now = clock.now();
    if let Some(offset) = clock.wall {
        return offset.saturating_add(now);
    }
    let kvm = clock.source == Source::Kvm;
    let offset = if let Some(at_start) = crate::boot::blob().wall_clock() {
        let entry = start::entry_tsc();
        match clock.source {
            Source::Kvm => at_start.saturating_sub(kvmclock::at(entry)),
            // The clock began when it was first used.
            _ => {
                let before =
                    (u128::from(clock.start_tsc.saturating_sub(entry)) * u128::from(clock.rate)) >> 32;
                at_start.saturating_add(before as u64)
            }
        }
    } else if let Some(wall) = kvm.then(kvmclock::wall).flatten() {
        wall
    } else {
        rtc::read().saturating_sub(now)
    };
    // While measuring it may still become more exact.
    if clock.source != Source::Measuring || crate::boot::blob().wall_clock().is_none() {
        clock.wall = Some(offset);
    }
    offset.saturating_add(now)
}

/// Lets the timer strike at `deadline`, or earlier when that is far away or never.
pub fn arm(deadline: Option<u64>) {
    let mut clock = CLOCK.lock();
    let now = clock.now();
    if clock.source == Source::Measuring {
        let left = deadline.unwrap_or(u64::MAX).min(MEASURE + SHORTEST).saturating_sub(now).max(SHORTEST);
        let steps = u32::try_from(left).unwrap_or(u32::MAX);
        clock.start_round(now, Count::Periodic, steps, 0);
        return;
    }
    let Some(deadline) = deadline else { return };
    // An earlier strike does as well: there will be another look then. Most deadlines are moved before they
    // are met, so this saves most accesses to the timer.
    if clock.armed > now && clock.armed <= deadline {
        return;
    }
    if clock.deadlines
        && let Some(tsc) = clock.counter_at(deadline)
    {
        clock.armed = deadline;
        apic::start_deadline(tsc);
        return;
    }
    let left = deadline.saturating_sub(now).max(1);
    let shift = if left < u64::from(u32::MAX) { 0 } else { COARSE };
    let steps = u32::try_from((left >> shift) + 1).unwrap_or(u32::MAX);
    clock.armed = now + (u64::from(steps) << shift);
    apic::start_timer(Count::Once, steps, shift);
}

/// The timer has struck.
pub fn struck() {
    CLOCK.lock().armed = 0;
}

/// Lets the timer strike within `nanoseconds`, unless it will anyway. Cheap: this is asked whenever a program runs.
pub fn tick(nanoseconds: u32) {
    let mut clock = CLOCK.lock();
    if clock.source == Source::Measuring {
        if clock.shift == COARSE || clock.initial > nanoseconds {
            let now = clock.measure();
            clock.start_round(now, Count::Periodic, nanoseconds, 0);
        }
    } else if clock.armed == 0 || clock.armed > TICK.load(Ordering::Relaxed) {
        let at = clock.now() + u64::from(nanoseconds);
        TICK.store(at, Ordering::Relaxed);
        drop(clock);
        arm(Some(at));
    }
}

/// Lets the timer strike by `at`, nanoseconds, unless it will anyway; while the counter is measured, it strikes often enough.
pub fn strike_by(at: u64) {
    let clock = CLOCK.lock();
    let sooner = clock.armed == 0 || clock.armed > at;
    let measuring = clock.source == Source::Measuring;
    drop(clock);
    if sooner && !measuring {
        arm(Some(at));
    }
}

/// How the counter tells the time, once that does not change any more: its value at a time in nanoseconds, and how long a
/// tick lasts, in 2^-32 ns.
pub fn settled() -> Option<(u64, u64, u64)> {
    let clock = CLOCK.lock();
    (clock.source == Source::Counter).then_some((clock.base_tsc, clock.base_ns, clock.rate))
}

/// What the wall clock is ahead of the other one.
pub fn wall_offset() -> u64 {
    wall();
    CLOCK.lock().wall.unwrap_or(0)
}

/// The latest time at which a program's turn ends, as it was last decided.
static TICK: AtomicU64 = AtomicU64::new(0);

/// The timer is not needed any more. (A single strike does no harm; the periodic ones of measuring would.)
pub fn disarm() {
    let mut clock = CLOCK.lock();
    if clock.source == Source::Measuring {
        let now = clock.measure();
        clock.start_round(now, Count::Silent, u32::MAX, COARSE);
    }
}
