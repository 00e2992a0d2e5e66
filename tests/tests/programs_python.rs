//! Debian's python3, unmodified: its modules that lean on the system, its web server, and an application from PyPI.

use kernlet_tests::programs::{
    DOORS, LONG, Server, certificate, compiled, folder_with, native, run_as, same, seal, source,
};
use kernlet_tests::{User, finish_within, need};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The interpreter with Debian's modules, for both doors.
fn python() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        need("/usr/bin/python3", "python3");
        seal("/usr/bin/python3", &[], "python")
    })
}

#[test]
fn modules_that_lean_on_the_system_say_the_same_as_natively() {
    let program = source("languages/modules.py");
    let text = std::fs::read(&program).expect("it is there");
    let folder = certificate()[0].parent().map(Path::to_owned).expect("it lies in a folder");
    // By name, as `python3` may be another one natively.
    let arguments = [program.to_str().expect("UTF-8"), folder.to_str().expect("UTF-8")];
    let expected = native("/usr/bin/python3", &arguments);
    assert_eq!(expected.status, 7, "{expected:?}");
    for door in DOORS {
        let user = User::ordinary();
        let folder = folder_with(&user, "work", &[("modules.py", &text)]);
        let volume = format!("{}:/work", folder.display());
        let got = run_as(&user, door, &["-v", &volume], python(), &["/work/modules.py", "/work"]);
        same(&format!("modules.py in door {door}"), &expected, &got);
    }
}

#[test]
fn what_is_written_by_a_shared_mapping_is_read() {
    let program = "import mmap, tempfile; f = tempfile.TemporaryFile(); f.write(bytes(9000)); f.flush(); \
                   m = mmap.mmap(f.fileno(), 0); m[8000:8005] = b'hello'; f.seek(8000); print(f.read(5))";
    for door in DOORS {
        let got = run_as(&User::ordinary(), door, &[], python(), &["-c", program]);
        assert_eq!(got.out, "b'hello'\n", "{door}: {got:?}");
    }
}

#[test]
fn the_web_server_of_the_library_serves_files_and_lists_folders() {
    need("curl", "curl");
    for door in DOORS {
        let user = User::ordinary();
        let big: String = (0..100_000).map(|n| format!("{n}\n")).collect();
        let site = folder_with(&user, "site", &[("a.txt", b"hello\n"), ("big.txt", big.as_bytes())]);
        let volume = format!("{}:/site:ro", site.display());
        let arguments = ["-u", "-m", "http.server", "--directory", "/site", "8000"];
        let server = Server::start(user, door, &[8000], &["-v", &volume], python(), &arguments);
        let base = format!("http://127.0.0.1:{}", server.ports[0]);
        let get = |path: &str| server.client("curl", &["-sS", "--fail", &format!("{base}/{path}")]);
        server.until("the server answers", || {
            finish_within(Command::new("curl").args(["-s", "--fail", &base]), LONG).status == 0
        });
        assert_eq!(get("a.txt"), "hello\n");
        assert!(get("big.txt") == big, "{door}: the whole file comes");
        assert!(get("").contains(">big.txt<"), "{door}: folders are listed");
        let many: Vec<_> = (0..8).map(|_| format!("{base}/a.txt")).collect();
        let mut all = vec!["-sS", "--fail", "--parallel"];
        all.extend(many.iter().map(String::as_str));
        assert_eq!(server.client("curl", &all), "hello\n".repeat(8), "{door}: each client has its thread");
        server.until("requests are logged", || server.log().contains("\"GET /a.txt HTTP/1.1\" 200"));
        server.stop();
    }
}

/// A folder with Flask and what it needs, of PyPI, in a venv; fetched once.
fn flask() -> std::path::PathBuf {
    let root = compiled().join("flask-root");
    let packages = root.join("packages");
    if !packages.join("flask/__init__.py").exists() {
        need("/usr/bin/python3", "python3-venv");
        let venv = compiled().join("venv");
        let made = finish_within(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&venv), LONG);
        assert_eq!(made.status, 0, "apt-get install python3-venv: {made:?}");
        let pip = venv.join("bin/pip");
        let done = finish_within(Command::new(pip).args(["-q", "install", "flask"]), LONG);
        assert_eq!(done.status, 0, "{done:?}");
        std::fs::create_dir_all(&root).expect("the folder is writable");
        let libraries = venv.join("lib/python3.11/site-packages");
        let copied = finish_within(Command::new("cp").arg("-a").arg(libraries).arg(&packages), LONG);
        assert_eq!(copied.status, 0, "{copied:?}");
    }
    std::fs::copy(source("languages/application.py"), root.join("application.py")).expect("it is writable");
    root
}

#[test]
fn a_flask_application_of_pypi_is_served() {
    need("curl", "curl");
    let root = flask();
    let root = root.to_str().expect("UTF-8");
    let image = seal("/usr/bin/python3", &["--root", root, "-e", "PYTHONPATH=/packages"], "flask");
    for door in DOORS {
        let server = Server::start(User::ordinary(), door, &[8000], &[], &image, &["/application.py"]);
        let base = format!("http://127.0.0.1:{}", server.ports[0]);
        let curl = |arguments: &[&str], path: &str| {
            let url = format!("{base}{path}");
            server.client("curl", &[&["-sS", "--fail"], arguments, &[&url]].concat())
        };
        server.until("the server answers", || {
            let url = format!("{base}/seen");
            finish_within(Command::new("curl").args(["-s", "--fail", &url]), LONG).status == 0
        });
        assert_eq!(curl(&[], "/hello/bob"), "{\"greeting\":\"hello, bob\",\"threads\":true}\n");
        let json = ["-H", "Content-Type: application/json", "-d", "{\"numbers\": [1, 2, 39]}"];
        assert_eq!(curl(&json, "/sum"), "{\"total\":42}\n");
        let names: Vec<_> = (0..6).map(|n| format!("{base}/hello/n{n}")).collect();
        let mut all = vec!["-sS", "--fail", "--parallel"];
        all.extend(names.iter().map(String::as_str));
        assert_eq!(server.client("curl", &all).lines().count(), 6);
        assert_eq!(curl(&[], "/seen"), "[\"bob\",\"n0\",\"n1\",\"n2\",\"n3\",\"n4\",\"n5\"]\n", "{door}");
        server.stop();
    }
}
