//! What a program finds on its stack: arguments, environment, auxiliary vector (the x86-64 psABI 3.4.1, getauxval(3)).

use super::{Program, STACK};
use crate::process::Process;
use crate::{Errno, PAGE, user};
use alloc::vec::Vec;
use kernlet_platform::program;

/// Arguments and environment may take a quarter of the stack (execve(2)).
const STRINGS_MOST: usize = STACK / 4;

/// What the auxiliary vector tells.
pub struct Facts {
    /// Where the program's program headers are.
    pub headers: usize,
    /// How many.
    pub header_count: usize,
    /// Where the interpreter is; 0 without one.
    pub base: usize,
    /// The program's own entry.
    pub entry: usize,
    /// Where the vDSO is; 0 without one.
    pub vdso: usize,
}

/// Types of the auxiliary vector's entries.
mod auxiliary {
    pub const NULL: u64 = 0;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const PAGESZ: u64 = 6;
    pub const BASE: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const UID: u64 = 11;
    pub const EUID: u64 = 12;
    pub const GID: u64 = 13;
    pub const EGID: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const HWCAP: u64 = 16;
    pub const CLKTCK: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const HWCAP2: u64 = 26;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
    pub const MINSIGSTKSZ: u64 = 51;
}

/// Bytes of a signal frame beside the extended state: siginfo, ucontext, the red zone and alignment.
const FRAME: usize = 1024;

/// Up to so many bytes are left between the strings and all else (`arch_align_stack` of Linux): where in its page a stack is
/// cannot be told before, and no program is slow each time because what it uses lies 4 KiB apart.
const GAP: usize = 8192;

/// Puts strings below `top` and returns the addresses.
struct Strings {
    at: usize,
}

impl Strings {
    fn push(&mut self, bytes: &[u8]) -> Result<u64, Errno> {
        self.at -= bytes.len() + 1;
        user::write(self.at, bytes)?;
        user::write(self.at + bytes.len(), &[0])?;
        Ok(self.at as u64)
    }
}

