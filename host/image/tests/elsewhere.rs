//! The same inputs give the same bytes, whoever builds where and when: with another umask, locale, time zone, home and working
//! directory, in another folder, and for Linux programs as another user. Times of files are no input of native images; in
//! those of Linux programs they are kept.

use kernlet_image::linux::{ProgramOptions, build_program};
use kernlet_image::native::{BuildOptions, RootSource, build_crate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Says to this test binary, started again, what to build: the kind, the folder and the home.
const BUILD: &str = "KERNLET_TEST_ELSEWHERE";
/// An ordinary user: nobody.
const NOBODY: &str = "65534";

const MAIN: &str = r#"#![cfg_attr(kernlet_image, no_std, no_main)]
#[kernlet::main]
async fn main() { kernlet::println!("{}", file!()); panic!("here"); }
"#;
const MANIFEST: &str = r#"[workspace]
[package]
name = "elsewhere"
version = "0.1.0"
edition = "2024"
[dependencies]
kernlet = "0.1"
[package.metadata.kernlet]
root = "files"
"#;

/// When files were made: now, years ago, or at a time that is the same for all.
#[derive(Clone, Copy, PartialEq)]
enum Age {
    New,
    Old,
    Fixed,
}

/// A crate with files, or the files for a program.
fn folder(age: Age) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // Made in another order, too.
    let mut files = vec![
        ("Cargo.toml", MANIFEST),
        ("src/main.rs", MAIN),
        ("files/etc/one", "1"),
        ("files/etc/two", "22"),
        ("files/straße", "name"),
    ];
    if age == Age::Old {
        files.reverse();
    }
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
        let time = match age {
            Age::New => continue,
            Age::Old => SystemTime::now() - Duration::from_secs(100_000_000),
            Age::Fixed => SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_123_456_789),
        };
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    folder
}

fn build(kind: &str, folder: &Path, home: &Path) -> PathBuf {
    let root = vec![RootSource::Dir(folder.join("files"))];
    let built = match kind {
        "native" => build_crate(folder, &BuildOptions::default(), home, &mut ()).unwrap(),
        _ => {
            let options = ProgramOptions { root, ..ProgramOptions::default() };
            build_program(Path::new("/bin/cat"), &options, home, &mut ()).unwrap()
        }
    };
    assert!(!built.cached);
    built.image
}

/// What another builds, elsewhere.
fn built_elsewhere(kind: &str, as_nobody: bool) -> Vec<u8> {
    let age = if kind == "native" { Age::Old } else { Age::Fixed };
    let (folder, homes) = (folder(age), tempfile::tempdir().unwrap());
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(homes.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let home = homes.path().join("deep/er");
    // The test binary itself lies where only its owner may look.
    let program = homes.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --");
    let script = format!("umask 077; cd /; exec {} \"$@\"", if as_nobody { &nobody } else { "" });
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(program)
        .args(["--ignored", "--exact", "builds_for_another_test"])
        .env(BUILD, format!("{kind}\n{}\n{}", folder.path().display(), home.display()))
        .envs([("TZ", "Pacific/Kiritimati"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "C"), ("USER", "somebody")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let images: Vec<_> =
        fs::read_dir(home.join("cache/images")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(images.len(), 1);
    fs::read(&images[0]).unwrap()
}

#[test]
fn a_native_image_is_the_same_whoever_builds_it_elsewhere() {
    let (folder, home) = (folder(Age::New), tempfile::tempdir().unwrap());
    let here = fs::read(build("native", folder.path(), home.path())).unwrap();
    assert!(here == built_elsewhere("native", false));
}

#[test]
fn a_program_s_image_is_the_same_whoever_builds_it_elsewhere() {
    let (folder, home) = (folder(Age::Fixed), tempfile::tempdir().unwrap());
    let here = fs::read(build("linux", folder.path(), home.path())).unwrap();
    assert!(here == built_elsewhere("linux", rustix::process::geteuid().is_root()));
}

#[test]
#[ignore = "started by the tests that compare"]
fn builds_for_another_test() {
    let Ok(what) = std::env::var(BUILD) else { return };
    let [kind, folder, home] = what.split('\n').collect::<Vec<_>>()[..] else { panic!("{what}") };
    build(kind, Path::new(folder), Path::new(home));
}
