//! What stays inside the instance: datagrams as bounded queues, streams as pairs of bounded pipes. No packets.

pub mod pipe;
mod program;
pub mod tcp;
pub mod udp;

/// Puts one of those that take something in front, always the same for one port of a sender's: that for which a number made of
/// the port and of where it lies (0: it does not take it) is highest (rendezvous hashing, Thaler and Ravishankar 1998).
fn choose<T>(all: &mut [T], from: u16, lies: impl Fn(&T) -> usize) {
    let (mut best, mut chosen) = (0, 0);
    for (place, one) in all.iter().enumerate() {
        let at = lies(one);
        let mixed = ((at >> 4) as u32 ^ u32::from(from) << 8).wrapping_mul(0x9e37_79b1).rotate_left(16);
        let mixed = mixed.wrapping_mul(0x85eb_ca6b) | 1;
        if at != 0 && mixed > best {
            (best, chosen) = (mixed, place);
        }
    }
    if chosen > 0 {
        all.swap(0, chosen);
    }
}
