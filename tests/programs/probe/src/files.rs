//! Files, by the names of the shell's tools.

use kernlet::{Error, fs, println};

pub async fn run(arguments: &[&str]) -> u8 {
    let result = match arguments {
        ["read", path] => {
            fs::read(path).await.map(|bytes| kernlet::io::write(kernlet::io::Stream::Out, &bytes))
        }
        ["write", path, text] => fs::write(path, text.as_bytes()).await,
        ["sum", paths @ ..] => sum(paths).await,
        ["ls", path] => list(path).await,
        ["mkdir", path] => fs::create_dir(path).await,
        ["rm", path] => fs::remove_file(path).await,
        ["rmdir", path] => fs::remove_dir(path).await,
        ["mv", from, to] => fs::rename(from, to).await,
        ["stat", path] => {
            fs::metadata(path).await.map(|m| println!("{} bytes, directory {}", m.len(), m.is_dir()))
        }
        _ => {
            kernlet::eprintln!("probe: no such test: {arguments:?}");
            return 2;
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            println!("{error}");
            1
        }
    }
}

/// Prints length and FNV-1a hash of each file, read in pieces, so that the memory for it does not depend on its length.
async fn sum(paths: &[&str]) -> Result<(), Error> {
    let mut piece = kernlet::alloc::vec![0; 16 << 10];
    for path in paths {
        let file = fs::File::open(path).await?;
        let (mut length, mut hash) = (0u64, 0xcbf2_9ce4_8422_2325u64);
        loop {
            let count = file.read_at(&mut piece, length).await?;
            if count == 0 {
                break;
            }
            length += count as u64;
            for byte in &piece[..count] {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        println!("{path} {length} {hash:016x}");
    }
    Ok(())
}

async fn list(path: &str) -> Result<(), Error> {
    for entry in fs::read_dir(path).await? {
        println!("{}", entry.file_name());
    }
    Ok(())
}
