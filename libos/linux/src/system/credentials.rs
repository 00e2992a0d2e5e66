//! Who a process is, and what it may therefore do (credentials(7), capabilities(7)).

use crate::Errno;
use alloc::vec::Vec;

/// CAP_SETGID.
pub const SETGID: u32 = 6;
/// CAP_SETUID.
pub const SETUID: u32 = 7;
/// CAP_SETPCAP.
pub const SETPCAP: u32 = 8;
/// CAP_IPC_LOCK.
pub const IPC_LOCK: u32 = 14;
/// CAP_SYS_NICE.
pub const SYS_NICE: u32 = 23;
/// CAP_SYS_RESOURCE.
pub const SYS_RESOURCE: u32 = 24;
/// CAP_SYSLOG.
pub const SYSLOG: u32 = 34;
/// CAP_LAST_CAP.
pub const LAST: u32 = 40;
/// All that there are.
pub const ALL: u64 = (1 << (LAST + 1)) - 1;
/// What root has: what Docker gives it (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE,
/// NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP), and SYS_RESOURCE and IPC_LOCK, as limits are the instance's own.
pub const ROOT: u64 = 0xa804_25fb | 1 << SYS_RESOURCE | 1 << IPC_LOCK;
/// An argument that leaves an identity as it is.
const SAME: u32 = u32::MAX;

/// Sets of capabilities, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Those that count.
    pub effective: u64,
    /// Those that may be made effective.
    pub permitted: u64,
    /// Those that survive execve(2).
    pub inheritable: u64,
    /// Those that can ever be had.
    pub bounding: u64,
}

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective and saved user.
    pub users: [u32; 3],
    /// Real, effective and saved group.
    pub groups: [u32; 3],
    /// Other groups.
    pub others: Vec<u32>,
    /// User and group by which files are reached; they follow the effective ones.
    pub filesystem: [u32; 2],
    /// What it may do.
    pub capabilities: Capabilities,
    /// Capabilities stay permitted when it stops being root (PR_SET_KEEPCAPS).
    pub keep: bool,
}

impl Credentials {
    /// All the same user and group; root has what [`ROOT`] says.
    pub fn of(user: u32, group: u32) -> Self {
        let has = if user == 0 { ROOT } else { 0 };
        let capabilities = Capabilities { effective: has, permitted: has, inheritable: 0, bounding: ROOT };
        Self {
            users: [user; 3],
            groups: [group; 3],
            others: Vec::new(),
            filesystem: [user, group],
            capabilities,
            keep: false,
        }
    }

    /// Whether it has an effective capability.
    pub fn can(&self, capability: u32) -> bool {
        self.capabilities.effective >> capability & 1 == 1
    }

    /// Checks that it has an effective capability.
    ///
    /// # Errors
    /// EPERM.
    pub fn need(&self, capability: u32) -> Result<(), Errno> {
        if self.can(capability) { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn become_users(&mut self, users: [u32; 3]) {
        let old = core::mem::replace(&mut self.users, users);
        self.filesystem[0] = users[1];
        // As cap_emulate_setxuid of security/commoncap.c.
        let capabilities = &mut self.capabilities;
        if old.contains(&0) && !users.contains(&0) && !self.keep {
            capabilities.permitted = 0;
            capabilities.effective = 0;
        }
        if old[1] == 0 && users[1] != 0 {
            capabilities.effective = 0;
        } else if old[1] != 0 && users[1] == 0 {
            capabilities.effective = capabilities.permitted;
        }
    }

    fn become_groups(&mut self, groups: [u32; 3]) {
        self.groups = groups;
        self.filesystem[1] = groups[1];
    }

    /// setuid(2).
    ///
    /// # Errors
    /// EINVAL, EPERM.
    pub fn set_user(&mut self, user: u32) -> Result<(), Errno> {
        let users = set_one(self.users, user, self.can(SETUID))?;
        self.become_users(users);
        Ok(())
    }

    /// setgid(2).
    ///
    /// # Errors
    /// EINVAL, EPERM.
    pub fn set_group(&mut self, group: u32) -> Result<(), Errno> {
        let groups = set_one(self.groups, group, self.can(SETGID))?;
        self.become_groups(groups);
        Ok(())
    }

    /// setreuid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_two_users(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let users = set_two(self.users, [real, effective], self.can(SETUID))?;
        self.become_users(users);
        Ok(())
    }

    /// setregid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_two_groups(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let groups = set_two(self.groups, [real, effective], self.can(SETGID))?;
        self.become_groups(groups);
        Ok(())
    }

