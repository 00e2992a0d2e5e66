//! What a monitor does when something happened: signals, requests of other commands, streams, messages.

use super::{LAST_WORDS, Monitor, wait};
use crate::backend::TrunkStatus;
use crate::control::Request;
use crate::end::End;
use crate::signals::{self, Event, KILL, TERMINATE};
use crate::terminal;
use kernlet_wire::control::Message;
use std::time::Instant;

impl Monitor<'_> {
    pub(super) fn serve_signals(&mut self) {
        while let Some(event) = self.signals.next() {
            match event {
                Event::Pass(number) => {
                    self.stopping |= signals::asks_to_end(number);
                    self.send(signals::message(number));
                }
                Event::Resized => {
                    if let Some((rows, columns)) = terminal::size() {
                        self.pty.iter().for_each(|pty| pty.resize(rows, columns));
                        self.send(Message::Resize(rows, columns));
                    }
                }
            }
        }
    }

    pub(super) fn serve_clients(&mut self) {
        let Self { clients, guest, life, stopping, .. } = self;
        clients.serve(|request| match request {
            Request::Wait => None,
            Request::Stop(grace) => {
                *stopping = true;
                if let Some(guest) = guest {
                    guest.control.send(signals::message(TERMINATE));
                    let at = Instant::now().checked_add(grace);
                    life.kill_at = life.kill_at.into_iter().chain(at).min();
                }
                None
            }
            Request::Signal(number) => {
                *stopping |= number == KILL;
                match guest {
                    Some(_) if number == KILL => life.kill_at = Some(Instant::now()),
                    Some(guest) => guest.control.send(signals::message(number)),
                    None if number == KILL => {}
                    None => return Some("no"),
                }
                Some("ok")
            }
        });
    }

    pub(super) fn serve_streams(&mut self, happened: &wait::Happened) {
        // The first output is what somebody waits for.
        for (outlet, ready) in self.outlets.iter_mut().zip(happened.outlets) {
            if ready {
                outlet.read(&mut self.means);
            }
        }
        for (outlet, ready) in self.outlets.iter_mut().zip(happened.readers) {
            if ready {
                outlet.flush();
            }
        }
        if happened.sink {
            self.input.flush();
        }
        if happened.source {
            for signal in self.input.read(self.pty.as_ref()) {
                self.stopping |= signals::asks_to_end(signal);
                self.send(signals::message(signal));
            }
        }
    }

    pub(super) fn serve_trunk(&mut self) {
        let Some(mut trunk) = self.trunk.take() else { return };
        match trunk.drive() {
            TrunkStatus::Open => self.trunk = Some(trunk),
            TrunkStatus::Ended => trunk.finish(),
            TrunkStatus::Broken => {
                let problem = "the instance sent what is no frame: its ports and connections are closed";
                self.means.log.remark(problem);
            }
        }
    }

    pub(super) fn serve_messages(&mut self) {
        while let Some(message) = self.guest.as_mut().and_then(|guest| guest.control.receive()) {
            if message == Message::Entered && !self.life.entered {
                self.life.entered = true;
                if let Some(ready) = self.ready.take() {
                    ready.entered(&self.state.name);
                }
                if self.pty.is_some()
                    && let Some((rows, columns)) = terminal::size()
                {
                    self.send(Message::Resize(rows, columns));
                }
            }
            if let Some(end) = End::told(message) {
                self.life.told.get_or_insert(end);
                let at = Instant::now() + LAST_WORDS;
                self.life.kill_at = self.life.kill_at.into_iter().chain([at]).min();
            }
        }
    }

    pub(super) fn send(&self, message: Message) {
        self.guest.iter().for_each(|guest| guest.control.send(message));
    }
}
