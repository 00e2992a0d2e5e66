//! Linux programs by the command line: from what a user names to what runs.

use kernlet_tests::{User, finish};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles C into a program in the user's folder, which is a temporary one.
fn compiled(user: &User, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let folder = user.folder("programs");
    let (input, output) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&input, source).expect("writable");
    let built = finish(Command::new("cc").args(flags).arg("-O1").arg("-o").arg(&output).arg(&input));
    assert_eq!(built.status, 0, "{built:#?}");
    output
}

fn file(user: &User, name: &str, contents: &str, mode: u32) -> PathBuf {
    let path = user.folder("programs").join(name);
    fs::write(&path, contents).expect("writable");
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("ours");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

const ARGUMENTS: &str = r#"
#include <stdio.h>
int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) puts(arguments[i]);
    return 3;
}
"#;

const READER: &str = r#"
#include <stdio.h>
int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(arguments[i], "r");
        char line[100];
        if (!file || !fgets(line, sizeof line, file)) return 1;
        fputs(line, stdout);
    }
    return 0;
}
"#;

#[test]
fn a_program_runs_from_where_it_was_made() {
    let user = User::ordinary();
    for (name, flags) in [("static", &["-static"][..]), ("fixed", &["-static", "-no-pie"]), ("dynamic", &[])]
    {
        let program = compiled(&user, name, ARGUMENTS, flags);
        for _ in 0..2 {
            let finished = user.run(["run", text(&program), "--", "one", "-two"]);
            assert_eq!((finished.status, &*finished.out), (3, "one\n-two\n"), "{name}: {finished:#?}");
        }
    }
}

#[test]
fn a_bare_word_is_a_program_in_path_and_a_script_runs_by_its_interpreter() {
    let user = User::ordinary();
    assert_eq!(user.ok(["run", "busybox", "echo", "hi"]), "hi");
    let script = file(&user, "script", "#!/bin/busybox sh\necho \"$0 $1\"\n", 0o755);
    assert_eq!(user.ok(["run", text(&script), "x"]), format!("{} x", text(&script)));
}

#[test]
fn a_built_image_has_its_defaults() {
    let user = User::ordinary();
    let image = user.folder("images").join("b.img");
    user.give(&user.folder("images"));
    user.ok([
        "build",
        "-e",
        "A=b c",
        "-w",
        "/usr",
        "busybox",
        "-o",
        text(&image),
        "--",
        "sh",
        "-c",
        "echo $A; pwd",
    ]);
    assert_eq!(user.ok(["run", text(&image)]), "b c\n/usr");
    assert_eq!(user.ok(["run", text(&image), "echo", "other"]), "other");
    let about = user.inspect(text(&image));
    assert_eq!(about["kind"], "linux");
    assert_eq!(about["lead"][0], "busybox");
}

#[test]
fn what_is_no_program_has_the_statuses_of_a_shell() {
    let user = User::ordinary();
    let script = file(&user, "script", "#!/no/such/interpreter\n", 0o755);
    let data = file(&user, "data", "just text\n", 0o644);
    let locked = compiled(&user, "locked", ARGUMENTS, &["-static"]);
    fs::set_permissions(&locked, PermissionsExt::from_mode(0o644)).expect("ours");
    let cut = file(&user, "cut", "", 0o755);
    fs::write(&cut, &fs::read(&locked).expect("readable")[..1000]).expect("writable");
    for (what, status, says) in [
        (text(&script), 127, "/no/such/interpreter"),
        (text(&data), 126, "no image, no Linux program and no script"),
        (text(&locked), 126, "chmod +x"),
        (text(&cut), 126, "cut off"),
        ("no-such-program-anywhere", 127, "does not exist"),
    ] {
        for line in [&["run", what][..], &["build", what, "-o", "/dev/null"]] {
            let finished = user.run(line);
            assert_eq!(finished.status, status, "{line:?}: {finished:#?}");
            assert!(finished.err.contains(says), "{line:?}: {finished:#?}");
            assert_eq!(finished.out, "");
        }
    }
    assert!(user.instances().is_empty());
}

#[test]
fn a_traced_image_holds_what_the_program_used() {
    let user = User::ordinary();
    let program = compiled(&user, "reader", READER, &[]);
    let files = user.folder("files");
    for name in ["used", "unused"] {
        fs::write(files.join(name), format!("{name}\n")).expect("writable");
    }
    std::os::unix::fs::symlink("used", files.join("link")).expect("writable");
    let image = user.folder("images").join("t.img");
    user.give(&user.folder("images"));
    let file = format!("{}:/srv/files", text(&files));
    let traced = user.run([
        "build",
        "--trace",
        "--file",
        &file,
        text(&program),
        "-o",
        text(&image),
        "--",
        "/srv/files/link",
    ]);
    assert_eq!((traced.status, &*traced.out), (0, "used\n"), "{traced:#?}");
    assert!(traced.err.contains("/srv/files/used") && !traced.err.contains("unused"), "{traced:#?}");
    assert!(user.instances().is_empty(), "the traced instance is gone");
    assert_eq!(user.ok(["run", text(&image)]), "used");
    assert_eq!(user.run(["run", text(&image), "/srv/files/unused"]).status, 1);
}

#[test]
fn home_is_that_of_the_identity_unless_somebody_says_what_it_is() {
    let user = User::ordinary();
    let image = user.folder("images").join("env.img");
    user.give(&user.folder("images"));
    let home = |options: &[&str], what: &str| {
        let finished = user.run([&["run"][..], options, &[what]].concat());
        assert_eq!(finished.status, 0, "{finished:#?}");
        let home = finished.out.lines().find(|line| line.starts_with("HOME=")).map(str::to_owned);
        home.expect("there is one")
    };
    user.ok(["build", "/usr/bin/env", "-o", text(&image)]);
    for (options, expected) in [
        (&[][..], "HOME=/root"),
        (&["-u", "65534"], "HOME=/nonexistent"),
        (&["-u", "33:33"], "HOME=/var/www"),
        (&["-u", "4711"], "HOME=/"),
        (&["-u", "33", "-e", "HOME=/h"], "HOME=/h"),
    ] {
        assert_eq!(home(options, text(&image)), expected, "{options:?}");
        assert_eq!(home(options, "/usr/bin/env"), expected, "{options:?}");
    }
    user.ok(["build", "-u", "33", "/usr/bin/env", "-o", text(&image)]);
    assert_eq!(home(&[], text(&image)), "HOME=/var/www");
    assert_eq!(home(&["-u", "0"], text(&image)), "HOME=/root");
    user.ok(["build", "-e", "HOME=/own", "/usr/bin/env", "-o", text(&image)]);
    assert_eq!(home(&["-u", "33"], text(&image)), "HOME=/own");
}

#[test]
fn a_program_is_told_its_host_name_and_the_image_s_environment() {
    let user = User::ordinary();
    let finished = user.run(["run", "--hostname", "here", "-e", "A=b", "/usr/bin/env"]);
    assert_eq!(finished.status, 0, "{finished:#?}");
    let lines: Vec<&str> = finished.out.lines().collect();
    for wanted in ["HOSTNAME=here", "A=b", "HOME=/root"] {
        assert!(lines.contains(&wanted), "{wanted}: {lines:?}");
    }
    let finished = user.run(["run", "-e", "HOSTNAME=other", "/usr/bin/env"]);
    assert!(
        finished.out.lines().filter(|line| line.starts_with("HOSTNAME=")).eq(["HOSTNAME=other"]),
        "{finished:#?}"
    );
}
