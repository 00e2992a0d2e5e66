//! What the vDSO of a VM goes by: the time stamp counter.

use super::super::clock;
use crate::program::enter::block;

/// Tells the program how time is to be read, once that is certain. Cheap: this is called whenever a program runs.
pub fn publish() {
    // SAFETY: the block is used by this thread of execution alone, and the program does not run.
    let told = unsafe { &mut (*block()).clock };
    if told.valid != 0 {
        return;
    }
    let Some((base_tsc, base_ns, rate)) = clock::settled() else { return };
    (told.base_tsc, told.base_ns, told.rate, told.wall) = (base_tsc, base_ns, rate, clock::wall_offset());
    told.valid = 1;
}
