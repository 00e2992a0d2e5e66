//! Loading a program (execve(2)): its segments, its interpreter, its stack.

mod elf;
mod stack;

pub use elf::{Elf, Segment};

use crate::files::{self, Description};
use crate::memory::{Area, Mapped, Object, Space, rewrite};
use crate::thread::Thread;
use crate::{Errno, PAGE};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;
use kernlet_platform::cell::RefCell;
use kernlet_platform::program::{self, Backing, Context, Protection};

/// The longest path of an interpreter.
const INTERPRETER_MOST: u64 = 4096;
/// How far the first thread's stack may grow: RLIMIT_STACK.
pub const STACK: usize = 8 << 20;
/// Random bits of addresses, in pages: as Linux (mmap_rnd_bits, and 32 MiB for the heap).
const RANDOM_PAGES: usize = 1 << 28;
const HEAP_RANDOM_PAGES: usize = 1 << 13;
/// Where programs go that run anywhere: two thirds up the addresses of Linux (ELF_ET_DYN_BASE).
const PROGRAM_BASE: usize = 0x5555_5555_4000;

/// What is executed.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path.
    pub path: Vec<u8>,
    /// Its arguments; the first is the name that it is called by.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment.
    pub environment: Vec<Vec<u8>>,
}

/// Where things go, chosen anew for each start.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Where a program goes that runs anywhere.
    pub program: usize,
    /// The end of the stack.
    pub stack: usize,
    /// Below this address go mappings.
    pub top: usize,
    /// Where the vDSO goes: between the stack and the end of addresses, as in Linux.
    pub vdso: usize,
}

impl Places {
    /// Random ones.
    pub fn random() -> Self {
        let pages = |most: usize| (kernlet_entropy::u64() as usize & (most - 1)) * PAGE;
        let end = program::range().end;
        let stack = end - 4 * PAGE - pages(RANDOM_PAGES / 4);
        // A page stays free on either side.
        let vdso = stack + PAGE * (1 + kernlet_entropy::u64() as usize % ((end - stack) / PAGE - 3));
        let top = stack - STACK - PAGE - pages(RANDOM_PAGES / 4);
        Self { program: PROGRAM_BASE + pages(RANDOM_PAGES), stack, top, vdso }
    }
}

/// A file that is to be executed.
pub struct Image {
    file: Rc<Description>,
    mapped: Rc<Mapped>,
    /// Its headers.
    pub elf: Elf,
}

impl Image {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// ENOENT and the others of open(2); ENOEXEC.
    pub async fn open(thread: &Rc<Thread>, path: &[u8]) -> Result<Self, Errno> {
        let file = files::executable(thread, path).await?;
        let mapped = file.mapped(&thread.process).await?;
        let mut header = [0; 64];
        let length = files::fetch(&file, 0, &mut header).await?;
        let place = Elf::headers_at(&header[..length])?;
        let mut table = alloc::vec![0; (place.end - place.start) as usize];
        let length = files::fetch(&file, place.start, &mut table).await?;
        let elf = Elf::parse(&header, &table[..length])?;
        Ok(Self { file, mapped, elf })
    }

    /// Keeps addresses behind it free for what its rewritten code needs; returns how many.
    fn keep(&self, space: &RefCell<Space>, bias: usize) -> usize {
        let reserve = rewrite::reserve(self.mapped.device, self.mapped.inode);
        rewrite::keep(&mut space.borrow_mut(), self.elf.span().end.wrapping_add(bias), reserve);
        reserve
    }

    async fn interpreter(&self) -> Result<Option<Vec<u8>>, Errno> {
        let Some(place) = &self.elf.interpreter else { return Ok(None) };
        let length = place.end - place.start;
        if !(2..=INTERPRETER_MOST).contains(&length) {
            return Err(Errno::ENOEXEC);
        }
        let mut path = alloc::vec![0; length as usize];
        let read = files::fetch(&self.file, place.start, &mut path).await?;
        if read < path.len() || path.pop() != Some(0) || path.contains(&0) {
            return Err(Errno::ENOEXEC);
        }
        Ok(Some(path))
    }

