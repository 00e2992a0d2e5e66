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
pub const DNS_CORE: Goal = goal("DNS answers per core", Bound::AtLeast(1.0), "x NSD");
/// The same, against Knot.
pub const DNS_CORE_KNOT: Goal = goal("DNS answers per core, beside Knot", Bound::AtLeast(1.0), "x Knot");
/// The same with few of the names in the zone.
pub const DNS_CORE_MISSING: Goal =
    goal("DNS answers per core, many names missing", Bound::AtLeast(1.0), "x NSD");
/// The same, against Knot.
pub const DNS_CORE_MISSING_KNOT: Goal =
    goal("DNS answers per core, many names missing, beside Knot", Bound::AtLeast(1.0), "x Knot");
/// Answers for each second, against NSD.
pub const DNS_RATE: Goal = goal("DNS answers per second", Bound::Free, "x NSD");
/// Answers for each second, against Knot.
pub const DNS_RATE_KNOT: Goal = goal("DNS answers per second, beside Knot", Bound::Free, "x Knot");
/// Answers per core on a tap with the own stack, against NSD on host sockets.
pub const TAP_NSD: Goal = goal("DNS answers per core, own stack", Bound::AtLeast(1.3), "x NSD on sockets");
/// The same, against a program that only sends datagrams back on such a tap.
pub const TAP_ECHO: Goal =
    goal("DNS answers per core, own stack, of what the tap allows", Bound::AtLeast(0.9), "x echo");
/// Answers per second on a tap.
pub const TAP_RATE: Goal = goal("DNS answers per second, own stack", Bound::Free, "x NSD on sockets");
/// A signed zone asked with DO, against the figure for 1,000 names.
pub const DNS_SIGNED: Goal = goal("DNS answers per core, signed zone", Bound::AtLeast(0.85), "x unsigned");
/// A million names.
pub const DNS_MILLION: Goal =
    goal("DNS answers per core, a million names", Bound::AtLeast(0.8), "x 1,000 names");
/// Nine of ten names do not exist.
pub const DNS_MISSING: Goal =
    goal("DNS answers per core, 90 % missing", Bound::AtLeast(0.9), "x none missing");
/// Start to first answer with a million names.
pub const LOAD_TIME: Goal = goal("a million names: load time", Bound::AtMost(2.0), "x NSD");
/// Memory with a million names.
pub const LOAD_MEMORY: Goal = goal("a million names: memory", Bound::AtMost(1.0), "x NSD");
/// Spawn to first byte of hello, against a static glibc program.
pub const START: Goal = goal("start of hello, p50", Bound::AtMost(1.6), "x static glibc");
/// The same with a root of 300 MB.
pub const START_LARGE: Goal =
    goal("start of hello with a root of 300 MB, p50", Bound::AtMost(1.1), "x small root");
/// Spawn to first answer, against NSD.
pub const FIRST_ANSWER: Goal = goal("start to first DNS answer, p50", Bound::Free, "x NSD");
/// Spawn to first answer, against Knot.
pub const FIRST_ANSWER_KNOT: Goal =
    goal("start to first DNS answer beside Knot, p50", Bound::AtMost(1.0 / 6.0), "x Knot");
/// Guest instructions from the 32-bit entry to main.
pub const VM_START: Goal = goal("VM: entry to main", Bound::AtMost(20_000.0), "instructions");
/// Guest instructions from the 32-bit entry to the first packet sent.
pub const VM_NETWORK: Goal =
    goal("VM: entry to the first packet sent", Bound::AtMost(60_000.0), "instructions");
/// Answers per second of a VM, against NSD in a guest with Debian's kernel.
pub const GUEST_RATE: Goal =
    goal("VM: DNS answers per second", Bound::AtLeast(2.0), "x NSD in Debian's guest");
/// The same for each second of the monitor's processor time.
pub const GUEST_CORE: Goal = goal("VM: DNS answers per core", Bound::Free, "x NSD in Debian's guest");
/// Spawn to first answer.
pub const GUEST_START: Goal =
    goal("VM: start to first DNS answer, p50", Bound::AtMost(0.1), "x NSD in Debian's guest");
/// The least memory in which each answers.
pub const GUEST_MEMORY: Goal =
    goal("VM: least memory for the zone", Bound::AtMost(0.125), "x NSD in Debian's guest");
