//! Reading and writing the parts of a message.

use super::Malformed;
use alloc::vec::Vec;

/// Takes a message apart from its front.
#[derive(Clone, Copy)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number that is there only when the byte before it says so; zeros stand for one that is not.
    pub fn optional(&mut self) -> Result<Option<u64>, Malformed> {
        match (self.flag()?, self.u64()?) {
            (true, value) => Ok(Some(value)),
            (false, 0) => Ok(None),
            (false, _) => Err(Malformed),
        }
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Bytes with their length before them, no more than `most`.
    pub fn bytes(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::from(self.u16()?);
        if length > most {
            return Err(Malformed);
        }
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Bytes of a path: no NUL among them.
    pub fn path(&mut self) -> Result<&'a [u8], Malformed> {
        let bytes = self.bytes(super::MAX_PATH)?;
        if bytes.contains(&0) { Err(Malformed) } else { Ok(bytes) }
    }

    pub fn host(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.bytes(super::MAX_HOST)?;
        core::str::from_utf8(bytes).map_err(|_| Malformed)
    }

    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends bytes with their length before them. What is too long for a message is cut, and refused by its reader.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len().min(usize::from(u16::MAX));
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(&bytes[..length]);
}

/// Appends a number that may be missing.
pub fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(value.is_some().into());
    out.extend_from_slice(&value.unwrap_or(0).to_le_bytes());
}
