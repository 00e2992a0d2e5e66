//! What ioctl(2) does with a terminal (ioctl_tty(2)).

use super::modes::{Modes, input};
use super::{Sink, Terminal};
use crate::call::Outcome;
use crate::signal::{Information, SIGWINCH, code, send_to_process};
use crate::thread::Thread;
use crate::wait::Events;
use crate::{Errno, user};

/// The speed that is told where one is wanted.
const SPEED: u32 = 38_400;

impl Terminal {
    /// Handles ioctl(2).
    ///
    /// # Errors
    /// ENOTTY for what terminals do not know; EFAULT, EINVAL.
    pub fn control(&self, thread: &Thread, request: u32, at: usize) -> Outcome {
        let pseudo = matches!(self.sink, Sink::Master(_));
        if self.is_hung_up() {
            return Err(Errno::EIO);
        }
        match request {
            // TCGETS, TCGETS2.
            0x5401 => user::write(at, &self.discipline.borrow().modes.encode())?,
            0x802c_542a => {
                let mut bytes = [0; Modes::LENGTH + 8];
                bytes[..Modes::LENGTH].copy_from_slice(&self.discipline.borrow().modes.encode());
                bytes[Modes::LENGTH..Modes::LENGTH + 4].copy_from_slice(&SPEED.to_le_bytes());
                bytes[Modes::LENGTH + 4..].copy_from_slice(&SPEED.to_le_bytes());
                user::write(at, &bytes)?;
            }
            // TCSETS, TCSETSW, TCSETSF and the same with speeds. Output has always been sent.
            0x5402..=0x5404 | 0x402c_542b..=0x402c_542d => {
                let modes = Modes::decode(&user::read(at)?);
                let mut discipline = self.discipline.borrow_mut();
                if matches!(request, 0x5404 | 0x402c_542d) {
                    discipline.flush();
                }
                discipline.set(modes);
                drop(discipline);
                if modes.input & input::FLOW == 0 {
                    self.hold(false);
                }
                self.watchers.notify(Events::IN);
            }
            // TCSBRK, TCSBRKP: there is no line that could be broken.
            0x5409 | 0x5425 => {}
            // TCXONC: TCOOFF, TCOON; TCIOFF and TCION would say it to who types.
            0x540a => match at {
                0 | 1 => self.hold(at == 0),
                2 | 3 => {}
                _ => return Err(Errno::EINVAL),
            },
            // TCFLSH: TCIFLUSH, TCOFLUSH, TCIOFLUSH.
            0x540b => {
                if at > 2 {
                    return Err(Errno::EINVAL);
                }
                if at != 1 {
                    self.discipline.borrow_mut().flush();
                }
                if at != 0 {
                    self.backlog.borrow_mut().clear();
                    self.watchers.notify(Events::OUT);
                }
            }
            // TIOCSCTTY: a pseudo-terminal becomes the process's, whose session it is. TIOCNOTTY.
            0x540e if pseudo => {
                let facts = &thread.process.facts;
                if facts.session.get() != thread.process.id {
                    return Err(Errno::EPERM);
                }
                self.foreground.set(facts.group.get());
            }
            // Those that are about a process's own terminal: TIOCNOTTY, TIOCGPGRP, TIOCGSID, TIOCSPGRP.
            0x5422 | 0x540f | 0x5429 | 0x5410 if self.foreground.get() == 0 => return Err(Errno::ENOTTY),
            0x5422 if pseudo => self.foreground.set(0),
            // TIOCEXCL, TIOCNXCL, and of the instance's terminal TIOCSCTTY, TIOCNOTTY: it is the process's and nobody else's.
            0x540c | 0x540d | 0x540e | 0x5422 => {}
            // TIOCGPGRP, TIOCGSID.
            0x540f => user::write(at, &self.foreground.get().to_le_bytes())?,
            0x5429 => user::write(at, &thread.process.facts.session.get().to_le_bytes())?,
            // TIOCSPGRP.
            0x5410 => {
                let group = user::read_u32(at)?;
                if group == 0 || group > i32::MAX as u32 {
                    return Err(Errno::EINVAL);
                }
                self.foreground.set(group);
            }
            // TIOCOUTQ.
            0x5411 => user::write(at, &(self.backlog.borrow().len() as u32).to_le_bytes())?,
            // TIOCGWINSZ.
            0x5413 => {
                let (rows, columns) = thread.process.facts.terminal_size.get();
                // What the program set holds until the window has another size.
                let own = self.size.get().filter(|own| pseudo || own[..2] == [rows, columns]);
                let size = own.unwrap_or(if pseudo { [0; 4] } else { [rows, columns, 0, 0] });
                let bytes: [u8; 8] = core::array::from_fn(|i| size[i / 2].to_le_bytes()[i % 2]);
                user::write(at, &bytes)?;
            }
            // TIOCSWINSZ.
            0x5414 => {
                let bytes: [u8; 8] = user::read(at)?;
                let size = core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
                let old = self.size.replace(Some(size));
                let new = (size[0], size[1]);
                let changed = if pseudo {
                    self.foreground.get() != 0 && old.unwrap_or_default() != size
                } else {
                    thread.process.facts.terminal_size.replace(new) != new
                };
                if changed {
                    let information = Information::sent(SIGWINCH, code::KERNEL, 0, 0);
                    let _ = send_to_process(&thread.process, information);
                }
            }
            // TIOCGETD: the line discipline is N_TTY.
            0x5424 => user::write(at, &[0; 4])?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}
