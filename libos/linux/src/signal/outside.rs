//! Signals from outside: `kernlet stop`, `kernlet kill`, and the terminal of a foreground run.

use super::information::{Information, code};
use super::kinds::{SIGWINCH, valid};
use super::send::send_to_process;
use crate::process::Process;
use alloc::rc::Rc;
use kernlet_exec::{Source, spawn};
use kernlet_platform::control::{self, Message};

/// Starts the task that hears the monitor for a process.
pub fn listen(process: &Rc<Process>) {
    let source = Source::new();
    if !control::watch(source.token()) {
        return;
    }
    let process = process.clone();
    spawn("control", async move {
        loop {
            while let Some(message) = control::receive() {
                let number = match message {
                    Message::Signal(number) => valid(number.into()),
                    Message::Resize(rows, columns) => {
                        // The first one tells how large it is, and no program expects that as a change.
                        let before = process.facts.terminal_size.replace((rows, columns));
                        (before != (0, 0) && before != (rows, columns)).then_some(SIGWINCH)
                    }
                    // Other messages only go the other way.
                    _ => None,
                };
                if let Some(number) = number {
                    // From a process that cannot be seen from here. One that finds no room is lost, as by Linux.
                    let _ = send_to_process(&process, Information::sent(number, code::USER, 0, 0));
                }
            }
            source.clear_readable();
            source.readable().await;
        }
    });
}
