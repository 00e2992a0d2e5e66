//! The words of a master file: RFC 1035 section 5.1.

use crate::zone::Problem;

/// A word or a quoted string, as it stands in the file, with its escapes and without its quotation marks.
#[derive(Clone, Copy)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t [u8],
    pub(crate) quoted: bool,
}

/// How a line with a record or a directive starts.
pub(crate) enum Start {
    /// The file is over.
    End,
    /// With a blank: the owner is that of the record before.
    Blank,
    /// With a word.
    Word,
}

/// Reads a file word by word.
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    /// The line of the next word.
    pub(crate) line: u32,
    parentheses: u32,
    /// Where the line of the record starts.
    begun: usize,
    /// The record's last word was read.
    ended: bool,
    /// The text goes on behind what is here.
    more: bool,
    /// A record went on behind what is here.
    pub(crate) short: bool,
}

impl<'t> Lexer<'t> {
    /// Reads `text`, which starts at `line`. With `more` it ends with a line, and may not be all.
    pub(crate) fn new(text: &'t [u8], line: u32, more: bool) -> Self {
        Self { text, at: 0, line, parentheses: 0, begun: 0, ended: true, more, short: false }
    }

    /// How much was read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Where the record started that is read, with the blanks before it; at the end of the text, there.
    pub(crate) fn record_start(&self) -> usize {
        self.begun
    }

    /// Goes to the next line with a word on it.
    pub(crate) fn start(&mut self) -> Start {
        debug_assert!(self.ended);
        loop {
            self.begun = self.at;
            while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r')) {
                self.at += 1;
            }
            match self.text.get(self.at) {
                None => {
                    self.begun = self.at;
                    return Start::End;
                }
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                }
                Some(b';') => self.skip_comment(),
                Some(_) => {
                    self.ended = false;
                    return if self.at > self.begun { Start::Blank } else { Start::Word };
                }
            }
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    /// The next word of the record, or none at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'t>>, Problem> {
        if self.ended {
            return Ok(None);
        }
        loop {
            match self.text.get(self.at) {
                None => {
                    self.ended = true;
                    let open = core::mem::take(&mut self.parentheses) > 0;
                    self.short = open && self.more;
                    return if open { Err(Problem::OpenParenthesis) } else { Ok(None) };
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    if self.parentheses == 0 {
                        self.ended = true;
                        return Ok(None);
                    }
                }
                Some(b';') => self.skip_comment(),
                Some(b'(') => {
                    self.at += 1;
                    self.parentheses += 1;
                }
                Some(b')') => {
                    self.at += 1;
                    self.parentheses = self.parentheses.checked_sub(1).ok_or(Problem::ClosingParenthesis)?;
                }
                Some(b'"') => return self.quoted().map(Some),
                Some(_) => return Ok(Some(self.word())),
            }
        }
    }

    /// The quoted string that follows the last word without a blank between them, as in `alpn="h2"`.
    pub(crate) fn adjacent(&mut self) -> Result<Option<Token<'t>>, Problem> {
        if self.text.get(self.at) == Some(&b'"') && !self.ended { self.quoted().map(Some) } else { Ok(None) }
    }

    fn word(&mut self) -> Token<'t> {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                // What is escaped is no separator, but a line always ends.
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                _ => self.at += 1,
            }
        }
        Token { text: &self.text[start..self.at], quoted: false }
    }

    fn quoted(&mut self) -> Result<Token<'t>, Problem> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                None | Some(b'\n') => return Err(Problem::OpenQuote),
                Some(b'"') => break,
                Some(b'\\') if !matches!(self.text.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(Token { text: &self.text[start..self.at - 1], quoted: true })
    }

    /// Goes to the end of a record that has an error.
    pub(crate) fn skip_record(&mut self) {
        while !self.ended {
            // An unclosed quotation mark stops before the end of its line, so this goes on.
            let _ = self.next();
        }
        self.parentheses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn words(text: &str) -> Vec<Vec<String>> {
        let mut lexer = Lexer::new(text.as_bytes(), 1, false);
        let mut records = Vec::new();
        while !matches!(lexer.start(), Start::End) {
            let mut words = Vec::new();
            while let Some(token) = lexer.next().unwrap() {
                words.push(String::from_utf8(token.text.to_vec()).unwrap());
            }
            records.push(words);
        }
        records
    }

    #[test]
    fn comments_and_parentheses_end_and_join_lines() {
        assert_eq!(words("a b ; c\n; d\n\n e (f ; g\n h) i\n"), [vec!["a", "b"], vec!["e", "f", "h", "i"]]);
        assert_eq!(words("a(b)c\r\nd"), [vec!["a", "b", "c"], vec!["d"]]);
    }

    #[test]
    fn quotes_and_escapes_keep_separators() {
        assert_eq!(words("\"a b;(\" c\\ d\\;e \"f\\\"g\""), [vec!["a b;(", "c\\ d\\;e", "f\\\"g"]]);
    }

    #[test]
    fn an_error_costs_one_record() {
        let mut lexer = Lexer::new(b"a \"b\nc ) d\ne (f", 1, false);
        for problem in [Problem::OpenQuote, Problem::ClosingParenthesis, Problem::OpenParenthesis] {
            assert!(!matches!(lexer.start(), Start::End));
            let found = loop {
                match lexer.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("no error"),
                    Err(found) => break found,
                }
            };
            assert_eq!(found, problem);
            lexer.skip_record();
        }
        assert!(matches!(lexer.start(), Start::End));
    }
}
