//! `kernlet build`.

use super::run::environment;
use crate::arguments::Common;
use crate::report::{Failure, NOT_EXECUTABLE, NOT_FOUND, say};
use crate::{show, what};
use clap::ArgMatches;
use kernlet_image::manifest::Identity;
use kernlet_image::native::{BuildOptions, RootSource};
use kernlet_monitor::{Home, options};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Builds WHAT into an image.
pub fn execute(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let path = |name| matches.get_one::<PathBuf>(name).map(PathBuf::as_path).unwrap_or(Path::new(""));
    let (what, output) = (path("what"), path("output"));
    for name in ["libs-only", "trace"] {
        if matches.get_flag(name) {
            return Err(Failure::new(
                format!("--{name} means nothing for a native crate"),
                "it is for Linux programs, which come with a later kernlet",
            ));
        }
    }
    if !what.exists() {
        let help = "name the directory of a native crate; `kernlet new NAME` makes one";
        return Err(Failure::new(format!("{} does not exist", what.display()), help).with_status(NOT_FOUND));
    }
    if !what.is_dir() {
        let help = "name the directory with its Cargo.toml; programs for Linux come with a later kernlet";
        let failure =
            Failure::new(format!("{} is not the directory of a native crate", what.display()), help);
        return Err(failure.with_status(NOT_EXECUTABLE));
    }
    let built = what::build(what, &build_options(matches)?, &Home::from_environment()?, common)?;
    built.save(output)?;
    if common.verbose {
        let size = std::fs::metadata(output).map(|about| about.len()).unwrap_or_default();
        say(&format!("{}: {} in {}\n", built.name, show::size(size), output.display()));
    }
    Ok(0)
}

fn build_options(matches: &ArgMatches) -> Result<BuildOptions, Failure> {
    let (uid, gid) = match matches.get_one::<String>("user") {
        Some(user) => options::identity(user)?,
        None => (0, 0),
    };
    let workdir = matches.get_one::<String>("workdir").map(|text| options::workdir(text)).transpose()?;
    let mut root: Vec<RootSource> =
        matches.get_many::<PathBuf>("root").into_iter().flatten().cloned().map(RootSource::Dir).collect();
    for text in matches.get_many::<String>("file").into_iter().flatten() {
        root.push(file(text)?);
    }
    let args = matches.get_many::<OsString>("args").into_iter().flatten();
    Ok(BuildOptions {
        args: args.map(|argument| argument.as_bytes().to_vec()).collect(),
        env: environment(matches)?,
        workdir,
        identity: Identity { uid, gid },
        root,
        ..BuildOptions::default()
    })
}

/// `HOST[:GUEST]`: without GUEST the file has the same absolute path inside.
fn file(text: &str) -> Result<RootSource, Failure> {
    let (host, guest) = match text.rsplit_once(':') {
        Some((host, guest)) => (host, Some(guest)),
        None => (text, None),
    };
    let path = PathBuf::from(host);
    let guest = match guest {
        Some(guest) => guest.to_string(),
        None => std::path::absolute(&path).unwrap_or_default().to_string_lossy().into_owned(),
    };
    if host.is_empty() || !guest.starts_with('/') {
        return Err(Failure::new(
            format!("--file {text}: the path inside is not absolute"),
            "--file HOST[:GUEST], as in --file ./motd:/etc/motd",
        ));
    }
    Ok(RootSource::File { host: path, guest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_place_inside() {
        let of = |text| file(text).unwrap();
        assert_eq!(of("a:/b"), RootSource::File { host: "a".into(), guest: "/b".into() });
        assert_eq!(of("/x/a"), RootSource::File { host: "/x/a".into(), guest: "/x/a".into() });
        assert!(file("a:b").is_err() && file(":/b").is_err());
    }
}
