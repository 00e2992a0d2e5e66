//! Mapping the image.

use crate::config::{Config, LINKED_BASE};
use crate::status;
use crate::system::{call6, die, number};

const PAGE: u64 = 4096;
const PROT_WRITE: usize = 2;
const MAP_PRIVATE: usize = 0x02;
const MAP_FIXED: usize = 0x10;
const MAP_ANONYMOUS: usize = 0x20;
const MAP_NORESERVE: usize = 0x4000;
const MAP_FIXED_NOREPLACE: usize = 0x10_0000;
/// Maps every segment at one random distance (or that which the launcher chose) from its linked address, and returns that distance. Around the image
/// lies a guard page on each side. Nothing is populated: a fault maps up to 16 pages of a file, in less time than
/// it takes to populate them one by one.
pub fn image(config: &Config) -> usize {
    let segments = config.segments.get(..config.segment_count as usize).unwrap_or(&[]);
    let end = segments.last().map_or(0, |s| s.address + s.memory_size).next_multiple_of(PAGE);
    if end <= LINKED_BASE {
        die(status::CONFIGURATION);
    }
    let length = (end - LINKED_BASE + 2 * PAGE) as usize;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let start = if config.base == 0 {
        map(0, length, 0, flags, usize::MAX, 0) + PAGE as usize
    } else {
        let wanted = config.base as usize;
        let place = map(wanted - PAGE as usize, length, 0, flags | MAP_FIXED_NOREPLACE, usize::MAX, 0);
        // A kernel that does not know the flag chooses a place of its own when this one is taken.
        if place != wanted - PAGE as usize {
            die(status::MAP);
        }
        wanted
    };
    let bias = start.wrapping_sub(LINKED_BASE as usize);
    for segment in segments {
        let protection = ((segment.flags >> 2 & 1) | (segment.flags & 2) | (segment.flags & 1) << 2) as usize;
        let first = segment.address & !(PAGE - 1);
        let file_end = segment.address + segment.file_size;
        let mapped_end = file_end.next_multiple_of(PAGE);
        let memory_end = (segment.address + segment.memory_size).next_multiple_of(PAGE);
        if segment.file_size > 0 {
            let offset = (segment.offset & !(PAGE - 1)) as usize;
            let length = (mapped_end - first) as usize;
            let flags = MAP_PRIVATE | MAP_FIXED;
            map(bias.wrapping_add(first as usize), length, protection, flags, config.image as usize, offset);
        }
        if protection & PROT_WRITE != 0 && file_end < mapped_end {
            let from = bias.wrapping_add(file_end as usize) as *mut u8;
            for i in 0..(mapped_end - file_end) as usize {
                // SAFETY: the rest of the last page that was just mapped writable for this segment.
                unsafe { from.add(i).write_volatile(0) };
            }
        }
        let zeros = if segment.file_size > 0 { mapped_end } else { first };
        if memory_end > zeros {
            let flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS;
            map(
                bias.wrapping_add(zeros as usize),
                (memory_end - zeros) as usize,
                protection,
                flags,
                usize::MAX,
                0,
            );
        }
    }
    bias
}

fn map(at: usize, length: usize, protection: usize, flags: usize, descriptor: usize, offset: usize) -> usize {
    // SAFETY: without MAP_FIXED the kernel chooses free addresses; with it they lie in the reservation above.
    let mapped = unsafe { call6(number::MMAP, [at, length, protection, flags, descriptor, offset]) };
    if (-4095..0).contains(&mapped) {
        die(status::MAP);
    }
    mapped as usize
}
