//! Tag-length-value encoding, shared by the manifest and the boot blob.
//!
//! A record is `tag: u16, reserved: u16 = 0, length: u32`, all little-endian, then `length` bytes of value,
//! padded with zeros to a multiple of 8. A reader skips tags that it does not know, unless [`MANDATORY`] is set.

use alloc::vec::Vec;

/// Set in a tag whose meaning a reader must know; a reader that does not refuses the whole.
pub const MANDATORY: u16 = 0x8000;

/// Why a sequence of records could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlvError {
    /// The bytes end inside a record.
    Truncated,
    /// A value has a length or content that its tag does not allow.
    BadValue(u16),
    /// A mandatory tag that this reader does not know.
    UnknownMandatory(u16),
}

/// Appends records to a buffer.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty sequence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one record.
    pub fn put(&mut self, tag: u16, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&tag.to_le_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(value);
        let padded = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(padded, 0);
        self
    }

    /// Appends a record that holds one little-endian 64-bit number.
    pub fn put_u64(&mut self, tag: u16, value: u64) -> &mut Self {
        self.put(tag, &value.to_le_bytes())
    }

    /// The encoded records.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// One record, borrowed from the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its tag, with [`MANDATORY`] where that was set.
    pub tag: u16,
    /// Its value, without padding.
    pub value: &'a [u8],
}

impl Record<'_> {
    /// The value as a 64-bit number.
    ///
    /// # Errors
    /// [`TlvError::BadValue`] when the value is not 8 bytes long.
    pub fn u64(&self) -> Result<u64, TlvError> {
        self.value.try_into().map(u64::from_le_bytes).map_err(|_| TlvError::BadValue(self.tag))
    }

    /// The value as UTF-8 text.
    ///
    /// # Errors
    /// [`TlvError::BadValue`] when it is not UTF-8.
    pub fn text(&self) -> Result<&str, TlvError> {
        core::str::from_utf8(self.value).map_err(|_| TlvError::BadValue(self.tag))
    }
}

/// Iterates over the records in `bytes`; ends after the first error.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which hold nothing but records.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Record<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = core::mem::take(&mut self.rest);
        let Some((header, body)) = whole.split_first_chunk::<8>() else {
            return Some(Err(TlvError::Truncated));
        };
        let tag = u16::from_le_bytes([header[0], header[1]]);
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(value) = body.get(..length) else {
            return Some(Err(TlvError::Truncated));
        };
        // The last record may come without its padding.
        self.rest = body.get(length.next_multiple_of(8)..).unwrap_or(&[]);
        Some(Ok(Record { tag, value }))
    }
}
