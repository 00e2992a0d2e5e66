//! `kernlet new`: a native crate that builds and runs, anywhere on the disk.

use crate::arguments::Common;
use crate::report::{Failure, say};
use clap::ArgMatches;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MAIN: &str = r#"//! Says hello.
#![cfg_attr(kernlet_image, no_std, no_main)]

#[kernlet::main]
async fn main() {
    kernlet::println!("Hello from NAME!");
}
"#;

const MANIFEST: &str = r#"[package]
name = "NAME"
version = "0.1.0"
edition = "2024"

[dependencies]
kernlet = "0.1"

[lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ["cfg(kernlet_image)"] }

# A workspace of its own, wherever it lies.
[workspace]
"#;

/// Makes the crate.
pub fn execute(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let path = matches.get_one::<PathBuf>("name").cloned().unwrap_or_default();
    make(&path)?;
    if !common.quiet {
        say(&format!("Made {0}. Run it: kernlet run {0}\n", shown(&path)));
    }
    Ok(0)
}

/// A path that cannot be taken for a program in PATH.
fn shown(path: &Path) -> String {
    match path.components().count() {
        1 if path.is_relative() => format!("./{}", path.display()),
        _ => path.display().to_string(),
    }
}

fn make(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(good) {
        return Err(Failure::new(
            format!("{} is no name for a crate", path.display()),
            "letters, digits, `-` and `_`, beginning with a letter, as in `kernlet new my-server`",
        ));
    }
    if name == "kernlet" {
        let help = "choose another: a crate cannot have the name of the crate that it depends on";
        return Err(Failure::new("the name kernlet is taken by the native API", help));
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let help = "choose another name, or remove what is there";
            Failure::new(format!("{} exists already", path.display()), help)
        }
        _ => Failure::new(
            format!("{} cannot be made: {error}", path.display()),
            "the directory above it must exist and be yours to write",
        ),
    };
    fs::create_dir(path).map_err(failed)?;
    let fill = || -> io::Result<()> {
        fs::write(path.join("Cargo.toml"), MANIFEST.replace("NAME", name))?;
        fs::write(path.join(".gitignore"), "/target\n*.img\n")?;
        fs::create_dir(path.join("src"))?;
        fs::write(path.join("src/main.rs"), MAIN.replace("NAME", name))
    };
    fill().map_err(|error| {
        let _ = fs::remove_dir_all(path);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_made_once_and_with_a_good_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my-server");
        make(&path).unwrap();
        let main = fs::read_to_string(path.join("src/main.rs")).unwrap();
        assert!(main.contains("Hello from my-server!"));
        assert!(fs::read_to_string(path.join("Cargo.toml")).unwrap().contains("name = \"my-server\""));
        make(&path).unwrap_err();
        for bad in ["1st", "a b", "kernlet", "ä"] {
            make(&folder.path().join(bad)).unwrap_err();
        }
        make(&folder.path().join("no/such/folder")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
