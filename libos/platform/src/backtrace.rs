//! Return addresses by frame pointers, which every crate of an image keeps.

/// How many frames are followed at most.
pub const DEPTH: usize = 32;

/// The return addresses of the current stack, innermost first, as addresses at which the image was linked, so
/// that the monitor can name them. Empty on a host build.
#[inline(never)]
pub fn capture() -> Frames {
    #[cfg(kernlet_image)]
    {
        let frame: usize;
        // SAFETY: reads one register.
        unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
        from(frame)
    }
    #[cfg(not(kernlet_image))]
    {
        Frames { addresses: [0; DEPTH], count: 0 }
    }
}

/// Follows the chain from the frame pointer `frame`.
#[cfg(kernlet_image)]
pub(crate) fn from(mut frame: usize) -> Frames {
    let mut frames = Frames { addresses: [0; DEPTH], count: 0 };
    let stack = crate::entry::stack();
    while frames.count < DEPTH
        && frame.is_multiple_of(8)
        && stack.contains(&frame)
        && stack.contains(&(frame + 8))
    {
        // SAFETY: both words lie in this instance's stack, which is mapped; what they hold is only compared and
        // printed.
        let [next, address] = unsafe { *(frame as *const [usize; 2]) };
        let Some(linked) = crate::entry::linked(address) else { break };
        frames.addresses[frames.count] = linked;
        frames.count += 1;
        // Frames lie ever higher; anything else is a damaged stack.
        if next <= frame {
            break;
        }
        frame = next;
    }
    frames
}

/// A captured stack.
#[derive(Clone, Copy)]
pub struct Frames {
    addresses: [usize; DEPTH],
    count: usize,
}

impl Frames {
    /// These frames without the outer ones that they share with `outer`.
    pub fn inside(mut self, outer: &Self) -> Self {
        let shared = self.addresses().iter().rev().zip(outer.addresses().iter().rev());
        self.count -= shared.take_while(|(a, b)| a == b).count();
        self
    }

    /// The addresses, innermost first.
    pub fn addresses(&self) -> &[usize] {
        self.addresses.get(..self.count).unwrap_or_default()
    }
}

impl core::fmt::Display for Frames {
    /// One line a frame, in the form that the monitor symbolises: `kernlet+0x…`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (i, address) in self.addresses().iter().enumerate() {
            writeln!(f, "  {i:>2}: kernlet+{address:#x}")?;
        }
        Ok(())
    }
}
