//! Regular files of volumes.

use super::flags::{APPEND, DATA_SYNC, SYNC};
use super::tree::Node;
use crate::Errno;
use crate::user::Buffers;
use alloc::rc::Rc;
use kernlet_fs::Metadata;
use kernlet_fs::volume::VolumeFile;
use kernlet_platform::broker::HostFile;

/// What is moved at a time where the host cannot reach the program's memory.
const CHUNK: usize = 64 << 10;

/// An open file of a volume.
pub struct Opened {
    file: VolumeFile,
    top: Rc<Node>,
}

impl Opened {
    /// A file of the volume whose top is `top`.
    pub fn new(top: Rc<Node>, file: VolumeFile) -> Self {
        Self { file, top }
    }

    /// The top of its volume.
    pub fn top(&self) -> &Rc<Node> {
        &self.top
    }

    /// The file itself.
    pub fn file(&self) -> &VolumeFile {
        &self.file
    }

    /// The host's file, on the process door.
    pub fn host(&self) -> Option<&HostFile> {
        self.file.host()
    }

    /// What is known of it.
    ///
    /// # Errors
    /// EIO.
    pub async fn metadata(&self) -> Result<Metadata, Errno> {
        self.file.metadata().await
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT; the host's.
    pub async fn read(&self, offset: u64, to: &mut Buffers) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some((address, length)) = to.piece() {
            let at = offset + done as u64;
            let (wanted, moved) = match self.file.host() {
                Some(host) => {
                    let moved = host.read_to_program(at, address, length);
                    if let Ok(moved) = moved {
                        to.advance(moved);
                    }
                    (length, moved)
                }
                None => self.read_chunk(at, length, to).await,
            };
            match moved {
                Ok(moved) => {
                    done += moved;
                    if moved < wanted {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn read_chunk(&self, at: u64, length: usize, to: &mut Buffers) -> (usize, Result<usize, Errno>) {
        let mut chunk = alloc::vec![0; length.min(CHUNK)];
        let wanted = chunk.len();
        // A server may give less than it has.
        let read = match self.file.read_at(at, &mut chunk).await {
            Ok(0) => return (wanted, Ok(0)),
            Ok(read) => read,
            Err(error) => return (wanted, Err(error)),
        };
        (read, to.fill(&chunk[..read]))
    }

    /// Writes at `offset`, or at the end when `flags` say so; tells how much was written, and where.
    ///
    /// # Errors
    /// EFAULT; the host's.
    pub async fn write(&self, offset: u64, flags: u32, from: &mut Buffers) -> Result<(usize, u64), Errno> {
        // The host appends by itself, but where that was is to be known.
        let start = if flags & APPEND != 0 { self.file.metadata().await?.size } else { offset };
        let mut done = 0;
        while let Some((address, length)) = from.piece() {
            let at = start + done as u64;
            let (wanted, moved) = match self.file.host() {
                Some(host) => {
                    let moved = host.write_from_program(at, address, length);
                    if let Ok(moved) = moved {
                        from.advance(moved);
                    }
                    (length, moved)
                }
                None => {
                    let mut chunk = alloc::vec![0; length.min(CHUNK)];
                    let taken = from.clone().take(&mut chunk);
                    match taken {
                        Ok(taken) => {
                            let moved = self.file.write_at(at, &chunk[..taken]).await;
                            let mut left = moved.unwrap_or(0);
                            while let (true, Some((_, piece))) = (left > 0, from.piece()) {
                                from.advance(left.min(piece));
                                left -= left.min(piece);
                            }
                            (moved.unwrap_or(taken).max(1), moved)
                        }
                        Err(error) => (1, Err(error)),
                    }
                }
            };
            match moved {
                Ok(moved) => {
                    done += moved;
                    if moved < wanted {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if done > 0 && flags & (SYNC | DATA_SYNC) != 0 {
            self.file.sync(flags & SYNC == 0).await?;
        }
        Ok((done, start))
    }
}
