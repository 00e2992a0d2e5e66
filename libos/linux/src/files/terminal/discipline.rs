//! The line discipline: what becomes of typed bytes, and of written ones (N_TTY, drivers/tty/n_tty.c).

mod edit;

use super::modes::{Modes, at, input, local, output};
use crate::signal::{SIGINT, SIGQUIT, SIGTSTP};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What waits to be read, and the line that is edited, have at most so many bytes each, as in Linux.
const MOST: usize = 4096;
/// Columns between tabulators.
const TAB: usize = 8;

/// What typing leads to beside bytes to be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What is shown.
    pub echo: Vec<u8>,
    /// Signals for the foreground.
    pub signals: Vec<u8>,
    /// Output is held back, or goes on.
    pub held: Option<bool>,
}

/// A terminal's state.
#[derive(Debug)]
pub struct Discipline {
    /// Its modes.
    pub modes: Modes,
    /// The line that is edited.
    line: Vec<u8>,
    /// Lines that are complete, or bytes as they came; an empty one is an end of file.
    ready: VecDeque<Vec<u8>>,
    /// The next byte is meant as it is.
    literal: bool,
    /// The cursor's column, and that where the edited line begins.
    column: usize,
    start: usize,
}

impl Default for Discipline {
    fn default() -> Self {
        let modes = Modes::NEW;
        Self { modes, line: Vec::new(), ready: VecDeque::new(), literal: false, column: 0, start: 0 }
    }
}

/// Whether a byte begins a character.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

impl Discipline {
    /// Sets modes. What was typed of a line can be read at once when lines count no more.
    pub fn set(&mut self, modes: Modes) {
        let before = core::mem::replace(&mut self.modes, modes);
        if before.has(local::LINES) && !modes.has(local::LINES) {
            let line = core::mem::take(&mut self.line);
            self.ready.push_back(line);
            self.ready.retain(|line| !line.is_empty());
        }
    }

    /// Bytes that can be read.
    pub fn filled(&self) -> usize {
        self.ready.iter().map(Vec::len).sum()
    }

    /// Whether more may be typed.
    pub fn has_room(&self) -> bool {
        self.filled() < MOST
    }

    /// Whether reading gives something: a line or the end, or as many bytes as the modes want.
    pub fn is_ready(&self) -> bool {
        if self.modes.has(local::LINES) {
            return !self.ready.is_empty();
        }
        let [least, time] = [at::LEAST, at::TIME].map(|place| self.modes.characters[place]);
        self.filled() >= if time == 0 { usize::from(least).max(1) } else { 1 }
    }

