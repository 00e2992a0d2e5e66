//! The end of a life, and what follows on it: another one, or the end for good.

use super::{FAILED_START, Killed, Life, Monitor, Outlet};
use crate::backend::StartError;
use crate::end::{End, Fate};
use crate::error::Error;
use crate::options::Backend;
use crate::state::Phase;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::os::fd::AsFd;
use std::time::Instant;

impl Monitor<'_> {
    /// Takes the status of a process that has ended, and reads what it wrote last.
    pub(super) fn reap(&mut self) -> Option<End> {
        let guest = self.guest.as_ref()?;
        let status = waitid(WaitId::PidFd(guest.pidfd.as_fd()), WaitIdOptions::EXITED).ok().flatten()?;
        let fate = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Fate::Exited(code),
            (None, signal) => Fate::Signalled(signal.unwrap_or(9)),
        };
        self.serve_messages();
        self.drain();
        self.guest = None;
        self.broker = None;
        if let Some(trunk) = self.trunk.take() {
            trunk.finish();
        }
        let backend = self.options.backend;
        if backend == Backend::Process
            && !self.life.entered
            && let Fate::Exited(code) = fate
            && let Some(problem) = kernlet_sandbox::start_failure(code)
        {
            return Some(End { status: FAILED_START, reason: Some(problem.into()) });
        }
        let seen = || End::seen(backend, fate, self.life.entered, self.life.killed);
        Some(self.life.told.clone().unwrap_or_else(seen))
    }

    /// Reads all that the instance wrote before its end, and shows it.
    fn drain(&mut self) {
        loop {
            let mut more = false;
            for outlet in &mut self.outlets {
                while outlet.has_more() && outlet.read(&mut self.means) {}
                more |= outlet.writable().is_some();
            }
            if !more || !self.wait_for_readers() {
                break;
            }
            self.outlets.iter_mut().for_each(Outlet::flush);
        }
        self.life.complaint = String::from_utf8_lossy(&self.means.buffer).into_owned();
        self.outlets.iter_mut().for_each(Outlet::disconnect);
        self.input.connect(None);
    }

    /// What follows on the end of a life: nothing yet when it begins anew.
    pub(super) fn end_life(&mut self, end: End) -> Option<Result<u8, Error>> {
        if let Some(reason) = &end.reason {
            self.means.log.remark(&format!("ended with status {}: {reason}", end.status));
        }
        let never_entered = !self.life.entered && self.state.restarts == 0;
        if never_entered && end.status == FAILED_START && self.life.told.is_none() {
            self.forget();
            return Some(Err(self.failed_start(end).into()));
        }
        if !self.stopping && self.options.restart.wants(end.status, self.state.restarts) {
            let pause = self.backoff.pause(self.life.began.elapsed());
            self.state.ended(Phase::Restarting, end.status, end.reason);
            self.save();
            self.life.kill_at = None;
            self.life.start_at = Instant::now().checked_add(pause);
            return None;
        }
        if self.ready.is_some() {
            let name = self.state.name.clone();
            let (status, reason) = (end.status, end.reason.clone());
            let _ = self.end_for_good(end);
            return Some(Err(Error::EndedEarly { name, status, reason }));
        }
        if self.foreground
            && let Some(reason) = &end.reason
        {
            self.explain_end(reason);
        }
        Some(self.end_for_good(end))
    }

    fn failed_start(&self, end: End) -> StartError {
        match self.options.backend {
            Backend::Qemu => StartError::Qemu(self.life.complaint.trim().to_string()),
            Backend::Process => StartError::Loader(end.reason.unwrap_or_default()),
        }
    }

    /// Says why the program ended when it cannot say so itself; a panic or a fault has been reported from inside.
    fn explain_end(&mut self, reason: &str) {
        if self.life.told.is_none() && !self.life.killed {
            self.raw = None;
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("kernlet: {reason}\n").as_bytes());
        }
    }

    pub(super) fn end_for_good(&mut self, end: End) -> Result<u8, Error> {
        self.raw = None;
        let status = end.status;
        self.state.ended(Phase::Exited, status, end.reason);
        if self.options.remove {
            self.forget();
        } else {
            if let Some(owned) = &self.owned {
                let _ = std::fs::remove_file(owned.dir.path().join(crate::control::SOCKET));
            }
            self.save();
        }
        self.clients.ended(status);
        Ok(status)
    }

    /// Starts the next life. An error counts as its end.
    pub(super) fn start_again(&mut self) -> Option<Result<u8, Error>> {
        self.life = Life::begin();
        self.state.restarts += 1;
        let started = self.starter.start(self.pty.as_ref()).map_err(Error::from).and_then(|guest| {
            self.state.pid = Some(guest.pid());
            self.connect(Killed(Some(guest)))
        });
        match started {
            Ok(()) => {
                self.state.phase = Phase::Running;
                self.state.started = crate::state::milliseconds(std::time::SystemTime::now());
                self.save();
                None
            }
            Err(error) => self.end_life(End { status: FAILED_START, reason: Some(error.to_string()) }),
        }
    }
}
