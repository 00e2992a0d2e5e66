//! Calls, faults, turns and registers.

use crate::thread::{CODE, PAGE, READ, map, run, start};
use crate::{code, thread};
use kernlet::alloc::boxed::Box;
use kernlet::alloc::vec::Vec;
use kernlet_platform::program::{Context, Exit, Protection, Trap};

/// Both kinds of call arrive with everything kept, and go on with what they are answered.
pub fn calls() {
    for code in [code::rewritten(), code::syscalls()] {
        let mut thread = start(0, code, 7);
        thread.registers.r12 = 12;
        thread.registers.r9 = 9;
        let stack = thread.registers.rsp;
        assert_eq!(run(&mut thread), Exit::Call);
        let r = thread.registers;
        assert_eq!((r.rax, r.rdi, r.r9, r.r12, r.rsp), (39, 7, 9, 12, stack));
        assert_eq!(r.rflags & 0x202, 0x202);
        assert!((r.rip as usize) > CODE && (r.rip as usize) < CODE + code.len());
        assert_eq!(r.rcx, r.rip);
        thread.registers.rax = 1234;
        assert_eq!(run(&mut thread), Exit::Call);
        assert_eq!(thread.registers.rbx, 1234);
        assert_eq!(thread.registers.rip as usize, CODE + code.len());
    }
}

fn trapped(code: &[u8], argument: usize) -> (Trap, Context) {
    let mut thread = start(0, code, argument);
    match run(&mut thread) {
        Exit::Trap(trap) => (trap, thread),
        other => panic!("{other:?}"),
    }
}

/// Every fault is told with where and why, at the instruction.
pub fn faults() {
    let (trap, thread) = trapped(code::load(), 8);
    assert_eq!((trap.vector, trap.address, trap.error & 0x13), (14, 8, 0));
    assert_eq!(thread.registers.rip as usize, CODE);
    let at = 0x1234_5678_9000;
    assert_eq!(trapped(code::store(), at).0, Trap { vector: 14, error: 6, address: at, beyond: false });
    // Also where only the library OS has memory.
    assert_eq!(trapped(code::load(), 0x6000_0000_0000).0.vector, 14);
    map(at, PAGE, READ);
    assert_eq!(trapped(code::store(), at).0.error & 2, 2);
    let (trap, thread) = trapped(code::jump(), at);
    assert_eq!((trap.vector, trap.address, thread.registers.rip as usize), (14, at, at));
    assert_eq!(trapped(code::jump(), 0).0.address, 0);
    assert_eq!(trapped(code::load(), 1 << 63 | 1 << 40).0.vector, 13);
    assert_eq!(trapped(code::divide(), 0).0.vector, 0);
    assert_eq!(trapped(code::invalid(), 0).0.vector, 6);
    let (trap, thread) = trapped(code::breakpoint(), 0);
    assert_eq!((trap.vector, thread.registers.rip as usize), (3, CODE + 1));
    assert_eq!(trapped(code::stepped(), 0).0.vector, 1);
    // A stack pointer that is none disturbs nobody but the program.
    let mut thread = start(0, code::syscalls(), 0);
    thread.registers.rsp = 0xdead_beef_dead_beef;
    assert_eq!(run(&mut thread), Exit::Call);
    assert_eq!(thread.registers.rsp, 0xdead_beef_dead_beef);
    thread.registers.rip = 1 << 47;
    assert!(matches!(run(&mut thread), Exit::Trap(Trap { vector: 13, .. })));
}

