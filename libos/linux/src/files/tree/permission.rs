//! Who may do what with a node (path_resolution(7), "Permissions").
//!
//! The super-user may do everything, but execute only what somebody may execute. Volumes are not asked here: the host, which
//! has their files, allows and refuses.

use super::node::{Node, S_IFDIR, S_IFMT, S_IFREG};
use crate::Errno;
use crate::system::Credentials;
use alloc::vec::Vec;
use kernlet_platform::cell::RefCell;

/// Ways to use a node: the bits of access(2) and of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(pub u32);

impl Access {
    /// Looking up names in a directory; running a file.
    pub const EXECUTE: Self = Self(1);
    /// Changing.
    pub const WRITE: Self = Self(2);
    /// Reading.
    pub const READ: Self = Self(4);
    /// Making and removing names in a directory.
    pub const CHANGE: Self = Self(3);

    /// Those of either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Other groups; nobody's are asked for the super-user.
    others: Vec<u32>,
}

impl Who {
    /// Who a process is when it uses files: the effective user, unless setfsuid(2) has changed that.
    pub fn of(credentials: &RefCell<Credentials>) -> Self {
        let credentials = credentials.borrow();
        Self::with(&credentials, credentials.filesystem)
    }

    /// Who a process really is: access(2).
    pub fn really(credentials: &RefCell<Credentials>) -> Self {
        let credentials = credentials.borrow();
        Self::with(&credentials, [credentials.users[0], credentials.groups[0]])
    }

    fn with(credentials: &Credentials, [user, group]: [u32; 2]) -> Self {
        let others = if user == 0 { Vec::new() } else { credentials.others.clone() };
        Self { user, group, others }
    }

    /// Whether it is the super-user.
    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Whether it is in a group.
    pub fn is_in(&self, group: u32) -> bool {
        self.group == group || self.others.contains(&group)
    }

    /// Whether it owns a node, or may do as if.
    ///
    /// # Errors
    /// EPERM.
    pub fn owns(&self, node: &Node) -> Result<(), Errno> {
        if self.is_root() || node.owner.get().0 == self.user { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether it may use a node so.
    ///
    /// # Errors
    /// EACCES.
    pub fn may(&self, node: &Node, how: Access) -> Result<(), Errno> {
        self.may_with(node.mode.get(), node.owner.get(), how)
    }

    /// The same, by mode and owner.
    ///
    /// # Errors
    /// EACCES.
    pub fn may_with(&self, mode: u32, owner: (u32, u32), how: Access) -> Result<(), Errno> {
        if self.is_root() {
            let executes = how.0 & Access::EXECUTE.0 != 0 && mode & S_IFMT == S_IFREG;
            return if executes && mode & 0o111 == 0 { Err(Errno::EACCES) } else { Ok(()) };
        }
        let bits = match owner {
            (user, _) if user == self.user => mode >> 6,
            (_, group) if self.is_in(group) => mode >> 3,
            _ => mode,
        };
        if bits & how.0 == how.0 { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether it may take the name of `node` out of a directory, as far as the sticky bit has a say.
    ///
    /// # Errors
    /// EPERM.
    pub fn may_unlink(&self, around: &Node, node: &Node) -> Result<(), Errno> {
        let sticky = around.mode.get() & (0o1000 | S_IFMT) == 0o1000 | S_IFDIR;
        if !sticky || around.owner.get().0 == self.user { Ok(()) } else { self.owns(node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: u32, group: u32, others: &[u32]) -> Who {
        let credentials = Credentials { others: others.to_vec(), ..Credentials::of(user, group) };
        Who::of(&RefCell::new(credentials))
    }

    #[test]
    fn files_are_used_as_who_setfsuid_says() {
        let credentials = RefCell::new(Credentials::of(0, 0));
        credentials.borrow_mut().set_filesystem(0, 9);
        let asked = |who: Who| who.may_with(S_IFREG | 0o640, (5, 6), Access::READ);
        assert_eq!(asked(Who::of(&credentials)), Err(Errno::EACCES));
        assert_eq!(asked(Who::really(&credentials)), Ok(()));
    }

    #[test]
    fn only_the_first_class_that_fits_is_asked() {
        let mode = S_IFREG | 0o047;
        let owner = (5, 6);
        assert_eq!(who(5, 6, &[]).may_with(mode, owner, Access::READ), Err(Errno::EACCES));
        assert_eq!(who(4, 6, &[]).may_with(mode, owner, Access::READ), Ok(()));
        assert_eq!(who(4, 6, &[]).may_with(mode, owner, Access::WRITE), Err(Errno::EACCES));
        assert_eq!(who(4, 1, &[9, 6]).may_with(mode, owner, Access::WRITE), Err(Errno::EACCES));
        assert_eq!(who(4, 1, &[]).may_with(mode, owner, Access::WRITE), Ok(()));
    }

    #[test]
    fn the_super_user_executes_what_somebody_may_execute() {
        assert_eq!(who(0, 0, &[]).may_with(S_IFREG | 0o600, (5, 5), Access::EXECUTE), Err(Errno::EACCES));
        assert_eq!(who(0, 0, &[]).may_with(S_IFREG | 0o001, (5, 5), Access::EXECUTE), Ok(()));
        assert_eq!(who(0, 0, &[]).may_with(S_IFDIR, (5, 5), Access::EXECUTE), Ok(()));
    }
}
