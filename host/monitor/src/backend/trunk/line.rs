//! The line: frames in and out of one socket.

use super::Stop;
use kernlet_wire::trunk::{self, Header};
use rustix::io::{Errno, read, write};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much may wait for the instance before nothing more is taken from anywhere.
const ROOM: usize = 256 << 10;
/// How much is read at once.
const STEP: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Line {
    socket: OwnedFd,
    input: Vec<u8>,
    /// How much of `input` was taken as frames.
    taken: usize,
    output: VecDeque<u8>,
}

impl Line {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, input: Vec::new(), taken: 0, output: VecDeque::new() }
    }

    /// Whether more may be taken in for the instance, or from it.
    pub(super) fn has_room(&self) -> bool {
        self.output.len() < ROOM
    }

    /// Whether something waits for the instance.
    pub(super) fn is_waiting(&self) -> bool {
        !self.output.is_empty()
    }

    /// Adds a frame of these pieces.
    pub(super) fn put(&mut self, kind: u8, channel: u32, pieces: &[&[u8]]) {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>() as u32;
        self.output.extend(Header { kind, length, channel }.encode());
        pieces.iter().for_each(|piece| self.output.extend(*piece));
    }

    /// Reads once.
    pub(super) fn receive(&mut self) -> Result<(), Stop> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let start = self.input.len();
        self.input.resize(start + STEP, 0);
        let result = read(&self.socket, &mut self.input[start..]);
        self.input.truncate(start + result.unwrap_or(0).min(STEP));
        match result {
            Ok(0) => Err(Stop::Ended),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) => Err(Stop::Ended),
        }
    }

    /// The next frame that came whole, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<(Header, Vec<u8>)>, Stop> {
        let rest = self.input.get(self.taken..).unwrap_or_default();
        if trunk::header(rest).is_some_and(|header| header.length as usize > trunk::LONGEST) {
            return Err(Stop::Broken);
        }
        let Some((header, payload, _)) = trunk::split(rest) else { return Ok(None) };
        self.taken += trunk::HEADER + payload.len();
        Ok(Some((header, payload.to_vec())))
    }

    /// Writes what the socket takes.
    pub(super) fn send(&mut self) -> Result<(), Stop> {
        while !self.output.is_empty() {
            match write(&self.socket, self.output.as_slices().0) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Err(Stop::Ended),
            }
        }
        Ok(())
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