/// Flags that would disturb the library OS do not, and are kept.
pub fn flags() {
    let mut thread = start(0, code::backward(), 0);
    assert_eq!(run(&mut thread), Exit::Call);
    assert_eq!(thread.registers.rflags & 0x400, 0x400);
    assert_eq!(run(&mut thread), Exit::Call);
    assert_eq!(thread.registers.rbx & 0x400, 0x400);
    // A single step into the library OS.
    let mut thread = start(0, code::stepped_call(), 0);
    let mut calls = 0;
    while calls < 2 {
        match run(&mut thread) {
            Exit::Call => calls += 1,
            Exit::Trap(Trap { vector: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A thread that never calls has its turn end, again and again, and nothing of its is lost.
pub async fn turns() {
    let mut thread = start(0, code::counting(), 0);
    let (mut last, mut turns) = (0, 0);
    while turns < 50 {
        while thread.enter() != Exit::Preempted {
            panic!("the red zone was written to: {:?}", thread.registers);
        }
        assert!(thread.registers.rax >= last);
        // On a busy machine a turn may be over before it began, as long as nobody has looked at what ended it.
        turns += u32::from(thread.registers.rax > last);
        last = thread.registers.rax;
        kernlet::task::yield_now().await;
    }
    if kernlet_platform::door() == kernlet_platform::Door::Vm {
        let mut thread = start(0, code::without_interrupts(), 0);
        assert_eq!(run(&mut thread), Exit::Call);
        assert_eq!(thread.enter(), Exit::Preempted);
        // Ring 0 may halt; it goes on with the next tick.
        assert_eq!(run(&mut start(0, code::halt(), 0)), Exit::Call);
    }
}

/// Others have their turn while a thread never calls: timers go off.
pub async fn waits() {
    let sleeper = kernlet::task::spawn("sleeper", async {
        for _ in 0..10 {
            kernlet::time::sleep(kernlet::time::Duration::from_millis(10)).await;
        }
    });
    let mut thread = start(0, code::counting(), 0);
    while !sleeper.is_finished() {
        assert_eq!(thread.enter(), Exit::Preempted);
        kernlet::task::yield_now().await;
    }
}

/// Of two threads that never call, each comes on.
pub async fn shares() {
    let thread = |number| async move {
        let mut thread = start(number, code::counting(), 0);
        let (mut last, mut turns) = (0, 0);
        while turns < 5 {
            assert_eq!(thread.enter(), Exit::Preempted);
            turns += u32::from(thread.registers.rax > last);
            last = thread.registers.rax;
            kernlet::task::yield_now().await;
        }
    };
    // One more that never ends.
    let _spinner = kernlet::task::spawn("spinner", async move {
        let mut thread = start(0, code::counting(), 0);
        loop {
            assert_eq!(thread.enter(), Exit::Preempted);
            kernlet::task::yield_now().await;
        }
    });
    let others = [1, 2].map(|number| kernlet::task::spawn("thread", thread(number)));
    for other in others {
        assert!(other.join().await.is_some());
    }
    let alone = kernlet::task::spawn("thread", thread(3));
    assert!(alone.join().await.is_some());
}

/// Threads with different vector registers and thread pointers take turns.
pub async fn registers() {
    let mut threads: Vec<Box<Context>> = Vec::new();
    // OSXSAVE and AVX.
    let wide = core::arch::x86_64::__cpuid(1).ecx >> 27 & 3 == 3;
    for number in 0..6 {
        let value = 0x1000 * (number + 1);
        let code = if wide && number % 2 == 1 { code::wide() } else { code::vectors() };
        let mut thread = Box::new(start(number, code, value));
        let local = 0x5000_0000 + number * PAGE;
        map(local, PAGE, Protection::READ_WRITE);
        kernlet_platform::program::write(local, &value.to_le_bytes()).expect("mapped");
        assert!(thread.set_thread_pointer(local as u64));
        threads.push(thread);
    }
    for round in 0..20 {
        for (number, thread) in threads.iter_mut().enumerate() {
            match thread.enter() {
                Exit::Preempted | Exit::Call => {}
                other => panic!("round {round}, thread {number}: {other:?}"),
            }
            assert_eq!(thread.thread_pointer() as usize, 0x5000_0000 + number * PAGE);
            if round == 10 {
                let length = thread.extended().len();
                let copy = thread.extended().to_vec();
                assert_eq!(copy.len(), length);
                thread.set_extended(&copy);
                let fork = thread.fork();
                **thread = fork;
            }
            kernlet::task::yield_now().await;
        }
    }
    let mut fresh = start(7, code::vectors(), 1);
    assert_eq!(u64::from_le_bytes(fresh.extended()[160..168].try_into().expect("eight")), 0);
    let _ = thread::STACKS;
}
