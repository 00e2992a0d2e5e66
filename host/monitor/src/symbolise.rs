//! Addresses in what an instance writes to its standard error become names.

use kernlet_image::manifest::BuildId;
use kernlet_image::symbols::Symbols;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How the library OS prints an address.
const TOKEN: &[u8] = b"kernlet+0x";
/// A line that is longer is not waited for.
const LONGEST: usize = 4096;
/// Symbols take megabytes: they go when no address came for so long.
const KEEP: Duration = Duration::from_secs(1);

/// Explains addresses. Symbols are opened with the first one.
pub(crate) struct Symboliser {
    home: PathBuf,
    build_id: BuildId,
    symbols: Option<Option<Box<Symbols>>>,
    until: Option<Instant>,
    /// The beginning of a line, from its first address on.
    held: Vec<u8>,
}

impl Symboliser {
    pub(crate) const fn new(home: PathBuf, build_id: BuildId) -> Self {
        Self { home, build_id, symbols: None, until: None, held: Vec::new() }
    }

    /// Text as it is to be shown. The end of a line with an address comes when the line is whole.
    pub(crate) fn feed<'d>(&mut self, data: &'d [u8]) -> Cow<'d, [u8]> {
        if self.held.is_empty() && find(data).is_none() {
            return Cow::Borrowed(data);
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(data);
        let last_line = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        if let Some(at) = find(&text[last_line..])
            && text.len() - last_line < LONGEST
        {
            self.held = text.split_off(last_line + at);
        }
        Cow::Owned(self.explain(&text))
    }

    /// What is left when no more comes.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.explain(&held)
    }

    /// When [`Self::rest`] has something to do.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Lets the symbols go when their time has come.
    pub(crate) fn rest(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.symbols = None;
            self.until = None;
        }
    }

    fn explain(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|&b| b == b'\n') {
            let explained = if find(line).is_some() { self.line(line) } else { None };
            match explained {
                Some(explained) => out.extend_from_slice(explained.as_bytes()),
                None => out.extend_from_slice(line),
            }
        }
        out
    }

    fn line(&mut self, line: &[u8]) -> Option<String> {
        let (home, build_id) = (&self.home, self.build_id);
        let symbols = self.symbols.get_or_insert_with(|| Symbols::open(home, build_id).ok().map(Box::new));
        self.until = Some(Instant::now() + KEEP);
        symbols.as_ref()?.symbolise_line(&String::from_utf8_lossy(line))
    }
}

fn find(text: &[u8]) -> Option<usize> {
    text.windows(TOKEN.len()).position(|window| window == TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symboliser() -> Symboliser {
        Symboliser::new("/nonexistent".into(), kernlet_image::manifest::Digest([0; 32]))
    }

    #[test]
    fn text_without_addresses_passes_at_once() {
        let mut s = symboliser();
        assert!(matches!(s.feed(b"plain tex"), Cow::Borrowed(b"plain tex")));
        assert!(s.deadline().is_none());
    }

    #[test]
    fn a_line_with_an_address_waits_for_its_end() {
        let mut s = symboliser();
        assert_eq!(&*s.feed(b"a\nat kernlet+0x1"), b"a\nat ");
        assert_eq!(&*s.feed(b"234\nnext"), b"kernlet+0x1234\nnext");
        assert_eq!(&*s.feed(b" kernlet+0x12"), b" ");
        assert_eq!(s.finish(), b"kernlet+0x12");
        s.rest(Instant::now() + KEEP * 2);
        assert!(s.deadline().is_none());
    }
}
