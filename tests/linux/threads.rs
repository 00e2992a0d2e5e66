//! Threads, channels, locks and panics of the standard library. Says the same on Linux.

use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};
fn main() {
    let sum = Arc::new(Mutex::new(0u64));
    let handles: Vec<_> = (0..50)
        .map(|i| {
            let sum = sum.clone();
            thread::Builder::new()
                .name(format!("t{i}"))
                .spawn(move || {
                    for _ in 0..1000 {
                        *sum.lock().unwrap() += i;
                    }
                    i
                })
                .unwrap()
        })
        .collect();
    let total: u64 = handles.into_iter().map(|h| h.join().unwrap()).sum();
    println!("{} {total}", sum.lock().unwrap());
    let (tx, rx) = mpsc::channel();
    for i in 0..4 {
        let tx = tx.clone();
        thread::spawn(move || {
            for k in 0..100 {
                tx.send(i * k).unwrap();
            }
        });
    }
    drop(tx);
    println!("{}", rx.iter().sum::<i32>());
    let b = Arc::new(Barrier::new(8));
    let l = thread::scope(|s| {
        (0..8)
            .map(|_| s.spawn(|| b.wait().is_leader()))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|h| h.join().unwrap())
            .filter(|&l| l)
            .count()
    });
    println!("leaders {l}");
    let pair = (Mutex::new(false), Condvar::new());
    let r = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(20)).unwrap();
    println!("timed out {}", r.1.timed_out());
    let rw = RwLock::new(5);
    thread::scope(|s| {
        for _ in 0..5 {
            s.spawn(|| {
                *rw.write().unwrap() += 1;
            });
        }
    });
    println!("{}", rw.read().unwrap());
    let start = Instant::now();
    thread::park_timeout(Duration::from_millis(10));
    println!("parked {}", start.elapsed() < Duration::from_secs(1));
    println!(
        "panicked {}",
        thread::spawn(|| {
            if true {
                panic!("on purpose");
            }
        })
        .join()
        .is_err()
    );
    println!("parallel {}", thread::available_parallelism().unwrap().get() > 0);
    fn deep(n: u64) -> u64 {
        let a = [n; 512];
        if n == 0 { 0 } else { deep(n - 1).wrapping_add(a[(n % 512) as usize]) }
    }
    if std::env::args().len() > 1 {
        println!("{}", deep(u64::MAX));
    }
}