/// The least memory in which hello prints.
pub const MEMORY_HELLO: Goal = goal("VM: least memory, hello", Bound::AtMost(2.0), "MB");
/// The least memory in which the DNS server answers.
pub const MEMORY_DNS: Goal = goal("VM: least memory, DNS", Bound::AtMost(4.0), "MB");
/// The size of hello's image.
pub const SIZE_HELLO: Goal = goal("image: hello", Bound::AtMost(64.0), "KB");
/// The size of the DNS server's image.
pub const SIZE_DNS: Goal = goal("image: DNS", Bound::AtMost(500.0), "KB");
/// The size of the web server's image.
pub const SIZE_HTTP: Goal = goal("image: HTTP", Bound::AtMost(400.0), "KB");
/// The proportional memory of an idle DNS instance with its monitor.
pub const DENSITY: Goal = goal("PSS of an idle DNS instance and its monitor", Bound::AtMost(0.7), "MB");
/// How long each of many instances takes to start.
pub const DENSITY_START: Goal = goal("start of each, detached, p50", Bound::AtMost(3.0), "ms");
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
/// Spawn to first byte of a prebuilt image, against the program itself.
pub const LINUX_START_STATIC: Goal =
    goal("Linux: start of a static C hello, p50", Bound::AtMost(3.0), "x native");
/// A dynamic one.
pub const LINUX_START_DYNAMIC: Goal =
    goal("Linux: start of a dynamic C hello, p50", Bound::AtMost(3.0), "x native");
/// Python printing.
pub const LINUX_START_PYTHON: Goal = goal("Linux: start of Python, p50", Bound::AtMost(1.3), "x native");
/// A system call that is answered on the way in.
pub const LINUX_GETPPID: Goal = goal("Linux: getppid", Bound::AtMost(0.1), "x native");
/// One that is handled.
pub const LINUX_UNAME: Goal = goal("Linux: uname", Bound::Free, "x native");
/// redis under redis-benchmark.
pub const LINUX_REDIS_GET: Goal = goal("Linux: redis GET", Bound::AtLeast(0.9), "x native");
/// The same, writing.
pub const LINUX_REDIS_SET: Goal = goal("Linux: redis SET", Bound::AtLeast(0.9), "x native");
/// nginx under wrk.
pub const LINUX_NGINX: Goal = goal("Linux: nginx, 1 KB", Bound::AtLeast(0.9), "x native");
/// memcached with 50 connections.
pub const LINUX_MEMCACHED: Goal = goal("Linux: memcached get", Bound::AtLeast(0.9), "x native");
/// A loop in Python.
pub const LINUX_LOOP_PYTHON: Goal = goal("Linux: a loop in Python", Bound::AtLeast(0.98), "x native");
/// A key derived by openssl.
pub const LINUX_LOOP_OPENSSL: Goal = goal("Linux: PBKDF2 by openssl", Bound::AtLeast(0.98), "x native");
/// A query in memory.
pub const LINUX_LOOP_SQLITE: Goal = goal("Linux: a query by sqlite3", Bound::AtLeast(0.98), "x native");
/// Resident memory of a waiting server, beyond native.
pub const LINUX_RESIDENT_REDIS: Goal =
    goal("Linux: resident memory of redis beyond native", Bound::AtMost(1.0), "MB");
/// The same.
pub const LINUX_RESIDENT_NGINX: Goal =
    goal("Linux: resident memory of nginx beyond native", Bound::AtMost(1.0), "MB");
/// The same.
pub const LINUX_RESIDENT_PYTHON: Goal =
    goal("Linux: resident memory of Python beyond native", Bound::AtMost(1.0), "MB");
/// The least memory of a VM in which a static hello prints, beyond its image.
pub const LINUX_VM_HELLO: Goal =
    goal("Linux: VM: least memory, static C hello, beyond its image", Bound::AtMost(4.0), "MB");
/// The least memory of a VM in which redis answers, beyond what it has of its files in memory.
pub const LINUX_VM_REDIS: Goal =
    goal("Linux: VM: least memory, redis, beyond its files", Bound::AtMost(12.0), "MB");
/// The same of nginx.
pub const LINUX_VM_NGINX: Goal =
    goal("Linux: VM: least memory, nginx, beyond its files", Bound::AtMost(12.0), "MB");
/// The size of the library OS with the Linux layer.
pub const LINUX_SIZE: Goal = goal("Linux: the library OS", Bound::AtMost(800.0), "KB");