    /// Maps all segments, `bias` above where they were linked.
    async fn map(&self, space: &RefCell<Space>, bias: usize) -> Result<(), Errno> {
        for segment in &self.elf.segments {
            let start = bias.wrapping_add(segment.address);
            let (file_end, end) = (start + segment.file_length, start + segment.memory_length);
            let first = start & !(PAGE - 1);
            let mapped_end = if segment.file_length > 0 { file_end.next_multiple_of(PAGE) } else { first };
            let area = |pages: Range<usize>, object, offset| Area {
                pages,
                protection: segment.protection,
                shared: false,
                object,
                offset,
            };
            if mapped_end > first {
                let offset = segment.offset & !(PAGE as u64 - 1);
                self.map_part(space, area(first..mapped_end, Object::File(self.mapped.clone()), offset))
                    .await?;
                if end > file_end && segment.protection.write {
                    // To the end of the page, as Linux does: a linker takes memory from there.
                    program::zero(file_end, mapped_end - file_end)?;
                }
            }
            let end = end.next_multiple_of(PAGE);
            if end > mapped_end {
                let area = area(mapped_end..end, Object::Anonymous, 0);
                space.borrow_mut().map(area, Backing::Anonymous)?;
            }
        }
        Ok(())
    }

    async fn map_part(&self, space: &RefCell<Space>, area: Area) -> Result<(), Errno> {
        if let Some(sealed) = self.mapped.sealed.clone().filter(|s| s.start.is_multiple_of(PAGE)) {
            return space.borrow_mut().map_sealed(area, sealed);
        }
        crate::memory::copy(space, area, &self.file).await
    }
}

/// Loads a program into its process's empty space, and sets a context to its first instruction.
///
/// # Errors
/// ENOENT, EACCES, ENOEXEC, ENOMEM, E2BIG as for execve(2); ELIBBAD (80) for an interpreter that is no program.
pub async fn load(
    thread: &Rc<Thread>,
    program: &Program,
    places: &Places,
    context: &mut Context,
) -> Result<(), Errno> {
    let space = &thread.process.space;
    let main = Image::open(thread, &program.path).await?;
    thread.process.executable.replace(Some(main.file.clone()));
    let span = main.elf.span();
    let bias = if main.elf.relocatable { places.program.wrapping_sub(span.start) } else { 0 };
    if span.start.wrapping_add(bias) < program::range().start {
        return Err(Errno::EPERM);
    }
    let reserve = main.keep(space, bias);
    main.map(space, bias).await?;
    let heap = span.end.wrapping_add(bias)
        + reserve
        + (kernlet_entropy::u64() as usize & (HEAP_RANDOM_PAGES - 1)) * PAGE;
    space.borrow_mut().set_heap(heap);
    let (mut entry, mut base) = (main.elf.entry.wrapping_add(bias), 0);
    if let Some(path) = main.interpreter().await? {
        let interpreter = Image::open(thread, &path).await.inspect_err(|error| {
            crate::report!(
                "the interpreter {} cannot be loaded: {error}",
                alloc::string::String::from_utf8_lossy(&path)
            );
        })?;
        let span = interpreter.elf.span();
        if interpreter.elf.relocatable {
            let reserve = rewrite::reserve(interpreter.mapped.device, interpreter.mapped.inode);
            base = space.borrow().place(0, span.end - span.start + reserve)?.wrapping_sub(span.start);
        }
        interpreter.keep(space, base);
        interpreter.map(space, base).await?;
        entry = interpreter.elf.entry.wrapping_add(base);
    }
    let stack = Area {
        pages: places.stack - STACK..places.stack,
        protection: Protection { execute: main.elf.executable_stack, ..Protection::READ_WRITE },
        shared: false,
        object: Object::Stack,
        offset: 0,
    };
    space.borrow_mut().map(stack, Backing::Anonymous)?;
    let vdso = Area {
        pages: places.vdso..places.vdso + PAGE,
        protection: Protection::READ_EXECUTE,
        shared: false,
        object: Object::Vdso,
        offset: 0,
    };
    // Without it a program makes system calls.
    let vdso = space.borrow_mut().map(vdso, Backing::Vdso).map_or(0, |()| places.vdso);
    let facts = stack::Facts {
        headers: main.elf.headers.0.wrapping_add(bias),
        header_count: main.elf.headers.1,
        base,
        entry: main.elf.entry.wrapping_add(bias),
        vdso,
    };
    context.registers.rsp = stack::fill(&thread.process, places.stack, program, &facts)? as u64;
    context.registers.rip = entry as u64;
    Ok(())
}