    /// setresuid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_users(&mut self, to: [u32; 3]) -> Result<(), Errno> {
        let users = set_three(self.users, to, self.can(SETUID))?;
        self.become_users(users);
        Ok(())
    }

    /// setresgid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_groups(&mut self, to: [u32; 3]) -> Result<(), Errno> {
        let groups = set_three(self.groups, to, self.can(SETGID))?;
        self.become_groups(groups);
        Ok(())
    }

    /// setfsuid(2) with `which` 0, setfsgid(2) with 1: gives the old one, whether it was changed or not.
    pub fn set_filesystem(&mut self, which: usize, to: u32) -> u32 {
        let (own, capability) = if which == 0 { (self.users, SETUID) } else { (self.groups, SETGID) };
        let old = self.filesystem[which];
        if to != SAME && (own.contains(&to) || to == old || self.can(capability)) {
            self.filesystem[which] = to;
        }
        old
    }

    /// capset(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_capabilities(
        &mut self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<(), Errno> {
        let old = self.capabilities;
        let beyond = |set: u64, of: u64| set & !of != 0;
        if beyond(permitted, old.permitted)
            || beyond(effective, permitted)
            || beyond(inheritable, old.inheritable | old.bounding)
            || !self.can(SETPCAP) && beyond(inheritable, old.inheritable | old.permitted)
        {
            return Err(Errno::EPERM);
        }
        self.capabilities = Capabilities { effective, permitted, inheritable, bounding: old.bounding };
        Ok(())
    }
}

fn set_one(old: [u32; 3], to: u32, privileged: bool) -> Result<[u32; 3], Errno> {
    match to {
        SAME => Err(Errno::EINVAL),
        _ if privileged => Ok([to; 3]),
        _ if to == old[0] || to == old[2] => Ok([old[0], to, old[2]]),
        _ => Err(Errno::EPERM),
    }
}

fn set_two(old: [u32; 3], to: [u32; 2], privileged: bool) -> Result<[u32; 3], Errno> {
    let allowed = (to[0] == SAME || old[..2].contains(&to[0])) && (to[1] == SAME || old.contains(&to[1]));
    if !privileged && !allowed {
        return Err(Errno::EPERM);
    }
    let pick = |i: usize| if to[i] == SAME { old[i] } else { to[i] };
    let follows = to[0] != SAME || (to[1] != SAME && to[1] != old[0]);
    Ok([pick(0), pick(1), if follows { pick(1) } else { old[2] }])
}

fn set_three(old: [u32; 3], to: [u32; 3], privileged: bool) -> Result<[u32; 3], Errno> {
    if !privileged && to.iter().any(|&id| id != SAME && !old.contains(&id)) {
        return Err(Errno::EPERM);
    }
    Ok(core::array::from_fn(|i| if to[i] == SAME { old[i] } else { to[i] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_a_user_for_good() {
        let mut who = Credentials::of(0, 0);
        who.set_groups([7; 3]).unwrap();
        who.set_user(5).unwrap();
        assert_eq!((who.users, who.groups, who.filesystem), ([5; 3], [7; 3], [5, 7]));
        assert_eq!((who.capabilities.effective, who.capabilities.permitted), (0, 0));
        assert_eq!(who.set_user(0), Err(Errno::EPERM));
        assert_eq!(who.set_users([SAME, SAME, 5]), Ok(()));
        assert_eq!(who.need(SETUID), Err(Errno::EPERM));
    }

    #[test]
    fn an_effective_user_alone_can_come_back() {
        let mut who = Credentials::of(0, 0);
        who.set_users([SAME, 5, SAME]).unwrap();
        assert!(!who.can(SETUID) && who.capabilities.permitted == ROOT);
        assert_eq!(who.set_group(3), Err(Errno::EPERM));
        who.set_user(0).unwrap();
        assert!(who.can(SETUID));
        assert_eq!(who.users, [0; 3]);
    }

    #[test]
    fn capabilities_are_kept_when_asked_for() {
        let mut who = Credentials::of(0, 0);
        who.keep = true;
        who.set_user(5).unwrap();
        assert_eq!((who.capabilities.effective, who.capabilities.permitted), (0, ROOT));
        who.set_capabilities(1 << SETUID, 1 << SETUID, 0).unwrap();
        assert!(who.can(SETUID));
        assert_eq!(who.set_capabilities(ALL, ALL, 0), Err(Errno::EPERM));
        assert_eq!(who.set_capabilities(3, 1 << SETUID, 0), Err(Errno::EPERM));
    }

    #[test]
    fn real_and_effective_are_set_together() {
        let mut who = Credentials { users: [1, 2, 3], ..Credentials::of(1, 1) };
        assert_eq!(who.set_two_users(3, SAME), Err(Errno::EPERM));
        who.set_two_users(SAME, 3).unwrap();
        assert_eq!(who.users, [1, 3, 3]);
        who.set_two_users(SAME, 1).unwrap();
        assert_eq!(who.users, [1, 1, 3]);
        assert_eq!(who.set_filesystem(0, 9), 1);
        assert_eq!(who.set_filesystem(0, SAME), 1);
    }
}
