//! Descriptors.

use super::console::Console;
use super::description::{Description, Kind};
use super::flags::READ_WRITE;
use super::tree::{Location, Tree};
use crate::Errno;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;

/// A descriptor.
#[derive(Clone)]
pub struct Slot {
    /// What it refers to.
    pub description: Rc<Description>,
    /// FD_CLOEXEC.
    pub close_on_exec: bool,
}

/// The table of a process.
#[derive(Default)]
pub struct Table {
    slots: Vec<Option<Slot>>,
    /// No free slot lies below.
    lowest: usize,
    /// The soft limit RLIMIT_NOFILE.
    pub limit: usize,
}

impl Table {
    /// What a descriptor refers to.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, descriptor: i32) -> Result<&Slot, Errno> {
        let index = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        self.slots.get(index).and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    /// The same, to change.
    ///
    /// # Errors
    /// EBADF.
    pub fn get_mut(&mut self, descriptor: i32) -> Result<&mut Slot, Errno> {
        let index = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        self.slots.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// Gives a description the lowest free descriptor from `least` on.
    ///
    /// # Errors
    /// EMFILE; EINVAL when `least` is beyond the limit.
    pub fn insert(
        &mut self,
        description: Rc<Description>,
        close_on_exec: bool,
        least: usize,
    ) -> Result<i32, Errno> {
        if least >= self.limit {
            return Err(if least == 0 { Errno::EMFILE } else { Errno::EINVAL });
        }
        let from = least.max(self.lowest);
        let index =
            (from..self.slots.len()).find(|&i| self.slots[i].is_none()).unwrap_or(self.slots.len().max(from));
        if index >= self.limit {
            return Err(Errno::EMFILE);
        }
        self.place(index, Slot { description, close_on_exec });
        if from == self.lowest {
            self.lowest = index + 1;
        }
        Ok(index as i32)
    }

    /// Gives a description this descriptor; what it referred to is returned, to be dropped when nothing is borrowed.
    ///
    /// # Errors
    /// EBADF beyond the limit.
    pub fn replace(
        &mut self,
        descriptor: i32,
        description: Rc<Description>,
        close_on_exec: bool,
    ) -> Result<Option<Slot>, Errno> {
        let index = usize::try_from(descriptor).ok().filter(|&i| i < self.limit).ok_or(Errno::EBADF)?;
        Ok(self.place(index, Slot { description, close_on_exec }))
    }

    fn place(&mut self, index: usize, slot: Slot) -> Option<Slot> {
        if index >= self.slots.len() {
            self.slots.resize(index + 1, None);
        }
        self.slots[index].replace(slot)
    }

    /// Takes a descriptor away; what it referred to is returned, to be dropped when nothing is borrowed.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&mut self, descriptor: i32) -> Result<Slot, Errno> {
        let index = usize::try_from(descriptor).map_err(|_| Errno::EBADF)?;
        let slot = self.slots.get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.lowest = self.lowest.min(index);
        Ok(slot)
    }

    /// The descriptors that are open.
    pub fn open(&self) -> impl Iterator<Item = (i32, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(i, slot)| Some((i as i32, slot.as_ref()?)))
    }
}

/// What a process has of files.
pub struct Files {
    /// Its descriptors.
    pub table: RefCell<Table>,
    /// Its working directory; `None`: the top.
    pub working_directory: RefCell<Option<Location>>,
    /// Permission bits that new files do not get.
    pub umask: Cell<u32>,
    /// All files there are.
    pub tree: Rc<Tree>,
    console: Rc<Console>,
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// Standard input, output and error, working directory `/`.
    pub fn new() -> Self {
        let mut table = Table { limit: 1024, ..Table::default() };
        let [input, output, error, console] = Console::standard();
        for (console, flags) in [(input, 0), (output, 1), (error, 1)] {
            let flags = if console.is_terminal() { READ_WRITE } else { flags };
            let placed = table.insert(Description::new(Kind::Console(console), flags), false, 0);
            debug_assert!(placed.is_ok(), "an empty table has room");
        }
        Self {
            table: RefCell::new(table),
            working_directory: RefCell::new(None),
            umask: Cell::new(0o022),
            tree: Tree::new(),
            console,
        }
    }

    /// The instance's console: its terminal, or standard input and output together.
    pub fn console(&self) -> &Rc<Console> {
        &self.console
    }

    /// What a descriptor refers to.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, descriptor: i32) -> Result<Rc<Description>, Errno> {
        self.table.borrow().get(descriptor).map(|slot| slot.description.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_descriptor_is_given() {
        let files = Files::new();
        let one = files.get(1).unwrap();
        let mut table = files.table.borrow_mut();
        assert_eq!(table.insert(one.clone(), false, 0), Ok(3));
        assert_eq!(table.insert(one.clone(), false, 10), Ok(10));
        assert!(table.close(0).is_ok());
        assert_eq!(table.insert(one.clone(), true, 0), Ok(0));
        assert_eq!(table.insert(one.clone(), false, 0), Ok(4));
        assert!(table.get(0).unwrap().close_on_exec);
        assert_eq!(table.close(7).map(drop), Err(Errno::EBADF));
        assert_eq!(table.get(-1).map(drop), Err(Errno::EBADF));
    }

    #[test]
    fn a_table_that_is_full_says_so() {
        let files = Files::new();
        let one = files.get(1).unwrap();
        let mut table = files.table.borrow_mut();
        table.limit = 5;
        assert_eq!(table.insert(one.clone(), false, 0), Ok(3));
        assert_eq!(table.insert(one.clone(), false, 0), Ok(4));
        assert_eq!(table.insert(one.clone(), false, 0), Err(Errno::EMFILE));
        assert_eq!(table.insert(one.clone(), false, 5), Err(Errno::EINVAL));
        assert_eq!(table.replace(5, one, false).map(drop), Err(Errno::EBADF));
    }
}
