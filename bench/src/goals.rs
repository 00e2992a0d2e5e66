//! The numbers to reach, in one place.

/// A limit.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Told for orientation.
    Free,
}

impl Bound {
    /// Whether a value is within it.
    pub fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Free => true,
        }
    }
}

/// What is measured, and what it should come to.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// As in the table's first column.
    pub what: &'static str,
    /// Of the value, or of its ratio to the peer's.
    pub bound: Bound,
    /// What the value counts.
    pub unit: &'static str,
}

const fn goal(what: &'static str, bound: Bound, unit: &'static str) -> Goal {
    Goal { what, bound, unit }
}

/// Answers for each second of processor time, against NSD.
pub const DNS_CORE: Goal = goal("DNS answers per core", Bound::AtLeast(0.9), "x NSD");
/// The same with few of the names in the zone.
pub const DNS_CORE_MISSING: Goal =
    goal("DNS answers per core, many names missing", Bound::AtLeast(0.9), "x NSD");
/// Answers for each second, against NSD.
pub const DNS_RATE: Goal = goal("DNS answers per second", Bound::Free, "x NSD");
/// Spawn to first byte of hello, against a static glibc program.
pub const START: Goal = goal("start of hello, p50", Bound::AtMost(2.0), "x static glibc");
/// Spawn to first answer, against NSD.
pub const FIRST_ANSWER: Goal = goal("start to first DNS answer, p50", Bound::Free, "x NSD");
/// Guest instructions from the 32-bit entry to main.
pub const VM_START: Goal = goal("VM: entry to main", Bound::AtMost(20_000.0), "instructions");
/// The least memory in which hello prints.
pub const MEMORY_HELLO: Goal = goal("VM: least memory, hello", Bound::AtMost(2.0), "MB");
/// The least memory in which the DNS server answers.
pub const MEMORY_DNS: Goal = goal("VM: least memory, DNS", Bound::AtMost(4.0), "MB");
/// The size of hello's image.
pub const SIZE_HELLO: Goal = goal("image: hello", Bound::AtMost(64.0), "KB");
/// The size of the DNS server's image.
pub const SIZE_DNS: Goal = goal("image: DNS", Bound::AtMost(400.0), "KB");
/// The proportional memory of an idle DNS instance with its monitor.
pub const DENSITY: Goal = goal("PSS of an idle DNS instance and its monitor", Bound::AtMost(1.0), "MB");
/// How long each of many instances takes to start.
pub const DENSITY_START: Goal = goal("start of each, detached, p50", Bound::Free, "ms");
/// Answers of the web server for each second of processor time, a file of 1 KB in a volume, against nginx.
pub const HTTP_VOLUME_CORE: Goal =
    goal("HTTP answers per core, 1 KB of a volume", Bound::AtLeast(1.0), "x nginx");
/// Answers for each second.
pub const HTTP_VOLUME: Goal =
    goal("HTTP answers per second, 1 KB of a volume", Bound::AtLeast(1.0), "x nginx");
/// The same with the file in the image.
pub const HTTP_IMAGE_CORE: Goal =
    goal("HTTP answers per core, 1 KB of the image", Bound::AtLeast(1.0), "x nginx");
/// Answers for each second.
pub const HTTP_IMAGE: Goal =
    goal("HTTP answers per second, 1 KB of the image", Bound::AtLeast(1.0), "x nginx");
