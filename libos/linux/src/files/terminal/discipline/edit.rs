//! Editing a line as it is typed (ICANON of termios(3)), and what is shown of it.

use super::super::modes::{at, input, local};
use super::{Discipline, Effects, MOST, TAB, begins};

impl Discipline {
    /// A byte in a line that is edited.
    pub(super) fn edit(&mut self, byte: u8, effects: &mut Effects) {
        let modes = self.modes;
        let extended = modes.has(local::EXTENDED);
        if modes.is(byte, at::ERASE) {
            self.erase(effects);
        } else if modes.is(byte, at::KILL) {
            self.kill(effects);
        } else if extended && modes.is(byte, at::WORD_ERASE) {
            let is_word = |line: &[u8]| {
                line.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80)
            };
            while !self.line.is_empty() && !is_word(&self.line) {
                self.erase(effects);
            }
            while is_word(&self.line) {
                self.erase(effects);
            }
        } else if extended && modes.is(byte, at::REPRINT) {
            if modes.has(local::ECHO) {
                self.show(byte, effects);
                self.put(b"\n", &mut effects.echo);
                for i in 0..self.line.len() {
                    self.show(self.line[i], effects);
                }
            }
        } else if extended && modes.is(byte, at::LITERAL) {
            self.literal = true;
            if modes.has(local::ECHO) && modes.has(local::ECHO_CONTROL) {
                effects.echo.extend_from_slice(b"^\x08");
            }
        } else if modes.is(byte, at::END) {
            let line = core::mem::take(&mut self.line);
            self.ready.push_back(line);
        } else if byte == b'\n'
            || modes.is(byte, at::LINE_END)
            || (extended && modes.is(byte, at::LINE_END_2))
        {
            if modes.has(local::ECHO) || (byte == b'\n' && modes.has(local::ECHO_NL)) {
                self.show(byte, effects);
            }
            self.line.push(byte);
            let line = core::mem::take(&mut self.line);
            self.ready.push_back(line);
        } else {
            self.append(byte, effects);
        }
    }

    /// A byte that is meant as it is.
    pub(super) fn append(&mut self, byte: u8, effects: &mut Effects) {
        if self.modes.has(local::LINES) {
            // A line that is too long loses what is typed, but can be ended.
            if self.line.len() + 1 >= MOST {
                return;
            }
            if self.line.is_empty() {
                self.start = self.column;
            }
            self.line.push(byte);
        } else {
            match self.ready.back_mut() {
                Some(last) => last.push(byte),
                None => self.ready.push_back(alloc::vec![byte]),
            }
        }
        if self.modes.has(local::ECHO) {
            self.show(byte, effects);
        }
    }

    /// Echoes a byte that was typed.
    pub(super) fn show(&mut self, byte: u8, effects: &mut Effects) {
        let control = (byte < 0x20 && byte != b'\n' && byte != b'\t') || byte == 0x7f;
        if control && self.modes.has(local::ECHO_CONTROL) {
            self.put(&[b'^', byte ^ 0x40], &mut effects.echo);
        } else {
            self.put(&[byte], &mut effects.echo);
        }
    }

    /// How many columns a part of the line takes that begins in column `from`.
    fn columns(&self, part: &[u8], from: usize) -> usize {
        let shows = self.modes.has(local::ECHO_CONTROL);
        let end = part.iter().fold(from, |column, &byte| match byte {
            b'\t' => column / TAB * TAB + TAB,
            0..0x20 | 0x7f => column + if shows { 2 } else { 0 },
            byte if self.modes.input & input::UTF8 != 0 && !begins(byte) => column,
            _ => column + 1,
        });
        end - from
    }

    /// Takes the last character of the line away.
    fn erase(&mut self, effects: &mut Effects) {
        if self.line.is_empty() {
            return;
        }
        let mut keep = self.line.len() - 1;
        if self.modes.input & input::UTF8 != 0 {
            while keep > 0 && !begins(self.line[keep]) {
                keep -= 1;
            }
        }
        let before = self.columns(&self.line, self.start);
        self.line.truncate(keep);
        let wiped = before - self.columns(&self.line, self.start);
        if !self.modes.has(local::ECHO) {
            return;
        }
        if self.modes.has(local::ECHO_ERASE) {
            for _ in 0..wiped {
                effects.echo.extend_from_slice(b"\x08 \x08");
            }
            self.column = self.column.saturating_sub(wiped);
        } else {
            self.show(self.modes.characters[at::ERASE], effects);
        }
    }

    /// Takes the whole line away.
    fn kill(&mut self, effects: &mut Effects) {
        let modes = self.modes;
        if modes.has(local::ECHO) && !(modes.has(local::ECHO_KILL_ERASE) && modes.has(local::ECHO_ERASE)) {
            self.line.clear();
            self.show(modes.characters[at::KILL], effects);
            if modes.has(local::ECHO_KILL) {
                self.put(b"\n", &mut effects.echo);
            }
            return;
        }
        while !self.line.is_empty() {
            self.erase(effects);
        }
    }
}
