//! A sealed root that was not loaded with the image, because it is large: it lies on a disk, at the place that it has in
//! the image's file, and at its usual addresses. Nothing is mapped there at first. Whoever reads it causes a page fault,
//! which fetches the pages around; once there are enough of them, those that came first go.
//!
//! The fault handler waits for the disk itself: the instruction that it interrupted cannot go on before, and the one
//! vCPU has nothing else that it could run.

use super::dma::Dma;
use super::frames::{PAGE, RAM};
use super::paging::{self, NO_EXECUTE};
use super::single::{Later, Single};
use super::trap;
use super::virtio::{Device, Part, Queue, kind};
use core::arch::global_asm;

/// What is fetched at once.
const CLUSTER: usize = 64 << 10;
/// How many clusters stay: a quarter of the free memory, between these. The least is more than one instruction touches.
const LEAST: usize = 4;
const MOST: usize = 128;
const SECTOR: usize = 512;
/// A request: what to do, where; then the device's answer.
const HEADER: usize = 16;
/// VIRTIO_BLK_S_OK.
const DONE: u8 = 0;

struct Cluster {
    memory: Dma,
    /// Where it is mapped, and how much of it.
    address: usize,
    length: usize,
}

struct Disk {
    queue: Queue,
    request: Dma,
    /// The addresses of what was not loaded, and the place of their beginning on the disk.
    start: usize,
    end: usize,
    offset: usize,
    /// The disk's size in bytes.
    size: usize,
    clusters: [Later<Cluster>; MOST],
    count: usize,
    limit: usize,
    /// Which goes next.
    next: usize,
}

static DISK: Single<Later<Disk>> = Single::new(Later::new());

/// Makes `start..end` readable, which lies at `offset` of the first disk; whole pages, but for the end.
pub fn attach(start: usize, end: usize, offset: usize) -> bool {
    let disk = &mut *DISK.lock();
    if let Some(disk) = disk.get() {
        return disk.start == start;
    }
    let Some(opened) = open(start, end, offset) else { return false };
    disk.set(opened);
    trap::take_page_faults(&raw const kernlet_page_fault as usize);
    true
}

fn open(start: usize, end: usize, offset: usize) -> Option<Disk> {
    let device = Device::open(kind::BLOCK, 0, 0, false)?;
    let sectors = (0..8).fold(0, |all, i| all | u64::from(device.config(i)) << (8 * i));
    let size = usize::try_from(sectors).ok()?.checked_mul(SECTOR)?;
    let aligned = start.is_multiple_of(PAGE) && offset.is_multiple_of(SECTOR);
    if !aligned || size < offset.checked_add(end.checked_sub(start)?)? {
        return None;
    }
    let queue = device.queue(0, 4)?;
    queue.size().checked_sub(4)?;
    let request = Dma::new(HEADER + 1)?;
    device.start();
    let limit = (RAM.lock().free() / 4 / CLUSTER).clamp(LEAST, MOST);
    let clusters = [const { Later::new() }; MOST];
    Some(Disk { queue, request, start, end, offset, size, clusters, count: 0, limit, next: 0 })
}

// A page fault: an error code of 0 is a read of what is not mapped. Tells its address, and goes on if it is mapped now.
global_asm!(
    ".pushsection .text.kernlet_page_fault, \"ax\"",
    ".globl kernlet_page_fault",
    "kernlet_page_fault:",
    "  cmp qword ptr [rsp], 0",
    "  jne 7f",
    "  push rax",
    "  push rcx",
    "  push rdx",
    "  push rsi",
    "  push rdi",
    "  push r8",
    "  push r9",
    "  push r10",
    "  push r11",
    "  push rbp",
    "  mov rbp, rsp",
    "  sub rsp, 512",
    "  and rsp, -16",
    "  fxsave64 [rsp]",
    "  cld",
    "  mov rdi, cr2",
    "  call kernlet_page_in",
    "  fxrstor64 [rsp]",
    "  test al, al",
    "  mov rsp, rbp",
    "  pop rbp",
    "  pop r11",
    "  pop r10",
    "  pop r9",
    "  pop r8",
    "  pop rdi",
    "  pop rsi",
    "  pop rdx",
    "  pop rcx",
    "  pop rax",
    "  jz 7f",
    "  add rsp, 8",
    "  iretq",
    "7:",
    "  push 14",
    "  jmp kernlet_fault",
    ".popsection",
);

// SAFETY: defined above; only its address is used.
unsafe extern "C" {
    static kernlet_page_fault: u8;
}

/// Fetches what a page fault asked for; `false` when nothing of the root is there.
#[unsafe(no_mangle)]
extern "C" fn kernlet_page_in(address: usize) -> bool {
    // In use means that the fault struck in here.
    DISK.try_lock().is_some_and(|mut disk| disk.get_mut().is_some_and(|disk| disk.page_in(address)))
}

impl Disk {
    fn page_in(&mut self, address: usize) -> bool {
        if address < self.start || address >= self.end {
            return false;
        }
        let within = (address - self.start) / CLUSTER * CLUSTER;
        let (start, place) = (self.start + within, self.offset + within);
        let pages = (self.end - start).next_multiple_of(PAGE).min(CLUSTER);
        let length = pages.min(self.size - place);
        let Some(number) = self.free_cluster() else { return false };
        let Some(physical) = self.clusters[number].get().map(|cluster| cluster.memory.physical(0)) else {
            return false;
        };
        if !self.read(place / SECTOR, physical, length) {
            return false;
        }
        let Some(cluster) = self.clusters[number].get_mut() else { return false };
        (cluster.address, cluster.length) = (start, pages);
        // SAFETY: nothing is mapped there. It shows what the disk holds, which is what belongs there, read-only.
        unsafe { paging::map(start, physical as usize, pages, NO_EXECUTE) }.is_some()
    }

    /// A cluster whose memory can be filled: a new one, or the one that came first.
    fn free_cluster(&mut self) -> Option<usize> {
        if self.count < self.limit {
            match Dma::new(CLUSTER) {
                Some(memory) => {
                    self.clusters[self.count].set(Cluster { memory, address: 0, length: 0 });
                    self.count += 1;
                    return Some(self.count - 1);
                }
                None => self.limit = self.count,
            }
        }
        let number = self.next;
        self.next = (number + 1) % self.count.max(1);
        let cluster = self.clusters[number].get_mut()?;
        // SAFETY: `page_in` mapped it; whoever reads it again gets the same bytes by another fault.
        unsafe { paging::unmap(cluster.address, cluster.length) };
        cluster.length = 0;
        Some(number)
    }

    /// Reads from the disk, and waits for it.
    fn read(&mut self, sector: usize, physical: u64, length: usize) -> bool {
        let header = self.request.bytes_mut(0, HEADER + 1);
        // VIRTIO_BLK_T_IN is 0.
        header.fill(0);
        header[8..HEADER].copy_from_slice(&(sector as u64).to_le_bytes());
        header[HEADER] = !DONE;
        let part = |address, length, writable| Part { address, length, writable };
        let parts = [
            part(self.request.physical(0), HEADER as u32, false),
            part(physical, length as u32, true),
            part(self.request.physical(HEADER), 1, true),
        ];
        self.queue.post(0, &parts);
        self.queue.kick();
        while self.queue.pop().is_none() {
            if self.queue.is_broken() {
                return false;
            }
            core::hint::spin_loop();
        }
        // SAFETY: in bounds; the device wrote it.
        unsafe { self.request.pointer(HEADER, 1).read_volatile() == DONE }
    }
}
