//! What a signal tells (siginfo_t of sigaction(2)).

/// Where signals come from: si_code.
pub mod code {
    /// kill(2).
    pub const USER: i32 = 0;
    /// The kernel.
    pub const KERNEL: i32 = 0x80;
    /// sigqueue(3).
    pub const QUEUE: i32 = -1;
    /// A POSIX timer.
    pub const TIMER: i32 = -2;
    /// mq_notify(2).
    pub const QUEUE_OF_MESSAGES: i32 = -3;
    /// tgkill(2).
    pub const TKILL: i32 = -6;
}

/// Bytes of a siginfo_t.
pub const LENGTH: usize = 128;
/// How many of them mean something (struct kernel_siginfo).
const MEANT: usize = 48;

/// What a signal tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Information {
    /// Which signal it is.
    pub number: u8,
    /// si_errno.
    pub error: i32,
    /// si_code; see [`code`].
    pub code: i32,
    /// What depends on that: 32 bytes from offset 16 on.
    pub rest: [u64; 4],
}

impl Information {
    /// Sent by a process of this number and user.
    pub fn sent(number: u8, code: i32, process: u32, user: u32) -> Self {
        let rest = [u64::from(process) | u64::from(user) << 32, 0, 0, 0];
        Self { number, error: 0, code, rest }
    }

    /// From the kernel, for no reason that is told.
    pub fn kernel(number: u8) -> Self {
        Self { number, code: code::KERNEL, ..Self::default() }
    }

    /// Of a fault at an address.
    pub fn fault(number: u8, code: i32, address: u64) -> Self {
        Self { number, error: 0, code, rest: [address, 0, 0, 0] }
    }

    /// Of a timer.
    pub fn timer(number: u8, timer: u32, value: u64) -> Self {
        Self { number, error: 0, code: code::TIMER, rest: [timer.into(), value, 0, 0] }
    }

    /// The timer that sent it.
    pub fn of_timer(&self) -> Option<u32> {
        (self.code == code::TIMER).then_some(self.rest[0] as u32)
    }

    /// Adds expirations of its timer that are not told by signals of their own (timer_getoverrun(2)).
    pub fn overrun(&mut self, more: u64) {
        let most = i32::MAX as u64;
        let sum = (self.rest[0] >> 32).saturating_add(more).min(most);
        self.rest[0] = self.rest[0] & u64::from(u32::MAX) | sum << 32;
    }

    /// As the program sees it.
    pub fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0..4].copy_from_slice(&i32::from(self.number).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.error.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (i, word) in self.rest.into_iter().enumerate() {
            bytes[16 + 8 * i..][..8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What a program gives to sigqueue(3) for a signal; `None` when it has more to tell than can be kept.
    pub fn given(number: u8, bytes: &[u8; LENGTH]) -> Option<Self> {
        let int = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (words, _) = bytes[16..MEANT].as_chunks::<8>();
        let rest = core::array::from_fn(|i| u64::from_le_bytes(words[i]));
        let known = bytes[MEANT..].iter().all(|&b| b == 0);
        known.then_some(Self { number, error: int(4), code: int(8), rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_lies_where_the_headers_say() {
        let told = Information { error: 3, ..Information::sent(10, code::QUEUE, 0x11, 0x22) };
        let bytes = told.bytes();
        assert_eq!(bytes[..12], [10, 0, 0, 0, 3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(bytes[16..24], [0x11, 0, 0, 0, 0x22, 0, 0, 0]);
        assert_eq!(Information::given(10, &bytes), Some(told));
        let mut more = bytes;
        more[100] = 1;
        assert_eq!(Information::given(10, &more), None);
    }

    #[test]
    fn overruns_add_up_to_a_limit() {
        let mut told = Information::timer(14, 7, 9);
        told.overrun(2);
        told.overrun(3);
        assert_eq!((told.of_timer(), told.bytes()[20..24].to_vec()), (Some(7), std::vec![5, 0, 0, 0]));
        told.overrun(u64::MAX);
        assert_eq!(told.bytes()[20..24], i32::MAX.to_le_bytes());
    }
}
