//! `kernlet build`.

use super::run::environment;
use super::trace;
use crate::arguments::Common;
use crate::report::{Failure, say};
use crate::{show, what};
use clap::ArgMatches;
use kernlet_image::Image;
use kernlet_image::linux::ProgramOptions;
use kernlet_image::manifest::Identity;
use kernlet_image::native::{BuildOptions, RootSource};
use kernlet_monitor::{Home, options};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Builds WHAT into an image.
pub fn execute(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let path = |name| matches.get_one::<PathBuf>(name).map(PathBuf::as_path).unwrap_or(Path::new(""));
    let (what, output) = (path("what"), path("output"));
    let home = Home::from_environment()?;
    let options = build_options(matches)?;
    let program = if what.exists() { (!what.is_dir()).then(|| what.to_path_buf()) } else { found(what)? };
    let built = match program {
        Some(program) => {
            if Image::open(&program).is_ok() {
                let help = "`kernlet run` runs it as it is";
                return Err(Failure::new(format!("{} is an image already", program.display()), help));
            }
            let options = program_options(matches, options, what.as_os_str());
            match matches.get_flag("trace") {
                true => trace::build(&program, options, &home, common)?,
                false => what::build_linux(&program, &options, &home, common)?,
            }
        }
        None => {
            for name in ["libs-only", "trace"] {
                if matches.get_flag(name) {
                    return Err(Failure::new(
                        format!("--{name} means nothing for a native crate"),
                        "it is for Linux programs: what a crate needs is linked into it",
                    ));
                }
            }
            what::build(what, &options, &home, common)?
        }
    };
    built.save(output)?;
    if common.verbose {
        let size = std::fs::metadata(output).map(|about| about.len()).unwrap_or_default();
        say(&format!("{}: {} in {}\n", built.name, show::size(size), output.display()));
    }
    Ok(0)
}

/// The program of this name in PATH.
fn found(what: &Path) -> Result<Option<PathBuf>, Failure> {
    what::in_path(what.as_os_str()).map(Some).ok_or_else(|| what::missing(what.as_os_str()))
}

fn program_options(matches: &ArgMatches, options: BuildOptions, name: &OsStr) -> ProgramOptions {
    let BuildOptions { args, env, workdir, identity, root, .. } = options;
    let libs_only = matches.get_flag("libs-only");
    let name = Some(name.into());
    ProgramOptions { name, args, env, workdir, identity, root, libs_only, ..ProgramOptions::default() }
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
