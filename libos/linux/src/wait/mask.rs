//! The signal mask of a wait (ppoll(2), pselect(2), epoll_pwait(2)).

use crate::call::{Outcome, restart};
use crate::thread::Thread;
use crate::{Errno, signal, user};

/// Sets the mask at an address for the wait that follows; with address 0 nothing changes (`set_user_sigmask` of the kernel).
///
/// # Errors
/// EFAULT; EINVAL for a set of another size.
pub fn set(thread: &Thread, address: usize, size: usize) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let mask = user::read_u64(address)?;
    thread.saved_mask.set(Some(thread.signals.mask.get()));
    signal::set_mask(thread, mask);
    Ok(())
}

/// After the wait: the mask is as before, except that a signal that broke it off is delivered under the wait's mask first
/// (`restore_saved_sigmask_unless`).
pub fn restore(thread: &Thread, outcome: Outcome) -> Outcome {
    let interrupted = matches!(outcome, Err(Errno::EINTR | restart::SYS | restart::NO_HANDLER));
    if !interrupted && let Some(before) = thread.saved_mask.take() {
        signal::set_mask(thread, before);
    }
    outcome
}
