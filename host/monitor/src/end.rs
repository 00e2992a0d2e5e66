//! How an instance ended: by its own word, or by its process's.

use crate::options::Backend;
use kernlet_wire::control::{Death, Message};

const SIGSYS: i32 = 31;
const SIGKILL: i32 = 9;

/// An end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The status that is told to everybody.
    pub status: u8,
    /// Why, when its program did not simply exit.
    pub reason: Option<String>,
}

/// What the host says of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Exited(i32),
    Signalled(i32),
}

impl End {
    /// What a last message says.
    pub(crate) fn told(message: Message) -> Option<Self> {
        match message {
            Message::Exit(status) => Some(Self { status, reason: None }),
            Message::Died(death) => {
                let reason = match death {
                    Death::Panic => "panic",
                    Death::Fault => "CPU fault",
                    Death::OutOfMemory => "out of memory",
                };
                Some(Self { status: death.status(), reason: Some(reason.into()) })
            }
            _ => None,
        }
    }

    /// What the process's fate says, when the instance said nothing itself.
    pub(crate) fn seen(backend: Backend, fate: Fate, entered: bool, killed_by_us: bool) -> Self {
        let (status, reason) = match (backend, fate) {
            (_, Fate::Signalled(SIGKILL)) if killed_by_us => (137, None),
            (_, Fate::Signalled(SIGKILL)) => {
                (137, Some("killed by the host: SIGKILL, or its memory was used up".into()))
            }
            (Backend::Process, Fate::Signalled(SIGSYS)) => (
                159,
                Some(
                    "ended by the sandbox: it made a host call that was not granted (its log names it)"
                        .into(),
                ),
            ),
            (_, Fate::Signalled(signal)) => (
                u8::try_from(128 + signal).unwrap_or(255),
                Some(format!("ended by {}", crate::signals::name(u8::try_from(signal).unwrap_or(0)))),
            ),
            // isa-debug-exit: QEMU ends with twice the value that was written, plus one.
            (Backend::Qemu, Fate::Exited(code)) if code & 1 == 1 && (code > 1 || entered) => {
                (u8::try_from(code >> 1).unwrap_or(255), None)
            }
            (Backend::Qemu, Fate::Exited(0)) => {
                (255, Some("the virtual machine was switched off without a status".into()))
            }
            (Backend::Qemu, Fate::Exited(_)) => (125, Some("QEMU failed".into())),
            (Backend::Process, Fate::Exited(code)) => (u8::try_from(code).unwrap_or(255), None),
        };
        Self { status, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_message_tells_the_end() {
        assert_eq!(End::told(Message::Exit(3)), Some(End { status: 3, reason: None }));
        assert_eq!(End::told(Message::Died(Death::Panic)).unwrap().status, 134);
        assert_eq!(End::told(Message::Entered), None);
    }

    #[test]
    fn without_a_message_the_process_tells() {
        let process = |fate| End::seen(Backend::Process, fate, true, false);
        assert_eq!(process(Fate::Exited(7)).status, 7);
        assert_eq!(process(Fate::Signalled(SIGSYS)).status, 159);
        assert_eq!(
            process(Fate::Signalled(11)),
            End { status: 139, reason: Some("ended by SIGSEGV".into()) }
        );
        assert!(process(Fate::Signalled(SIGKILL)).reason.is_some());
        assert_eq!(End::seen(Backend::Process, Fate::Signalled(SIGKILL), true, true).reason, None);
        let vm = |code, entered| End::seen(Backend::Qemu, Fate::Exited(code), entered, false).status;
        assert_eq!((vm(7, true), vm(1, true), vm(1, false), vm(0, true)), (3, 0, 125, 255));
    }
}
