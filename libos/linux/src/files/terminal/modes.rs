//! A terminal's modes (termios(3), include/uapi/asm-generic/termbits.h).

/// Input flags.
pub mod input {
    /// ISTRIP: seven bits.
    pub const STRIP: u32 = 0o40;
    /// INLCR: a newline becomes a carriage return.
    pub const NL_TO_CR: u32 = 0o100;
    /// IGNCR: carriage returns are left out.
    pub const NO_CR: u32 = 0o200;
    /// ICRNL: a carriage return becomes a newline.
    pub const CR_TO_NL: u32 = 0o400;
    /// IXON: output is stopped and started by characters.
    pub const FLOW: u32 = 0o2000;
    /// IXANY: every character starts it.
    pub const ANY_STARTS: u32 = 0o4000;
    /// IUTF8: characters may have several bytes.
    pub const UTF8: u32 = 0o40000;
}

/// Output flags.
pub mod output {
    /// OPOST: the others are looked at.
    pub const PROCESS: u32 = 0o1;
    /// ONLCR: a newline gets a carriage return.
    pub const NL_TO_CR_NL: u32 = 0o4;
    /// OCRNL: a carriage return becomes a newline.
    pub const CR_TO_NL: u32 = 0o10;
}

/// Local flags.
pub mod local {
    /// ISIG: characters make signals.
    pub const SIGNALS: u32 = 0o1;
    /// ICANON: lines.
    pub const LINES: u32 = 0o2;
    /// ECHO.
    pub const ECHO: u32 = 0o10;
    /// ECHOE: what is erased is wiped out.
    pub const ECHO_ERASE: u32 = 0o20;
    /// ECHOK: a newline after a line was erased.
    pub const ECHO_KILL: u32 = 0o40;
    /// ECHONL: newlines are echoed without [`ECHO`], too.
    pub const ECHO_NL: u32 = 0o100;
    /// NOFLSH: signals leave what was typed.
    pub const NO_FLUSH: u32 = 0o200;
    /// ECHOCTL: control characters are echoed as ^X.
    pub const ECHO_CONTROL: u32 = 0o1000;
    /// ECHOKE: a line that is erased is wiped out.
    pub const ECHO_KILL_ERASE: u32 = 0o4000;
    /// IEXTEN: more editing.
    pub const EXTENDED: u32 = 0o100_000;
}

/// Places of the control characters.
pub mod at {
    /// VINTR.
    pub const INTERRUPT: usize = 0;
    /// VQUIT.
    pub const QUIT: usize = 1;
    /// VERASE.
    pub const ERASE: usize = 2;
    /// VKILL.
    pub const KILL: usize = 3;
    /// VEOF.
    pub const END: usize = 4;
    /// VTIME, tenths of a second.
    pub const TIME: usize = 5;
    /// VMIN.
    pub const LEAST: usize = 6;
    /// VSTART.
    pub const START: usize = 8;
    /// VSTOP.
    pub const STOP: usize = 9;
    /// VSUSP.
    pub const SUSPEND: usize = 10;
    /// VEOL.
    pub const LINE_END: usize = 11;
    /// VREPRINT.
    pub const REPRINT: usize = 12;
    /// VWERASE.
    pub const WORD_ERASE: usize = 14;
    /// VLNEXT.
    pub const LITERAL: usize = 15;
    /// VEOL2.
    pub const LINE_END_2: usize = 16;
}

/// A terminal's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// See [`input`].
    pub input: u32,
    /// See [`output`].
    pub output: u32,
    /// Speed and size of characters, which mean nothing here.
    pub control: u32,
    /// See [`local`].
    pub local: u32,
    /// The line discipline.
    pub line: u8,
    /// See [`at`].
    pub characters: [u8; 19],
}

impl Modes {
    /// Bytes of `struct termios`.
    pub const LENGTH: usize = 36;

    /// As Linux has them at first (tty_std_termios), with UTF-8.
    pub const NEW: Self = Self {
        input: input::CR_TO_NL | input::FLOW | input::UTF8,
        output: output::PROCESS | output::NL_TO_CR_NL,
        // B38400, CS8, CREAD, HUPCL.
        control: 0o2277,
        local: local::SIGNALS
            | local::LINES
            | local::ECHO
            | local::ECHO_ERASE
            | local::ECHO_KILL
            | local::ECHO_CONTROL
            | local::ECHO_KILL_ERASE
            | local::EXTENDED,
        line: 0,
        characters: [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0],
    };

    /// As `struct termios`.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        for (at, word) in [self.input, self.output, self.control, self.local].into_iter().enumerate() {
            bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16] = self.line;
        bytes[17..].copy_from_slice(&self.characters);
        bytes
    }

    /// From `struct termios`.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut characters = [0; 19];
        characters.copy_from_slice(&bytes[17..]);
        Self {
            input: word(0),
            output: word(4),
            control: word(8),
            local: word(12),
            line: bytes[16],
            characters,
        }
    }

    /// Whether `byte` is the control character at `place`; 0 stands for none.
    pub fn is(&self, byte: u8, place: usize) -> bool {
        byte != 0 && self.characters[place] == byte
    }

    /// Whether a local flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.local & flag != 0
    }
}
