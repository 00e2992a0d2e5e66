//! Building crates: each mistake that a user can make has one clear error.

use kernlet_image::Image;
use kernlet_image::inspect::Inspection;
use kernlet_image::manifest::Identity;
use kernlet_image::native::{BuildError, BuildOptions, Built, Progress, RootSource, build_crate};
use kernlet_image::symbols::Symbols;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const API: &str = r#"kernlet = { path = "api" }"#;
const MAIN: &str = "fn main() {}";

/// Writes a crate with an API beside it that compiles, but opens no doors.
fn sample(manifest: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("Cargo.toml", manifest);
    put("api/Cargo.toml", &package("kernlet", "").replace("[workspace]", ""));
    put("api/src/lib.rs", "#![no_std]");
    files.iter().for_each(|(path, text)| put(path, text));
    folder
}

fn package(name: &str, rest: &str) -> String {
    format!("[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
}

fn with_api(rest: &str) -> String {
    package("app", &format!("{rest}\n[dependencies]\n{API}\n"))
}

fn build(folder: &Path) -> Result<Built, BuildError> {
    let home = tempfile::tempdir().unwrap();
    build_crate(folder, &BuildOptions::default(), home.path(), &mut ())
}

fn refused(manifest: &str, files: &[(&str, &str)]) -> BuildError {
    build(sample(manifest, files).path()).unwrap_err()
}

#[test]
fn a_folder_without_a_crate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(build(folder.path()), Err(BuildError::NoCrate(path)) if path == folder.path()));
    assert!(matches!(build(Path::new("/no/such/folder")), Err(BuildError::NoCrate(_))));
}

#[test]
fn a_manifest_that_cargo_refuses_is_shown_in_cargos_words() {
    let error = refused("[package]\nname = 7", &[]);
    assert!(matches!(&error, BuildError::Manifest { message, .. } if message.contains("name")), "{error}");
}

#[test]
fn a_workspace_without_a_crate_names_its_members() {
    let member = package("one", "").replace("[workspace]", "");
    let error = refused(
        "[workspace]\nmembers = [\"one\"]",
        &[("one/Cargo.toml", &member), ("one/src/main.rs", MAIN)],
    );
    assert!(matches!(&error, BuildError::Workspace { members, .. } if members.ends_with("/one")), "{error}");
}

#[test]
fn a_crate_without_the_native_api_is_refused() {
    let error = refused(&package("app", ""), &[("src/main.rs", MAIN)]);
    assert!(matches!(error, BuildError::NoKernletDependency(name) if name == "app"));
}

#[test]
fn a_library_has_nothing_to_run() {
    let error = refused(&with_api(""), &[("src/lib.rs", "")]);
    assert!(matches!(error, BuildError::Library(name) if name == "app"));
}

#[test]
fn several_programs_are_listed() {
    let files = [("src/bin/one.rs", MAIN), ("src/bin/two.rs", MAIN)];
    let error = refused(&with_api(""), &files);
    assert!(matches!(&error, BuildError::SeveralBins { bins, .. } if bins == "one, two"), "{error}");
    let folder = sample(&with_api(""), &files);
    let options = BuildOptions { bin: Some("three".into()), ..BuildOptions::default() };
    let home = tempfile::tempdir().unwrap();
    let error = build_crate(folder.path(), &options, home.path(), &mut ()).unwrap_err();
    assert!(matches!(error, BuildError::NoSuchBin { bin, .. } if bin == "three"));
}

#[test]
fn unknown_and_impossible_settings_are_named() {
    for (setting, what) in [
        ("rot = \"root\"", "rot"),
        ("opt-level = 9", "opt-level"),
        ("opt-level = \"fast\"", "opt-level"),
        ("workdir = \"here\"", "workdir"),
        ("root = \"/etc\"", "root"),
        ("args = \"-v\"", "sequence"),
        ("env = { \"A=B\" = \"x\" }", "env"),
    ] {
        let manifest = with_api(&format!("[package.metadata.kernlet]\n{setting}"));
        let error = refused(&manifest, &[("src/main.rs", MAIN)]);
        assert!(matches!(&error, BuildError::Settings { message, .. } if message.contains(what)), "{error}");
    }
}

