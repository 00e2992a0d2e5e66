//! Opening an image: cheap enough for the way to an instance's start, and without trust in the file.

use crate::error::ImageError;
use crate::hash::{Hasher, digest_of_pieces};
use crate::layout::{Layout, PAGE, Segment};
use kernlet_wire::manifest::{BuildId, Digest, Manifest};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// From Linux's asm-generic/fcntl.h. It means nothing for regular files.
const O_NONBLOCK: i32 = 0o4000;

/// An open image whose structure was checked. Its contents were not: see [`Image::verify`].
#[derive(Debug)]
pub struct Image {
    file: File,
    layout: Layout,
    manifest: Vec<u8>,
}

impl Image {
    /// Opens the image at `path`: one open, one fstat and two reads of a page or so each. As long as it is open, here or in
    /// an instance that was handed it, no cache removes it.
    ///
    /// # Errors
    /// The file cannot be read, or is no usable image.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        // A pipe would keep us waiting for its other end.
        Self::from_file(File::options().read(true).custom_flags(O_NONBLOCK).open(path)?)
    }

    /// Takes an image that is open already.
    ///
    /// # Errors
    /// The file cannot be read, or is no usable image.
    pub fn from_file(file: File) -> Result<Self, ImageError> {
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(ImageError::NotAnImage("a directory"));
        }
        if !about.is_file() {
            return Err(ImageError::NotAnImage("a device, a socket or a pipe"));
        }
        let file_len = about.len();
        let mut head = [0; PAGE as usize];
        let head = &mut head[..usize::try_from(file_len.min(PAGE)).unwrap_or(0)];
        read_at(&file, head, 0, file_len)?;
        let layout = Layout::parse(head, file_len)?;
        let mut manifest = vec![0; layout.manifest.len];
        read_at(&file, &mut manifest, layout.manifest.offset, file_len)?;
        check_manifest(&manifest, &layout)?;
        // Where that is not possible there is no cache either.
        let _ = file.try_lock_shared();
        Ok(Self { file, layout, manifest })
    }

    /// Checks an image that is in memory whole, and gives its parts.
    ///
    /// # Errors
    /// The bytes are no usable image.
    pub fn parse(bytes: &[u8]) -> Result<(Layout, Manifest<'_>), ImageError> {
        let head = &bytes[..bytes.len().min(PAGE as usize)];
        let layout = Layout::parse(head, bytes.len() as u64)?;
        let start = usize::try_from(layout.manifest.offset).unwrap_or(usize::MAX);
        let manifest = start.checked_add(layout.manifest.len).and_then(|end| bytes.get(start..end));
        let manifest = manifest.ok_or(ImageError::Malformed("the manifest is not in the file"))?;
        let manifest = check_manifest(manifest, &layout)?;
        Ok((layout, manifest))
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file, for whoever maps it.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// The addresses: entries and segments.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The segments, by rising address.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.layout.segments
    }

    /// The manifest.
    ///
    /// # Panics
    /// Never: the same bytes were read when the image was opened.
    #[must_use]
    pub fn manifest(&self) -> Manifest<'_> {
        Manifest::parse(&self.manifest).expect("the manifest was read before, when the image was opened")
    }

    /// The root file system: its offset in the file and its length.
    #[must_use]
    pub fn root(&self) -> Option<(u64, u64)> {
        self.manifest().root.map(|root| (self.layout.manifest.offset + root.offset, root.len))
    }

    /// The image's file up to its root: what a virtual machine loads that has the file on a disk. The manifest's program
    /// header tells how much belongs to it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn without_root(&self) -> Result<Vec<u8>, ImageError> {
        let sealed = self.layout.sealed();
        let loaded = (self.layout.manifest.len as u64).next_multiple_of(PAGE).min(sealed.file_len);
        let end = sealed.file_offset + loaded;
        let mut bytes = vec![0; usize::try_from(end).map_err(|_| ImageError::Malformed("it is too large"))?];
        read_at(&self.file, &mut bytes, 0, end)?;
        self.layout.cut_sealed(&mut bytes, loaded);
        Ok(bytes)
    }

    /// The image's name for itself.
    #[must_use]
    pub fn build_id(&self) -> BuildId {
        self.manifest().build_id
    }

    /// Reads the whole file and compares it with the hashes in the manifest.
    ///
    /// # Errors
    /// The file cannot be read, or [`ImageError::Altered`].
    pub fn verify(&self) -> Result<(), ImageError> {
        let manifest = self.manifest();
        let altered = |part: &str| ImageError::Altered { part: part.into() };
        if digest_of_pieces(manifest.canonical()) != manifest.build_id {
            return Err(altered("the manifest"));
        }
        let (sealed, linked) = self.layout.segments.split_last().ok_or(altered("the list of segments"))?;
        let expected: Vec<_> = manifest.segments().collect();
        if expected.len() != linked.len() {
            return Err(altered("the list of segments"));
        }
        for (segment, expected) in linked.iter().zip(expected) {
            let same = segment.address == expected.address
                && segment.file_len == expected.file_len
                && self.digest(segment.file_offset, segment.file_len)? == expected.digest;
            if !same {
                return Err(altered(&format!("the segment at {:#x}", segment.address)));
            }
        }
        if let Some(root) = manifest.root
            && self.digest(sealed.file_offset + root.offset, root.len)? != root.digest
        {
            return Err(altered("the root file system"));
        }
        Ok(())
    }

    fn digest(&self, mut offset: u64, len: u64) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 18];
        let mut left = len;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..piece], offset)?;
            hasher.add(&buffer[..piece]);
            offset += piece as u64;
            left -= piece as u64;
        }
        Ok(hasher.finish())
    }
}

fn check_manifest<'a>(bytes: &'a [u8], layout: &Layout) -> Result<Manifest<'a>, ImageError> {
    let manifest = Manifest::parse(bytes)?;
    if manifest.bytes().len() != bytes.len() {
        return Err(ImageError::Malformed("the manifest's length differs from its program header's"));
    }
    if let Some(root) = manifest.root {
        // Manifest::parse has checked that the sum exists.
        if root.offset < bytes.len() as u64 || root.offset + root.len > layout.sealed().file_len {
            return Err(ImageError::Malformed("the root file system is not in the last segment"));
        }
    }
    Ok(manifest)
}

/// Reads all of `buffer`; a file that ends meanwhile was cut off by somebody.
fn read_at(file: &File, buffer: &mut [u8], offset: u64, file_len: u64) -> Result<(), ImageError> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { need: offset + buffer.len() as u64, have: file_len }
        }
        _ => ImageError::Io(error),
    })
}
