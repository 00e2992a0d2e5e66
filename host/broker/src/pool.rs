//! A few threads for what takes long.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How many jobs run at once: enough that one host which does not answer holds up no other.
const THREADS: usize = 4;
const STACK: usize = 256 << 10;

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// Threads, made when the first job comes; they end when this is dropped and their last job is done.
#[derive(Debug)]
pub struct Pool<T> {
    jobs: Option<SyncSender<Job<T>>>,
    done: Receiver<T>,
    results: Sender<T>,
    bell: Arc<OwnedFd>,
    capacity: usize,
}

impl<T: Send + 'static> Pool<T> {
    /// A pool in which at most `capacity` jobs wait.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (results, done) = channel();
        Ok(Self { jobs: None, done, results, bell, capacity })
    }

    /// Readable when a job is done.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Has `job` done; `false` when too many wait or there are no threads to be had.
    pub fn submit(&mut self, job: impl FnOnce() -> T + Send + 'static) -> bool {
        if self.jobs.is_none() {
            self.jobs = self.start();
        }
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(Box::new(job)).is_ok())
    }

    /// A result, if there is one.
    pub fn finished(&mut self) -> Option<T> {
        let mut count = [0; 8];
        // It only says that there may be results, which is asked next.
        let _ = rustix::io::read(&self.bell, &mut count);
        self.done.try_recv().ok()
    }

    fn start(&self) -> Option<SyncSender<Job<T>>> {
        let (jobs, queue) = sync_channel::<Job<T>>(self.capacity);
        let queue = Arc::new(Mutex::new(queue));
        let mut started = 0;
        for _ in 0..THREADS {
            let (queue, results, bell) = (queue.clone(), self.results.clone(), self.bell.clone());
            let body = move || work(&queue, &results, &bell);
            let builder = thread::Builder::new().name("kernlet-broker".into()).stack_size(STACK);
            started += usize::from(builder.spawn(body).is_ok());
        }
        (started > 0).then_some(jobs)
    }
}

fn work<T>(queue: &Mutex<Receiver<Job<T>>>, results: &Sender<T>, bell: &OwnedFd) {
    loop {
        // The lock is held while waiting, so that the others wait for the lock; it is free while the job runs.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if results.send(job()).is_err() {
            return;
        }
        // A full counter rings just as well.
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}