/// Fills the stack that ends at `top`; returns the stack pointer.
///
/// # Errors
/// E2BIG; EFAULT.
pub fn fill(process: &Process, top: usize, what: &Program, facts: &Facts) -> Result<usize, Errno> {
    let credentials = process.credentials.borrow();
    let all = || what.arguments.iter().chain(&what.environment);
    let length: usize = all().map(|s| s.len() + 1 + 8).sum();
    if length > STRINGS_MOST {
        return Err(Errno::E2BIG);
    }
    let mut strings = Strings { at: top - 8 };
    let name = strings.push(&what.path)?;
    // Last to first, so that they lie in their order.
    let mut push_all = |list: &[Vec<u8>]| -> Result<Vec<u64>, Errno> {
        let mut places = list.iter().rev().map(|s| strings.push(s)).collect::<Result<Vec<_>, _>>()?;
        places.reverse();
        Ok(places)
    };
    let environment = push_all(&what.environment)?;
    let arguments = push_all(&what.arguments)?;
    let platform = strings.push(b"x86_64")?;
    let mut random = [0; 18];
    kernlet_entropy::fill(&mut random);
    let [less, more, random @ ..] = random;
    let random_at = (strings.at - GAP + (usize::from(u16::from_le_bytes([less, more])) % GAP) - 16) & !15;
    user::write(random_at, &random)?;

    let mut words = Vec::with_capacity(64 + arguments.len() + environment.len());
    words.push(arguments.len() as u64);
    words.extend(arguments);
    words.push(0);
    words.extend(environment);
    words.push(0);
    let [users, groups] = [credentials.users, credentials.groups];
    let hardware = program::capabilities();
    let entries = [
        (auxiliary::SYSINFO_EHDR, facts.vdso as u64),
        (auxiliary::MINSIGSTKSZ, (FRAME + program::extended_length()) as u64),
        (auxiliary::HWCAP, hardware[0]),
        (auxiliary::PAGESZ, PAGE as u64),
        (auxiliary::CLKTCK, 100),
        (auxiliary::PHDR, facts.headers as u64),
        (auxiliary::PHENT, 56),
        (auxiliary::PHNUM, facts.header_count as u64),
        (auxiliary::BASE, facts.base as u64),
        (auxiliary::FLAGS, 0),
        (auxiliary::ENTRY, facts.entry as u64),
        (auxiliary::UID, users[0].into()),
        (auxiliary::EUID, users[1].into()),
        (auxiliary::GID, groups[0].into()),
        (auxiliary::EGID, groups[1].into()),
        (auxiliary::SECURE, 0),
        (auxiliary::RANDOM, random_at as u64),
        (auxiliary::HWCAP2, hardware[1]),
        (auxiliary::EXECFN, name),
        (auxiliary::PLATFORM, platform),
        (auxiliary::NULL, 0),
    ];
    // An entry of 0 for the vDSO means that there is none, and is better left out.
    let there = entries.into_iter().filter(|&(kind, value)| kind != auxiliary::SYSINFO_EHDR || value != 0);
    let entries: Vec<u64> = there.flat_map(|(kind, value)| [kind, value]).collect();
    words.extend_from_slice(&entries);
    *process.auxiliary.borrow_mut() = entries;
    let stack = (random_at - 8 * words.len()) & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    user::write(stack, &bytes)?;
    process.stack.set(stack);
    Ok(stack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Space;
    use crate::system::Credentials;
    use alloc::rc::Rc;

    fn process(user: u32, group: u32) -> Rc<Process> {
        Process::new(Space::new(0x1000_0000), Credentials::of(user, group), false)
    }

    fn word(at: usize) -> u64 {
        user::read_u64(at).unwrap()
    }

    fn text(at: u64) -> std::string::String {
        std::string::String::from_utf8(user::string(at as usize, 4096).unwrap()).unwrap()
    }

    #[test]
    fn a_program_finds_arguments_environment_and_auxiliary_vector() {
        let memory = std::vec![0u8; 1 << 16];
        let top = (memory.as_ptr() as usize + memory.len()) & !15;
        let what = Program {
            path: b"/bin/x".to_vec(),
            arguments: std::vec![b"x".to_vec(), b"two".to_vec()],
            environment: std::vec![b"A=b".to_vec()],
        };
        let facts = Facts { headers: 64, header_count: 3, base: 0x7000, entry: 0x1234, vdso: 0 };
        let stack = fill(&process(5, 6), top, &what, &facts).unwrap();
        assert!(stack.is_multiple_of(16));
        assert_eq!(word(stack), 2);
        assert_eq!(text(word(stack + 8)), "x");
        assert_eq!(text(word(stack + 16)), "two");
        assert_eq!(word(stack + 24), 0);
        assert_eq!(text(word(stack + 32)), "A=b");
        let find = |kind| {
            (0..).map(|i| stack + 48 + 16 * i).find(|&at| word(at) == kind).map(|at| word(at + 8)).unwrap()
        };
        assert_eq!((find(3), find(5), find(7), find(9), find(11), find(14)), (64, 3, 0x7000, 0x1234, 5, 6));
        assert_eq!(text(find(31)), "/bin/x");
        core::hint::black_box(memory);
    }

    #[test]
    fn where_in_its_page_a_stack_begins_is_random() {
        let memory = std::vec![0u8; 1 << 16];
        let top = (memory.as_ptr() as usize + memory.len()) & !15;
        let what = Program { path: b"x".to_vec(), arguments: std::vec![], environment: std::vec![] };
        let facts = Facts { headers: 0, header_count: 0, base: 0, entry: 0, vdso: 0 };
        let all: std::collections::BTreeSet<usize> =
            (0..64).map(|_| fill(&process(0, 0), top, &what, &facts).unwrap()).collect();
        assert!(all.len() > 32, "{all:?}");
        assert!(all.iter().all(|at| (top - 512 - GAP..top).contains(at)), "{top} {all:?}");
        core::hint::black_box(memory);
    }

    #[test]
    fn too_many_arguments_are_refused() {
        let what = Program {
            path: std::vec![],
            arguments: std::vec![std::vec![b'x'; STRINGS_MOST]],
            environment: std::vec![],
        };
        let facts = Facts { headers: 0, header_count: 0, base: 0, entry: 0, vdso: 0 };
        assert_eq!(fill(&process(0, 0), 0, &what, &facts), Err(Errno::E2BIG));
    }
}
