//! The threads that do what was asked for, where anything may hang: a network file system whose server is gone, a host
//! that does not answer.
//!
//! 1. Work belongs to a lane (the paths of one volume, say). Of a lane only so many jobs run at once, in the order in
//!    which they came; more wait in a bounded queue. So what hangs takes few threads, and holds up its own lane only.
//! 2. One thread receives a job, does it itself and receives the next: the common case costs no switch of threads.
//!    Another stands by, and takes the receiver's place when its job takes longer than [`PATIENCE`], or at once when
//!    the job is known to take long. Who lost the place finishes its lane's queue, and stands by in turn.
//! 3. There are never more threads than the lanes let jobs run, and two.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a job may keep the receiver from receiving. Waiting for a disk is usually shorter.
const PATIENCE: Duration = Duration::from_millis(20);
const STACK: usize = 256 << 10;
/// Threads of all crews of this process: those of an earlier life may still hang when a restarted instance gets a
/// crew of its own.
const MOST_THREADS: usize = 512;
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// What a crew does.
pub trait Work: Send + Sync + 'static {
    /// A piece of it.
    type Job: Send;

    /// How many jobs may run at once in each lane.
    fn widths(&self) -> Vec<usize>;
    /// Waits for a job; `None` when there will be no more.
    fn receive(&self) -> Option<Self::Job>;
    /// Where a job belongs.
    fn plan(&self, job: &Self::Job) -> Plan;
    /// Does a job, however long that takes.
    fn perform(&self, job: Self::Job);
    /// Turns a job away whose lane is full.
    fn refuse(&self, job: Self::Job);
    /// There will be no more.
    fn close(&self);
}

/// Where a job belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is done at once and can wait for nothing.
    AtOnce,
    /// It is done in this lane.
    Lane {
        /// The lane's number.
        number: usize,
        /// It will take long: the next job is not to wait for it.
        slow: bool,
    },
}

struct Crew<W: Work> {
    work: W,
    /// How many jobs may wait in a lane.
    most: usize,
    state: Mutex<State<W::Job>>,
    /// Rung for the thread that stands by.
    bell: Condvar,
}

struct State<J> {
    lanes: Vec<Lane<J>>,
    /// Jobs that receivers began, and the number of the one that the receiver is doing.
    begun: u64,
    doing: Option<u64>,
    /// A thread stands by, or is about to.
    reserve: bool,
    /// It watches the receiver.
    watching: bool,
    /// It is to receive now.
    called: bool,
    closed: bool,
}

struct Lane<J> {
    width: usize,
    running: usize,
    queue: VecDeque<J>,
}

/// What a thread is to do next.
enum Role {
    Receive,
    StandBy,
    Rest,
}

/// Starts a crew; it ends when there is no more work and the last job is done. At most `most` jobs wait in a lane.
///
/// # Errors
/// There are no threads to be had.
pub fn start<W: Work>(work: W, most: usize) -> io::Result<()> {
    let lane = |width| Lane { width, running: 0, queue: VecDeque::new() };
    let state = State {
        lanes: work.widths().into_iter().map(lane).collect(),
        begun: 0,
        doing: None,
        reserve: false,
        watching: false,
        called: false,
        closed: false,
    };
    let crew = Crew { work, most, state: Mutex::new(state), bell: Condvar::new() };
    Arc::new(crew).spawn(Role::Receive)
}

/// Counts a thread while it lives.
struct Counted;

