//! Randomness: all sources that there are, mixed.

use super::dma::Dma;
use super::random::{has_rdrand, rdrand};
use super::virtio::{Device, Part, kind};

const SEED: usize = 32;
/// How often the device is looked at before it is given up.
const PATIENCE: u32 = 50_000_000;

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
fn by_device() -> Option<[u8; SEED]> {
    let device = Device::open(kind::RNG, 0, 0, false)?;
    let mut queue = device.queue(0, 1)?;
    let buffer = Dma::new(SEED)?;
    queue.want_interrupt(false);
    device.start();
    let mut seed = [0; SEED];
    let mut filled = 0;
    queue.post(0, &[Part { address: buffer.physical(0), length: SEED as u32, writable: true }]);
    queue.kick();
    for _ in 0..PATIENCE {
        if let Some((_, length)) = queue.pop() {
            let length = (length as usize).min(SEED - filled);
            seed[filled..filled + length].copy_from_slice(buffer.bytes(0, length));
            filled += length;
            if filled == SEED || length == 0 {
                break;
            }
            queue.post(0, &[Part { address: buffer.physical(0), length: SEED as u32, writable: true }]);
            queue.kick();
        }
        core::hint::spin_loop();
    }
    device.stop();
    (filled == SEED).then_some(seed)
}
