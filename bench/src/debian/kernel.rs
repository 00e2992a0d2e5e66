//! The kernel itself, out of the file that a boot loader starts (Linux, Documentation/arch/x86/boot.rst).

/// The magic number of LZ4's legacy frames, in which the kernel's build compresses.
const LZ4_LEGACY: [u8; 4] = 0x184c_2102_u32.to_le_bytes();
/// Each block of such a frame holds this much, the last one perhaps less.
const BLOCK: usize = 8 << 20;
/// More than any kernel.
const LARGEST: usize = 512 << 20;

/// Why there is no kernel in a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KernelError {
    /// Another kind of file.
    #[error("it is no bzImage of boot protocol 2.08 or later")]
    NotBzImage,
    /// The payload is not what this reads.
    #[error("the kernel in it is not compressed by LZ4")]
    NotLz4,
    /// The payload is broken.
    #[error("the compressed kernel is damaged")]
    Damaged,
}

/// The ELF file in a bzImage.
pub fn unpack(file: &[u8]) -> Result<Vec<u8>, KernelError> {
    let bytes = |at: usize| file.get(at..).and_then(|rest| rest.first_chunk::<4>());
    let word = |at: usize| bytes(at).map(|word| u32::from_le_bytes(*word) as usize);
    let version = word(0x206).ok_or(KernelError::NotBzImage)? & 0xffff;
    if bytes(0x202) != Some(b"HdrS") || version < 0x208 {
        return Err(KernelError::NotBzImage);
    }
    // Sectors of the real-mode part behind the first one; none is said for four.
    let sectors = match file[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let payload = word(0x248).zip(word(0x24c)).and_then(|(offset, length)| {
        let start = (sectors + 1) * 512 + offset;
        file.get(start..start.checked_add(length)?)
    });
    let frame = payload.ok_or(KernelError::Damaged)?.strip_prefix(&LZ4_LEGACY).ok_or(KernelError::NotLz4)?;
    // The frame is followed by the unpacked length.
    let (blocks, length) = frame.split_last_chunk::<4>().ok_or(KernelError::Damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > LARGEST {
        return Err(KernelError::Damaged);
    }
    let mut kernel = vec![0; length];
    let (mut rest, mut done) = (blocks, 0);
    while let Some((size, behind)) = rest.split_first_chunk::<4>() {
        let block =
            behind.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(KernelError::Damaged)?;
        let room = &mut kernel[done..length.min(done + BLOCK)];
        done += lz4_flex::block::decompress_into(block.0, room).map_err(|_| KernelError::Damaged)?;
        rest = block.1;
    }
    if rest.is_empty() && done == length { Ok(kernel) } else { Err(KernelError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kernel: &[u8]) -> Vec<u8> {
        let mut payload = LZ4_LEGACY.to_vec();
        for block in kernel.chunks(BLOCK) {
            let block = lz4_flex::block::compress(block);
            payload.extend((block.len() as u32).to_le_bytes());
            payload.extend(block);
        }
        payload.extend((kernel.len() as u32).to_le_bytes());
        let mut file = vec![0; 3 * 512 + 16];
        file[0x1f1] = 2;
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x206..0x208].copy_from_slice(&[0x0f, 2]);
        file[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        file.extend(payload);
        file
    }

    #[test]
    fn a_kernel_of_several_blocks_comes_out_as_it_went_in() {
        let kernel: Vec<u8> = (0..BLOCK + 5000).map(|n| (n / 7 % 251) as u8).collect();
        assert!(unpack(&packed(&kernel)) == Ok(kernel));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_an_error() {
        let file = packed(&[7; 100_000]);
        for length in 0..file.len() {
            assert!(unpack(&file[..length]).is_err(), "{length}");
        }
        let mut other = file.clone();
        other[3 * 512 + 16] ^= 1;
        assert_eq!(unpack(&other), Err(KernelError::NotLz4));
        let mut longer = file;
        *longer.last_mut().unwrap() = 0xff;
        assert_eq!(unpack(&longer), Err(KernelError::Damaged));
    }
}
