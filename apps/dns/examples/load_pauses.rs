//! How long others wait while a zone is read: `cargo run --release -p dns --example load_pauses [NAMES | FILE ORIGIN]`.
//!
//! Tells how long reading took, and the longest times between two pauses, in which a server answers nothing.

use dns::{Source, Zones};
use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

struct Timed {
    text: Vec<u8>,
    last: Instant,
    steps: Vec<Duration>,
}

impl Timed {
    fn tick(&mut self) {
        let now = Instant::now();
        self.steps.push(now - self.last);
        self.last = Instant::now();
    }
}

impl Source for Timed {
    async fn read(&mut self, _: &str, offset: u64, into: &mut Vec<u8>) -> Result<usize, Box<str>> {
        self.tick();
        let rest = &self.text[offset as usize..];
        let part = &rest[..rest.len().min(64 << 10)];
        into.extend_from_slice(part);
        Ok(part.len())
    }

    async fn pause(&mut self) {
        self.tick();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().unwrap_or_else(|| "1000000".into());
    let origin = arguments.next().unwrap_or_else(|| "example.com".into()).parse().expect("a name");
    let text = match first.parse::<usize>() {
        Ok(names) => {
            let mut text = String::from("$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n");
            for n in 0..names {
                writeln!(text, "host{n} A 10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255)
                    .expect("memory");
            }
            text.into_bytes()
        }
        Err(_) => std::fs::read(&first).unwrap_or_else(|error| panic!("{first}: {error}")),
    };
    let mut source = Timed { text, last: Instant::now(), steps: Vec::with_capacity(1 << 20) };
    let zones = Zones::new(1);
    let start = Instant::now();
    let zone = {
        let mut reading = pin!(zones.reader().read(&origin, "zone", &mut source));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(zone) => zone.unwrap_or_else(|errors| panic!("{errors}")),
            Poll::Pending => unreachable!("nothing waits"),
        }
    };
    source.tick();
    println!("{} records in {:.3?}, {} steps", zone.records(), start.elapsed(), source.steps.len());
    let steps = source.steps.len();
    let mut longest: Vec<(Duration, usize)> = source.steps.into_iter().zip(0..).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    println!("median {:.3?}", longest[steps / 2].0);
    for (time, step) in &longest[..12.min(steps)] {
        println!("{time:>12.3?} in step {step}");
    }
}
