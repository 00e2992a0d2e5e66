//! Randomness: all sources that there are, mixed.

use super::dma::Dma;
use super::random::{has_rdrand, rdrand};
use super::single::Single;
use super::virtio::{Device, Part, Queue, kind};

const SEED: usize = 32;
/// How often the device is looked at before it is given up.
const PATIENCE: u32 = if cfg!(kernlet_image) { 50_000_000 } else { 2_000 };

/// See [`crate::entropy::seed`]. The sources know nothing of each other, so their exclusive-or is as good as the
/// best of them.
pub fn seed() -> Option<[u8; SEED]> {
    let sources = [crate::boot::blob().seed(), by_cpu(), by_device()];
    sources.into_iter().flatten().reduce(|mut all, one| {
        all.iter_mut().zip(one).for_each(|(a, b)| *a ^= b);
        all
    })
}

fn by_cpu() -> Option<[u8; SEED]> {
    if !has_rdrand() {
        return None;
    }
    let mut seed = [0; SEED];
    for word in seed.chunks_exact_mut(8) {
        word.copy_from_slice(&rdrand()?.to_le_bytes());
    }
    Some(seed)
}

/// virtio-rng (virtio 1.2, 5.4).
struct Rng {
    queue: Queue,
    buffer: Dma,
}

enum State {
    Unknown,
    Absent,
    Here(Rng),
}

static RNG: Single<State> = Single::new(State::Unknown);

impl Rng {
    fn open() -> Option<Self> {
        let device = Device::open(kind::RNG, 0, 0, false)?;
        let mut rng = Self { queue: device.queue(0, 1)?, buffer: Dma::new(SEED)? };
        rng.queue.want_interrupt(false);
        device.start();
        Some(rng)
    }

    /// Asks for `into.len()` bytes (at most [`SEED`]); returns how many came, `None` when the device is silent.
    fn ask(&mut self, into: &mut [u8]) -> Option<usize> {
        let part = Part { address: self.buffer.physical(0), length: into.len() as u32, writable: true };
        self.queue.post(0, &[part]);
        self.queue.kick();
        for _ in 0..PATIENCE {
            if let Some((_, length)) = self.queue.pop() {
                let length = (length as usize).min(into.len());
                into[..length].copy_from_slice(self.buffer.bytes(0, length));
                return Some(length);
            }
            core::hint::spin_loop();
        }
        None
    }
}

fn by_device() -> Option<[u8; SEED]> {
    let mut state = RNG.lock();
    if let State::Unknown = *state {
        *state = Rng::open().map_or(State::Absent, State::Here);
    }
    let State::Here(rng) = &mut *state else { return None };
    let mut seed = [0; SEED];
    let mut filled = 0;
    while filled < SEED {
        match rng.ask(&mut seed[filled..]) {
            Some(length) if length != 0 => filled += length,
            _ => {
                // Its buffer may still be in flight: never ask again.
                *state = State::Absent;
                return None;
            }
        }
    }
    Some(seed)
}

/// Forgets the device, so that the next one is looked for.
#[cfg(not(kernlet_image))]
pub fn reset() {
    *RNG.lock() = State::Unknown;
}

/// What the device alone gives.
#[cfg(not(kernlet_image))]
pub fn device_seed() -> Option<[u8; SEED]> {
    by_device()
}
