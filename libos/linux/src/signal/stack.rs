//! The alternate stack of handlers (sigaltstack(2)).

use super::ThreadSignals;
use crate::call::{Call, Outcome};
use crate::{Errno, user};

/// SS_ONSTACK: it is in use.
pub const ONSTACK: u32 = 1;
/// SS_DISABLE: there is none.
pub const DISABLE: u32 = 2;
/// SS_AUTODISARM: it is forgotten while a handler runs on it.
pub const AUTODISARM: u32 = 1 << 31;
/// MINSIGSTKSZ as the kernel checks it.
const LEAST: u64 = 2048;

/// An alternate stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its lowest address.
    pub start: u64,
    /// Bytes; 0: there is none.
    pub length: u64,
    /// The flags that it was set with.
    pub flags: u32,
}

impl Default for Alternate {
    fn default() -> Self {
        Self::NONE
    }
}

impl Alternate {
    /// There is none.
    pub const NONE: Self = Self { start: 0, length: 0, flags: DISABLE };

    /// Whether a stack pointer lies in it.
    pub fn holds(&self, pointer: u64) -> bool {
        pointer > self.start && pointer - self.start <= self.length
    }

    /// Whether a thread with this stack pointer runs on it.
    pub fn in_use(&self, pointer: u64) -> bool {
        self.flags & AUTODISARM == 0 && self.holds(pointer)
    }

    /// Where a handler's frame goes if it is to be on this stack; `None`: where the thread's stack is now.
    pub fn top(&self, pointer: u64) -> Option<u64> {
        (self.length > 0 && !self.in_use(pointer)).then(|| self.start.wrapping_add(self.length))
    }

    /// As struct stack_t, with what a thread with this stack pointer sees.
    fn told(&self, pointer: u64) -> [u64; 3] {
        let state = match self {
            Self { length: 0, .. } => DISABLE,
            _ if self.in_use(pointer) => ONSTACK,
            _ => 0,
        };
        [self.start, (state | self.flags & AUTODISARM).into(), self.length]
    }

    /// As struct stack_t in a signal frame.
    pub fn words(&self) -> [u64; 3] {
        [self.start, self.flags.into(), self.length]
    }
}

/// Sets the stack that struct stack_t gives.
///
/// # Errors
/// EPERM while it runs on the one it has; EINVAL; ENOMEM for one that is too small.
pub fn set(signals: &ThreadSignals, pointer: u64, words: [u64; 3]) -> Result<(), Errno> {
    let [start, flags, length] = words;
    let flags = flags as u32;
    let old = signals.alternate.get();
    if old.in_use(pointer) {
        return Err(Errno::EPERM);
    }
    let new = match flags & !AUTODISARM {
        DISABLE => Alternate { flags, ..Alternate::NONE },
        0 | ONSTACK if length < LEAST => return Err(Errno::ENOMEM),
        0 | ONSTACK => Alternate { start, length, flags },
        _ => return Err(Errno::EINVAL),
    };
    signals.alternate.set(new);
    Ok(())
}

/// Handles sigaltstack for a thread with this stack pointer.
pub fn call(signals: &ThreadSignals, pointer: u64, call: Call) -> Outcome {
    let (new, old) = (call.size(0), call.size(1));
    let told = signals.alternate.get().told(pointer);
    if new != 0 {
        set(signals, pointer, user::read_words(new)?)?;
    }
    if old != 0 {
        user::write_words(old, &told)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_in_use_is_kept_unless_it_disarms_itself() {
        let signals = ThreadSignals::default();
        assert_eq!(signals.alternate.get().told(5), [0, 2, 0]);
        assert_eq!(set(&signals, 0, [0x1000, 0, 2047]), Err(Errno::ENOMEM));
        assert_eq!(set(&signals, 0, [0x1000, 4, 4096]), Err(Errno::EINVAL));
        set(&signals, 0, [0x1000, 0, 4096]).unwrap();
        let stack = signals.alternate.get();
        assert_eq!((stack.top(0x5000), stack.top(0x1800)), (Some(0x2000), None));
        assert_eq!((stack.told(0x2000)[1], stack.told(0x1000)[1]), (1, 0));
        assert_eq!(set(&signals, 0x1800, [0, 2, 0]), Err(Errno::EPERM));
        set(&signals, 0x5000, [0x1000, (AUTODISARM | ONSTACK).into(), 4096]).unwrap();
        assert_eq!(signals.alternate.get().told(0x1800)[1], u64::from(AUTODISARM));
        set(&signals, 0x1800, [7, 2, 7]).unwrap();
        assert_eq!(signals.alternate.get(), Alternate::NONE);
    }
}
