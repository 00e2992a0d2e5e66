//! Entity tags (RFC 9110, section 8.8.3).

use alloc::vec::Vec;

/// An entity tag as it came: the opaque part with its quotes, and whether it is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag<'a> {
    /// `W/` stood in front.
    pub weak: bool,
    /// With the quotes.
    pub opaque: &'a [u8],
}

impl<'a> ETag<'a> {
    /// Reads a tag and nothing else.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::first(text)?;
        rest.is_empty().then_some(tag)
    }

    /// Reads the tag with which `text` begins, and gives what follows.
    fn first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let length = inner.iter().position(|&b| b == b'"')?;
        let visible = |&b: &u8| b == 0x21 || (0x23..=0x7e).contains(&b) || b >= 0x80;
        if !inner[..length].iter().all(visible) {
            return None;
        }
        let (opaque, rest) = quoted.split_at(length + 2);
        Some((Self { weak, opaque }, rest))
    }

    /// Both are strong, and the same.
    pub fn strongly(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// They are the same, weak or not.
    pub fn weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// Appends it as it stands in a field.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.weak {
            out.extend_from_slice(b"W/");
        }
        out.extend_from_slice(self.opaque);
    }
}

/// Whether a field's value, `*` or a list of tags, has one for which `same` holds. A list ends where it stops being one.
pub fn any(list: &[u8], mut same: impl FnMut(&ETag<'_>) -> bool) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        let Some((tag, tail)) = ETag::first(rest) else { return false };
        if same(&tag) {
            return true;
        }
        rest = tail.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_the_table_of_the_standard_says() {
        let tag = |text| ETag::parse(text).unwrap();
        let (weak, strong) = (tag(b"W/\"1\""), tag(b"\"1\""));
        assert!(!weak.strongly(&weak) && weak.weakly(&weak));
        assert!(!weak.strongly(&strong) && weak.weakly(&strong));
        assert!(strong.strongly(&strong) && strong.weakly(&strong));
        assert!(!strong.weakly(&tag(b"\"2\"")) && !weak.weakly(&tag(b"W/\"2\"")));
    }

    #[test]
    fn a_list_may_have_commas_inside_of_tags_and_empty_members() {
        let has = |list: &[u8]| any(list, |t| t.opaque == b"\"a,b\"");
        assert!(has(b"\"x\", W/\"a,b\"") && has(b", ,\"a,b\" ,") && has(b"*") && has(b" * "));
        assert!(
            !has(b"\"x\"")
                && !has(b"")
                && !has(b"\"x\" \"a,b\"")
                && !has(b"nonsense, \"a,b\"")
                && !has(b"\"a,b")
        );
    }
}
