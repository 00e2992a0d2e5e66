//! Who is bound to which name.

use super::end::End;
use crate::Errno;
use crate::files::{self, tree};
use crate::sockets::address::Name;
use crate::thread::Thread;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::cell::Cell;
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_sync::SmallMap;

/// How many names there are to choose from (unix_autobind in net/unix/af_unix.c).
const CHOSEN: u32 = 1 << 20;

/// Abstract names. A path's socket is known by its file.
#[derive(Default)]
struct Names {
    all: RefCell<SmallMap<Vec<u8>, Weak<End>>>,
    next: Cell<u32>,
}

static NAMES: CpuLocal<Names> = CpuLocal::new(Names::default);

/// Binds `end` to a name, which is chosen when it has none; gives the name as the program is told it.
///
/// # Errors
/// EADDRINUSE; ENOSPC when there is no name left to choose; those of making a file.
pub async fn claim(thread: &Thread, name: Name, end: &Rc<End>) -> Result<Name, Errno> {
    let names = NAMES.get();
    let name = match name {
        Name::Unnamed => choose(names).ok_or(Errno::ENOSPC)?,
        Name::Path(path) => {
            let node = files::bind(thread, &path).await?;
            if let tree::Kind::Socket(bound) = &node.kind {
                let known: Weak<dyn Any> = Rc::<End>::downgrade(end);
                *bound.borrow_mut() = Some(known);
            }
            *end.place.borrow_mut() = Some(node);
            return Ok(Name::Path(path));
        }
        Name::Abstract(name) => name,
    };
    let mut all = names.all.borrow_mut();
    if all.get(&name).is_some_and(|end| end.strong_count() > 0) {
        return Err(Errno::EADDRINUSE);
    }
    all.insert(name.clone(), Rc::downgrade(end));
    Ok(Name::Abstract(name))
}

fn choose(names: &Names) -> Option<Vec<u8>> {
    let all = names.all.borrow();
    (0..CHOSEN).find_map(|_| {
        let number = names.next.get();
        names.next.set((number + 1) % CHOSEN);
        let name = alloc::format!("{number:05x}").into_bytes();
        (!all.contains_key(&name)).then_some(name)
    })
}

/// Who is bound to a name.
///
/// # Errors
/// ECONNREFUSED; those of finding a file.
pub async fn find(thread: &Thread, name: &Name) -> Result<Rc<End>, Errno> {
    let found = match name {
        Name::Unnamed => return Err(Errno::EINVAL),
        Name::Abstract(name) => NAMES.get().all.borrow().get(name).and_then(Weak::upgrade),
        Name::Path(path) => {
            let node = files::socket(thread, path).await?;
            match &node.kind {
                tree::Kind::Socket(bound) => bound.borrow().as_ref().and_then(Weak::upgrade),
                _ => None,
            }
            .and_then(|end| end.downcast::<End>().ok())
        }
    };
    found.ok_or(Errno::ECONNREFUSED)
}

/// Nobody is bound to a name any more. A path stays, as a file that leads nowhere.
pub fn release(name: &Name) {
    if let Name::Abstract(name) = name {
        NAMES.get().all.borrow_mut().remove(name);
    }
}