#[test]
fn compile_errors_are_shown_as_rustc_prints_them() {
    struct Steps(Vec<String>);
    impl Progress for Steps {
        fn step(&mut self, what: &str) {
            self.0.push(what.into());
        }
    }
    let folder =
        sample(&with_api(""), &[("src/main.rs", "#![no_std]\n#![no_main]\nfn f() -> u8 { \"text\" }")]);
    let home = tempfile::tempdir().unwrap();
    let mut steps = Steps(Vec::new());
    let error = build_crate(folder.path(), &BuildOptions::default(), home.path(), &mut steps).unwrap_err();
    let text = error.to_string();
    for part in ["`app` does not build", "error[E0308]: mismatched types", "--> src/main.rs:3:16"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(steps.0.iter().any(|step| step.starts_with("compiling kernlet")), "{:?}", steps.0);
    assert!(!folder.path().join("target").exists());
}

/// A crate as a user has it anywhere on the disk: with the native API that kernlet carries.
fn user_crate() -> TempDir {
    let manifest = package(
        "greeter",
        r#"
[dependencies]
kernlet = "0.1"

[package.metadata.kernlet]
root = "files"
args = ["--name", "reader"]
env = { LANG = "C", COLOR = "blue" }
workdir = "/srv"
opt-level = "s"
"#,
    );
    let main = "#![cfg_attr(kernlet_image, no_std, no_main)]\n#![forbid(unsafe_code)]\n
        #[kernlet::main]\nasync fn main() { kernlet::println!(\"hello\"); }\n";
    sample(&manifest, &[("src/main.rs", main), ("files/srv/greeting", "good morning")])
}

struct Ticks(Vec<(usize, usize)>);

impl Progress for Ticks {
    fn tick(&mut self, done: usize, total: usize) {
        self.0.push((done, total));
    }
}

#[test]
fn a_user_crate_becomes_an_image_with_the_same_bytes_in_any_folder_and_home() {
    let (folder, home) = (user_crate(), tempfile::tempdir().unwrap());
    let options = BuildOptions {
        env: vec![b"COLOR=green".to_vec()],
        identity: Identity { uid: 7, gid: 8 },
        root: vec![RootSource::File {
            host: folder.path().join("Cargo.toml"),
            guest: "/etc/manifest".into(),
        }],
        ..BuildOptions::default()
    };
    let mut ticks = Ticks(Vec::new());
    let built = build_crate(folder.path(), &options, home.path(), &mut ticks).unwrap();
    let &(done, total) = ticks.0.last().unwrap();
    assert!(done == total && ticks.0.len() >= total, "{:?}", ticks.0);
    assert_eq!((built.name.as_str(), built.cached), ("greeter", false));
    let image = Image::open(&built.image).unwrap();
    image.verify().unwrap();
    let told = Inspection::of(&image).unwrap();
    assert_eq!(told.defaults.args, ["--name", "reader"]);
    assert_eq!(told.defaults.env, ["LANG=C", "COLOR=green"]);
    assert_eq!((told.defaults.workdir.as_str(), told.defaults.uid, told.defaults.gid), ("/srv", 7, 8));
    let files: Vec<_> = told.root.unwrap().files.into_iter().map(|entry| entry.path).collect();
    assert_eq!(files, ["/etc", "/etc/manifest", "/srv", "/srv/greeting"]);
    for part in ["kernlet_platform", "core"] {
        assert!(told.crates.iter().any(|c| c.name == part), "{part} is missing in {:?}", told.crates);
    }

    // Its symbols are there, and tell no path of this machine.
    let symbols = Symbols::open(home.path(), built.build_id).unwrap();
    let text = image.segments()[1];
    let frames: Vec<_> =
        (text.address..text.address + text.memory_len).flat_map(|at| symbols.resolve(at)).collect();
    assert!(frames.iter().any(|f| f.file.as_ref().is_some_and(|f| f.starts_with("libos/platform/src/"))));
    let absolute = frames.iter().find(|f| f.file.as_ref().is_some_and(|f| f.starts_with('/')));
    assert_eq!(absolute, None);

    let saved = folder.path().join("saved.img");
    built.save(&saved).unwrap();
    assert_eq!(Image::open(&saved).unwrap().build_id(), built.build_id);

    // The same again, and the same from elsewhere with another home.
    let again = build_crate(folder.path(), &options, home.path(), &mut ()).unwrap();
    assert_eq!(again, Built { cached: true, ..built.clone() });
    let (elsewhere, other_home) = (user_crate(), tempfile::tempdir().unwrap());
    let other = build_crate(elsewhere.path(), &options, &other_home.path().join("deeper"), &mut ()).unwrap();
    assert_eq!(other.build_id, built.build_id);
    assert_eq!(fs::read(other.image).unwrap(), fs::read(built.image).unwrap());
}

#[test]
fn what_cargo_itself_says_is_shown() {
    let manifest = with_api("").replace("[dependencies]", "[dependencies]\nmissing = { path = \"missing\" }");
    let text = refused(&manifest, &[("src/main.rs", MAIN)]).to_string();
    assert!(text.contains("missing"), "{text}");
}