impl Counted {
    fn new() -> io::Result<Self> {
        let counted = Self;
        if THREADS.fetch_add(1, Ordering::Relaxed) < MOST_THREADS {
            return Ok(counted);
        }
        Err(io::Error::other("too many requests to volumes or connections hang"))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: Work> Crew<W> {
    fn spawn(self: &Arc<Self>, mut role: Role) -> io::Result<()> {
        let (crew, counted) = (self.clone(), Counted::new()?);
        let live = move || {
            let _counted = counted;
            loop {
                role = match role {
                    Role::Receive => crew.receive(),
                    Role::StandBy => crew.stand_by(),
                    Role::Rest => return,
                };
            }
        };
        thread::Builder::new().name("kernlet-broker".into()).stack_size(STACK).spawn(live).map(drop)
    }

    fn state(&self) -> MutexGuard<'_, State<W::Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives until there is no more work, or another thread has taken over.
    fn receive(self: &Arc<Self>) -> Role {
        while let Some(job) = self.work.receive() {
            let Plan::Lane { number, slow } = self.work.plan(&job) else {
                self.work.perform(job);
                continue;
            };
            let mut guard = self.state();
            let state = &mut *guard;
            let Some(lane) = state.lanes.get_mut(number) else { continue };
            if lane.running == lane.width {
                if lane.queue.len() < self.most {
                    lane.queue.push_back(job);
                } else {
                    drop(guard);
                    self.work.refuse(job);
                }
                continue;
            }
            lane.running += 1;
            // Without threads to be had the work goes on; what hangs then holds up the rest.
            state.reserve = state.reserve || self.spawn(Role::StandBy).is_ok();
            if slow && state.reserve {
                state.called = true;
                self.bell.notify_one();
                drop(guard);
                return self.finish(number, job);
            }
            state.begun += 1;
            let mine = state.begun;
            state.doing = Some(mine);
            if state.reserve && !state.watching {
                state.watching = true;
                self.bell.notify_one();
            }
            drop(guard);
            self.work.perform(job);
            let mut state = self.state();
            if state.doing != Some(mine) {
                drop(state);
                return self.next_in(number);
            }
            state.doing = None;
            state.lanes[number].running -= 1;
        }
        self.state().closed = true;
        self.bell.notify_one();
        self.work.close();
        Role::Rest
    }

    fn finish(&self, number: usize, job: W::Job) -> Role {
        self.work.perform(job);
        self.next_in(number)
    }

    /// Does what waits in a lane, as one that no longer receives.
    fn next_in(&self, number: usize) -> Role {
        loop {
            let mut guard = self.state();
            let state = &mut *guard;
            let lane = &mut state.lanes[number];
            if state.closed {
                // Who asked is gone. What waited is dropped without the lock, as closing files may hang, too.
                let dropped = std::mem::take(&mut lane.queue);
                lane.running -= 1;
                drop(guard);
                drop(dropped);
                return Role::Rest;
            }
            if let Some(job) = lane.queue.pop_front() {
                drop(guard);
                self.work.perform(job);
                continue;
            }
            lane.running -= 1;
            if state.reserve {
                return Role::Rest;
            }
            state.reserve = true;
            return Role::StandBy;
        }
    }

    /// Waits to be needed as the receiver, and watches it while it works.
    fn stand_by(&self) -> Role {
        let mut state = self.state();
        loop {
            if state.closed {
                return Role::Rest;
            }
            if state.called {
                break;
            }
            if !state.watching {
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (begun, doing) = (state.begun, state.doing);
            let waited = self.bell.wait_timeout(state, PATIENCE);
            let timed_out;
            (state, timed_out) = waited.map_or_else(
                |poisoned| (poisoned.into_inner().0, false),
                |(state, result)| (state, result.timed_out()),
            );
            if timed_out && doing.is_some() && state.doing == doing {
                state.doing = None;
                break;
            }
            // Nothing was asked for in all that time: no more watching until something is.
            state.watching = !timed_out || state.begun != begun || state.doing.is_some();
        }
        (state.called, state.reserve, state.watching) = (false, false, false);
        Role::Receive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const SLOW: u32 = 1000;
    const AT_ONCE: usize = 9;

    /// Jobs are lane and number; one hangs as long as its number is in the set.
    struct Fake {
        jobs: Mutex<Receiver<(usize, u32)>>,
        done: Sender<(usize, u32, bool)>,
        hanging: Arc<(Mutex<Vec<u32>>, Condvar)>,
    }

    impl Work for Fake {
        type Job = (usize, u32);

        fn widths(&self) -> Vec<usize> {
            vec![1, 1, 2]
        }
        fn receive(&self) -> Option<Self::Job> {
            self.jobs.lock().unwrap().recv().ok()
        }
        fn plan(&self, &(number, job): &Self::Job) -> Plan {
            if number == AT_ONCE { Plan::AtOnce } else { Plan::Lane { number, slow: job >= SLOW } }
        }
        fn perform(&self, (lane, job): Self::Job) {
            let (hanging, changed) = &*self.hanging;
            let _free = changed.wait_while(hanging.lock().unwrap(), |all| all.contains(&job)).unwrap();
            let _ = self.done.send((lane, job, true));
        }
        fn refuse(&self, (lane, job): Self::Job) {
            let _ = self.done.send((lane, job, false));
        }
        fn close(&self) {}
    }

    struct Test {
        jobs: Option<Sender<(usize, u32)>>,
        done: Receiver<(usize, u32, bool)>,
        hanging: Arc<(Mutex<Vec<u32>>, Condvar)>,
    }

    impl Test {
        fn new(hanging: &[u32]) -> Self {
            let (jobs, received) = channel();
            let (sender, done) = channel();
            let hanging = Arc::new((Mutex::new(hanging.to_vec()), Condvar::new()));
            let work = Fake { jobs: Mutex::new(received), done: sender, hanging: hanging.clone() };
            start(work, 4).unwrap();
            Self { jobs: Some(jobs), done, hanging }
        }

        fn ask(&self, lane: usize, job: u32) {
            self.jobs.as_ref().unwrap().send((lane, job)).unwrap();
        }

        fn next(&self) -> (usize, u32, bool) {
            self.done.recv_timeout(Duration::from_secs(20)).expect("a job is done")
        }

        fn release(&self) {
            self.hanging.0.lock().unwrap().clear();
            self.hanging.1.notify_all();
        }
    }

    #[test]
    fn a_lane_that_hangs_holds_up_no_other_and_keeps_its_order() {
        for (first, second) in [(1, 2), (SLOW + 1, SLOW + 2)] {
            let test = Test::new(&[first, second]);
            test.ask(0, first);
            test.ask(0, 10);
            test.ask(1, second);
            test.ask(0, 11);
            test.ask(AT_ONCE, 12);
            for job in 20..60 {
                test.ask(2, job);
                // The first comes when somebody has taken over.
                let done = test.next();
                if done == (AT_ONCE, 12, true) {
                    assert_eq!(test.next(), (2, job, true));
                } else {
                    assert_eq!(done, (2, job, true));
                }
            }
            test.release();
            let mut rest: Vec<_> = (0..4).map(|_| test.next()).collect();
            rest.retain(|(lane, ..)| *lane == 0);
            assert_eq!(rest, [(0, first, true), (0, 10, true), (0, 11, true)]);
        }
    }

    #[test]
    fn what_waits_in_a_lane_is_bounded_and_the_rest_is_refused() {
        let test = Test::new(&[1]);
        for job in 1..=7 {
            test.ask(0, job);
        }
        assert_eq!((test.next(), test.next()), ((0, 6, false), (0, 7, false)));
        test.release();
        for job in 1..=5 {
            assert_eq!(test.next(), (0, job, true));
        }
    }

    #[test]
    fn a_lane_runs_as_many_jobs_at_once_as_it_may() {
        let test = Test::new(&[SLOW, SLOW + 1]);
        for job in [SLOW, SLOW + 1, SLOW + 2] {
            test.ask(2, job);
        }
        // Both places of the lane are taken, so that the third waits though it would not hang.
        test.ask(1, 1);
        assert_eq!(test.next(), (1, 1, true));
        assert!(test.done.recv_timeout(Duration::from_millis(50)).is_err());
        test.release();
        let mut all = [test.next().1, test.next().1, test.next().1];
        all.sort_unstable();
        assert_eq!(all, [SLOW, SLOW + 1, SLOW + 2]);
    }

    #[test]
    fn threads_end_with_the_work_and_what_waited_is_dropped() {
        let mut test = Test::new(&[1]);
        test.ask(0, 1);
        test.ask(0, 2);
        test.ask(1, 3);
        assert_eq!(test.next(), (1, 3, true));
        test.jobs = None;
        // The crew holds the work, which holds the other end, until its last thread ends.
        std::thread::sleep(Duration::from_millis(50));
        test.release();
        assert_eq!(test.next(), (0, 1, true));
        assert!(matches!(
            test.done.recv_timeout(Duration::from_secs(20)),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
        ));
    }
}