    /// Takes bytes: of one line, or all that are there.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(first) = self.ready.front_mut() {
            if first.len() > most - taken.len() {
                taken.extend(first.drain(..most - taken.len()));
                break;
            }
            taken.append(first);
            self.ready.pop_front();
            if self.modes.has(local::LINES) {
                break;
            }
        }
        taken
    }

    /// Forgets what was typed.
    pub fn flush(&mut self) {
        self.line.clear();
        self.ready.clear();
    }

    /// Bytes were typed.
    pub fn typed(&mut self, bytes: &[u8]) -> Effects {
        let mut effects = Effects::default();
        for &byte in bytes {
            self.byte(byte, &mut effects);
        }
        effects
    }

    fn byte(&mut self, byte: u8, effects: &mut Effects) {
        let modes = self.modes;
        let byte = if modes.input & input::STRIP != 0 { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal) {
            return self.append(byte, effects);
        }
        let byte = match byte {
            b'\r' if modes.input & input::NO_CR != 0 => return,
            b'\r' if modes.input & input::CR_TO_NL != 0 => b'\n',
            b'\n' if modes.input & input::NL_TO_CR != 0 => b'\r',
            byte => byte,
        };
        if modes.input & input::FLOW != 0 {
            if modes.is(byte, at::START) || modes.is(byte, at::STOP) {
                effects.held = Some(!modes.is(byte, at::START));
                return;
            }
            if modes.input & input::ANY_STARTS != 0 {
                effects.held = Some(false);
            }
        }
        if modes.has(local::SIGNALS) {
            let signals = [(at::INTERRUPT, SIGINT), (at::QUIT, SIGQUIT), (at::SUSPEND, SIGTSTP)];
            if let Some((_, signal)) = signals.into_iter().find(|(place, _)| modes.is(byte, *place)) {
                if !modes.has(local::NO_FLUSH) {
                    self.flush();
                }
                if modes.input & input::FLOW != 0 {
                    effects.held = Some(false);
                }
                if modes.has(local::ECHO) {
                    self.show(byte, effects);
                }
                effects.signals.push(signal);
                return;
            }
        }
        if modes.has(local::LINES) { self.edit(byte, effects) } else { self.append(byte, effects) }
    }

    /// What is written, as the terminal gets it.
    pub fn put(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        let flags = self.modes.output;
        let process = flags & output::PROCESS != 0;
        for &byte in bytes {
            let byte = match byte {
                b'\n' if process && flags & output::NL_TO_CR_NL != 0 => {
                    to.push(b'\r');
                    self.column = 0;
                    b'\n'
                }
                b'\r' if process && flags & output::CR_TO_NL != 0 => b'\n',
                byte => byte,
            };
            match byte {
                b'\r' => self.column = 0,
                b'\t' => self.column = self.column / TAB * TAB + TAB,
                0x08 => self.column = self.column.saturating_sub(1),
                0..0x20 | 0x7f => {}
                byte if self.modes.input & input::UTF8 != 0 && !begins(byte) => {}
                _ => self.column += 1,
            }
            to.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn typed(discipline: &mut Discipline, bytes: &[u8]) -> String {
        String::from_utf8(discipline.typed(bytes).echo).unwrap()
    }

    #[test]
    fn a_line_is_edited_and_read_when_it_is_complete() {
        let mut d = Discipline::default();
        assert_eq!(typed(&mut d, b"helpp\x7f"), "helpp\x08 \x08");
        assert!(!d.is_ready() && d.take(9).is_empty());
        assert_eq!(typed(&mut d, b" me\x17you\r"), " me\x08 \x08\x08 \x08you\r\n");
        assert!(d.is_ready());
        assert_eq!(d.take(5), b"help ");
        assert_eq!(d.take(50), b"you\n");
        assert_eq!(typed(&mut d, b"abc\x15x\n"), "abc\x08 \x08\x08 \x08\x08 \x08x\r\n");
        assert_eq!(d.take(50), b"x\n");
        assert_eq!(typed(&mut d, b"\x7f"), "");
    }

    #[test]
    fn characters_of_several_bytes_and_columns_are_erased_whole() {
        let mut d = Discipline::default();
        assert_eq!(typed(&mut d, "ü\x7f".as_bytes()), "ü\x08 \x08");
        assert_eq!(typed(&mut d, b"ab\t\x7f"), "ab\t\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08");
        assert_eq!(typed(&mut d, b"\x16\x03\x7f\n"), "^\x08^C\x08 \x08\x08 \x08\r\n");
        assert_eq!(d.take(50), b"ab\n");
    }

    #[test]
    fn an_end_of_file_gives_what_was_typed_and_then_nothing() {
        let mut d = Discipline::default();
        d.typed(b"part\x04\x04");
        assert_eq!(d.take(50), b"part");
        assert!(d.is_ready());
        assert_eq!(d.take(50), b"");
        assert!(!d.is_ready());
    }

    #[test]
    fn signals_are_told_and_what_was_typed_is_gone() {
        let mut d = Discipline::default();
        let effects = d.typed(b"some\x03");
        assert_eq!((&effects.echo[..], &effects.signals[..]), (&b"some^C"[..], &[SIGINT][..]));
        assert_eq!(d.typed(b"\x1c\x1a").signals, [SIGQUIT, SIGTSTP]);
        d.typed(b"\n");
        assert_eq!(d.take(50), b"\n");
        d.set(Modes { local: d.modes.local & !local::SIGNALS, ..d.modes });
        assert_eq!(d.typed(b"\x03").signals, b"");
    }

    #[test]
    fn output_is_held_back_until_a_character_or_a_signal_lets_it_go() {
        let mut d = Discipline::default();
        assert_eq!(d.typed(b"a\x13b").held, Some(true));
        assert_eq!(d.typed(b"c").held, None);
        assert_eq!(d.typed(b"\x11").held, Some(false));
        assert_eq!(d.typed(b"\x13\x03").held, Some(false));
        d.set(Modes { input: d.modes.input | input::ANY_STARTS, ..d.modes });
        assert_eq!(d.typed(b"\x13x").held, Some(false));
        d.set(Modes { input: 0, ..d.modes });
        assert_eq!(d.typed(b"\x13").held, None);
    }

    #[test]
    fn without_lines_every_byte_counts() {
        let mut d = Discipline::default();
        d.typed(b"typed before");
        let mut modes = d.modes;
        modes.local &= !(local::LINES | local::ECHO);
        modes.input &= !input::CR_TO_NL;
        modes.characters[at::LEAST] = 20;
        d.set(modes);
        assert!(!d.is_ready());
        assert_eq!(typed(&mut d, b"\r\x7f\x04 more"), "");
        assert!(d.is_ready());
        assert_eq!(d.filled(), 20);
        assert_eq!(d.take(13), b"typed before\r");
        assert_eq!(d.take(99), b"\x7f\x04 more");
    }

    #[test]
    fn what_is_written_gets_carriage_returns_unless_it_is_raw() {
        let mut d = Discipline::default();
        let mut shown = Vec::new();
        d.put(b"a\nb", &mut shown);
        assert_eq!(shown, b"a\r\nb");
        d.set(Modes { output: 0, ..d.modes });
        d.put(b"\n", &mut shown);
        assert_eq!(shown, b"a\r\nb\n");
    }

    #[test]
    fn modes_are_what_they_were_after_encoding() {
        assert_eq!(Modes::decode(&Modes::NEW.encode()), Modes::NEW);
    }

    proptest::proptest! {
        #[test]
        fn no_typing_is_too_much(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20_000)) {
            let mut d = Discipline::default();
            d.typed(&bytes);
            assert!(d.line.len() <= MOST);
        }
    }
}
