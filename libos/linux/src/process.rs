//! A process: what its threads share.

use crate::call::{Call, number};
use crate::files::{Description, Files};
use crate::ipc::Ipc;
use crate::memory::Space;
use crate::signal::ProcessSignals;
use crate::system::{Credentials, Limits};
use crate::task::{Futexes, ProcessFacts};
use crate::thread::Thread;
use crate::time::CpuTime;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::{self, Known};
use kernlet_sync::SmallMap;

/// A process.
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its memory.
    pub space: RefCell<Space>,
    /// Descriptors, working directory, umask.
    pub files: Files,
    /// System V IPC, the instance's.
    pub ipc: Rc<Ipc>,
    /// Actions and what is pending for the process as a whole.
    pub signals: ProcessSignals,
    /// Who it is.
    pub credentials: RefCell<Credentials>,
    /// Its threads by number.
    pub threads: RefCell<SmallMap<u32, Weak<Thread>>>,
    /// CPU time of all its threads.
    pub cpu: CpuTime,
    /// The looks at the CPU that its threads' times have counted: see [`program::ticks`].
    pub(crate) ticks: Cell<[u64; 2]>,
    /// What it may use.
    pub limits: Limits,
    /// Identity and execution domain: process group, session and the like.
    pub facts: ProcessFacts,
    /// Who waits for words of its memory.
    pub futexes: Futexes,
    /// Its auxiliary vector (getauxval(3)).
    pub auxiliary: RefCell<Vec<u64>>,
    /// Where its first thread's stack began.
    pub stack: Cell<usize>,
    /// What it executes, once it is loaded.
    pub executable: RefCell<Option<Rc<Description>>>,
    /// The number that the next thread gets.
    pub(crate) next_thread: Cell<u32>,
    /// The most threads that there were at once.
    pub(crate) most_threads: Cell<u64>,
    /// A call that is not implemented ends it (`--strict`).
    pub strict: bool,
    /// Calls of which it was said that they are not implemented.
    told: RefCell<SmallMap<u64, ()>>,
}

impl Process {
    /// A process without threads.
    pub fn new(space: Space, credentials: Credentials, strict: bool) -> Rc<Self> {
        let files = Files::new();
        Rc::new(Self {
            id: 1,
            space: RefCell::new(space),
            ipc: Ipc::new(&files.tree.usage),
            files,
            signals: ProcessSignals::default(),
            credentials: RefCell::new(credentials),
            cpu: CpuTime::default(),
            ticks: Cell::default(),
            limits: Limits::default(),
            facts: ProcessFacts::default(),
            futexes: Futexes::default(),
            threads: RefCell::default(),
            auxiliary: RefCell::default(),
            stack: Cell::new(0),
            executable: RefCell::default(),
            next_thread: Cell::new(1),
            most_threads: Cell::new(0),
            strict,
            told: RefCell::default(),
        })
    }

    /// The thread of a number.
    pub fn thread(&self, id: u32) -> Option<Rc<Thread>> {
        self.threads.borrow().get(&id).and_then(Weak::upgrade)
    }

    /// Ends it, and with it the instance, with an exit status.
    pub fn exit(&self, status: u8) -> ! {
        if let Some(terminal) = self.files.console().terminal() {
            terminal.finish();
        }
        kernlet_platform::power::exit(status)
    }

    /// Tells who it is to calls that need not come in for it ([`program::answer`]): at its start, and after each change.
    pub fn tell_identity(&self) {
        let who = self.credentials.borrow();
        program::answer(Known::Getpid, self.id.into());
        program::answer(Known::Getppid, 0);
        program::answer(Known::Getuid, who.users[0].into());
        program::answer(Known::Geteuid, who.users[1].into());
        program::answer(Known::Getgid, who.groups[0].into());
        program::answer(Known::Getegid, who.groups[1].into());
    }

    /// Says once for each number that a call is not implemented.
    pub fn missing(&self, thread: &Thread, call: Call) {
        let name = number::name(call.number);
        if self.told.borrow_mut().insert(call.number, ()).is_none() {
            match name {
                Some(name) => crate::report!(
                    "system call {} ({}) is not implemented; thread {} was told ENOSYS",
                    name,
                    call.number,
                    thread.id
                ),
                None => crate::report!(
                    "there is no system call {}; thread {} was told ENOSYS",
                    call.number,
                    thread.id
                ),
            }
        }
        if self.strict {
            self.exit(128 + crate::signal::SIGSYS);
        }
    }
}
