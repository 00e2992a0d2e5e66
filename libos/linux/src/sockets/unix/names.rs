//! Who is bound to which name.

use super::end::End;
use crate::Errno;
use crate::sockets::address::Name;
use crate::thread::Thread;
use alloc::collections::BTreeMap;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use kernlet_platform::cpu::CpuLocal;

/// How many names there are to choose from (unix_autobind in net/unix/af_unix.c).
const CHOSEN: u32 = 1 << 20;

#[derive(Default)]
struct Names {
    all: RefCell<BTreeMap<Name, Weak<End>>>,
    next: Cell<u32>,
}

static NAMES: CpuLocal<Names> = CpuLocal::new(Names::default);

/// Binds `end` to a name, which is chosen when it has none; gives the name as the program is told it.
///
/// # Errors
/// EADDRINUSE; ENOSPC when there is no name left to choose.
pub fn claim(thread: &Thread, name: Name, end: &Rc<End>) -> Result<Name, Errno> {
    let names = NAMES.get();
    let name = match name {
        Name::Unnamed => choose(names).ok_or(Errno::ENOSPC)?,
        name => name,
    };
    let key = key(thread, &name);
    let mut all = names.all.borrow_mut();
    if all.get(&key).is_some_and(|end| end.strong_count() > 0) {
        return Err(Errno::EADDRINUSE);
    }
    all.insert(key, Rc::downgrade(end));
    Ok(name)
}

fn choose(names: &Names) -> Option<Name> {
    let all = names.all.borrow();
    (0..CHOSEN).find_map(|_| {
        let number = names.next.get();
        names.next.set((number + 1) % CHOSEN);
        let name = Name::Abstract(alloc::format!("{number:05x}").into_bytes());
        (!all.contains_key(&name)).then_some(name)
    })
}

/// The name under which it is kept: paths are absolute.
fn key(thread: &Thread, name: &Name) -> Name {
    match name {
        Name::Path(path) if path.first() != Some(&b'/') => {
            let around = thread.process.files.working_directory.borrow();
            let mut whole: Vec<u8> = around.as_ref().and_then(|l| l.path()).unwrap_or_default();
            if whole.last() != Some(&b'/') {
                whole.push(b'/');
            }
            whole.extend_from_slice(path);
            Name::Path(whole)
        }
        name => name.clone(),
    }
}

/// Who is bound to a name.
///
/// # Errors
/// ECONNREFUSED, or ENOENT for a path.
pub fn find(thread: &Thread, name: &Name) -> Result<Rc<End>, Errno> {
    let none = if matches!(name, Name::Path(_)) { Errno::ENOENT } else { Errno::ECONNREFUSED };
    let found = NAMES.get().all.borrow().get(&key(thread, name)).map(Weak::upgrade);
    found.ok_or(none)?.ok_or(Errno::ECONNREFUSED)
}

/// Nobody is bound to a name any more.
pub fn release(name: &Name) {
    // A path stays, as a file that leads nowhere.
    if let Name::Abstract(_) = name {
        NAMES.get().all.borrow_mut().remove(name);
    }
}
