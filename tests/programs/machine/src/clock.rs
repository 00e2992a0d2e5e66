//! The vDSO: its functions are found as a C library finds them, and tell the same time as the platform.

use crate::thread::{PAGE, map, run, start};
use kernlet_platform::program::{self, Backing, Context, Exit, Protection};
use kernlet_platform::{clock, event};

const AT: usize = 0x1000_0000;
const SECOND: u64 = 1_000_000_000;

fn number(at: usize, bytes: usize) -> u64 {
    let mut number = [0; 8];
    program::read(at, &mut number[..bytes]).expect("the vDSO is mapped there");
    u64::from_le_bytes(number)
}

/// The function of that name in the ELF file at `base`.
fn find(base: usize, name: &str) -> usize {
    assert_eq!(number(base, 4), 0x464c_457f);
    let (headers, count) = (base + number(base + 32, 8) as usize, number(base + 56, 2) as usize);
    let dynamic = (0..count).map(|n| headers + 56 * n).find(|&h| number(h, 4) == 2).expect("PT_DYNAMIC");
    let dynamic = base + number(dynamic + 16, 8) as usize;
    let tag = |tag| {
        let entry = (0..32).map(|n| dynamic + 16 * n).find(|&e| number(e, 8) == tag);
        base + number(entry.expect("the tag") + 8, 8) as usize
    };
    let (hash, names, symbols) = (tag(4), tag(5), tag(6));
    let is = |symbol: usize| {
        let at = names + number(symbol, 4) as usize;
        name.bytes().chain([0]).enumerate().all(|(n, byte)| number(at + n, 1) == u64::from(byte))
    };
    let symbol = (0..number(hash + 4, 4) as usize).map(|n| symbols + 24 * n).find(|&symbol| is(symbol));
    base + number(symbol.expect("the name") + 8, 8) as usize
}

/// Calls a function; the system call that it makes is told as its number.
fn call(function: usize, first: usize, second: usize) -> Result<u64, u64> {
    let mut thread: Context = start(0, crate::code::function(), first);
    thread.registers.rsi = second as u64;
    thread.registers.rbx = function as u64;
    assert_eq!(run(&mut thread), Exit::Call);
    let r = thread.registers;
    if r.r12 == 1 { Ok(r.r13) } else { Err(r.rax) }
}

fn pair() -> (u64, u64) {
    let mut bytes = [0; 16];
    program::read(AT, &mut bytes).expect("mapped");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    (word(0), word(8))
}

pub fn vdso() {
    let base = AT + (1 << 30);
    program::map(base..base + PAGE, Protection::READ_EXECUTE, Backing::Vdso).expect("there is one");
    map(AT, PAGE, Protection::READ_WRITE);
    let [gettime, gettimeofday, time, getcpu, getres] =
        ["clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres"]
            .map(|name| find(base, &kernlet::alloc::format!("__vdso_{name}")));
    // While the rate of the counter is measured, all of them ask.
    let until = clock::monotonic() + SECOND / 2;
    let mut asked = 0;
    while clock::monotonic() < until {
        event::wait(Some(clock::monotonic() + SECOND / 100), &mut |_| {});
        asked += usize::from(call(gettime, 1, AT).is_err());
    }
    kernlet::println!("asked {asked} times");
    for (id, wall) in [(0, true), (1, false), (4, false), (5, true), (6, false), (7, false)] {
        let now = || if wall { clock::wall() } else { clock::monotonic() };
        let before = now();
        assert_eq!(call(gettime, id, AT), Ok(0), "clock {id}");
        let (seconds, nanoseconds) = pair();
        assert!(nanoseconds < SECOND);
        let told = seconds * SECOND + nanoseconds;
        assert!(before <= told && told <= now(), "clock {id}: {before} {told} {}", now());
    }
    for id in [2, 3, 8, 11, usize::MAX] {
        assert_eq!(call(gettime, id, AT), Err(228), "clock {id}");
    }
    let before = clock::wall() / 1000;
    assert_eq!(call(gettimeofday, AT, 0), Ok(0));
    let (seconds, microseconds) = pair();
    assert!(microseconds < 1_000_000);
    let told = seconds * 1_000_000 + microseconds;
    assert!(before <= told && told <= clock::wall() / 1000, "{before} {told}");
    assert_eq!(call(gettimeofday, AT, AT), Err(96));
    let before = clock::wall() / SECOND;
    let told = call(time, AT, 0).expect("no call");
    assert!(before <= told && told <= clock::wall() / SECOND);
    assert_eq!(pair().0, told);
    assert_eq!(call(time, 0, 0).map(|told| told >= before), Ok(true));
    program::write(AT, &[255; 16]).expect("mapped");
    assert_eq!(call(getcpu, AT, AT + 8), Ok(0));
    assert_eq!((pair().0 as u32, pair().1 as u32), (0, 0));
    assert_eq!(call(getcpu, 0, 0), Ok(0));
    assert_eq!(call(getres, 1, AT), Err(229));
}
