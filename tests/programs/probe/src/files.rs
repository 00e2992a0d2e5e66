//! Files, by the names of the shell's tools.

use kernlet::{Error, fs, println};

pub async fn run(arguments: &[&str]) -> u8 {
    let result = match arguments {
        ["read", path] => {
            fs::read(path).await.map(|bytes| kernlet::io::write(kernlet::io::Stream::Out, &bytes))
        }
        ["write", path, text] => fs::write(path, text.as_bytes()).await,
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

async fn list(path: &str) -> Result<(), Error> {
    for entry in fs::read_dir(path).await? {
        println!("{}", entry.file_name());
    }
    Ok(())
}
