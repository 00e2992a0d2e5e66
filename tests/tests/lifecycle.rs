//! The life of instances as the command line shows it.

use kernlet_tests::{User, eventually, finish, image};

fn probe() -> String {
    image("tests/programs/probe").to_str().expect("temporary paths are UTF-8").to_owned()
}

#[test]
fn a_detached_instance_is_listed_stopped_waited_for_and_removed() {
    let user = User::ordinary();
    let name = user.detached(["--name", "sleeper", &probe(), "sleep", "600000"]);
    assert_eq!(name, "sleeper");
    assert!(user.ok(["ps"]).contains("sleeper"));
    assert_eq!(user.inspect("sleeper")["state"], "running");
    user.ok(["stop", "-t", "5", "sleeper"]);
    assert!(!user.ok(["ps"]).contains("sleeper"));
    assert!(user.ok(["ps", "-a"]).contains("sleeper"));
    // SIGTERM without a handler: 128 + 15.
    assert_eq!(user.ok(["wait", "sleeper"]), "143");
    user.ok(["rm", "sleeper"]);
    assert!(!user.ok(["ps", "-a"]).contains("sleeper"));
}

#[test]
fn logs_outlive_the_instance() {
    let user = User::ordinary();
    let name = user.detached([&probe(), "args", "one", "two"]);
    assert_eq!(user.ok(["wait", &name]), "0");
    assert_eq!(user.logs(&name), "[one]\n[two]\n");
    assert_eq!(user.ok(["logs", "--tail", "1", &name]), "[two]");
}

#[test]
fn a_flood_of_output_keeps_the_log_bounded_and_its_end() {
    let user = User::ordinary();
    let name = user.detached([&probe(), "log", "300000"]);
    assert_eq!(user.ok(["wait", &name]), "0");
    assert!(user.ok(["logs", "--tail", "1", &name]).contains("line 299999 "));
    let size: u64 = walk(&user.state().join("instances"))
        .iter()
        .map(|p| std::fs::metadata(p).map_or(0, |m| m.len()))
        .sum();
    assert!(size < 16 << 20, "{size} bytes of state for 24 MB of output");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn signals_reach_the_program_in_both_doors() {
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        let name = user.detached(["-b", backend, &probe(), "signals"]);
        eventually("the program is ready", || user.logs(&name).contains("ready"));
        user.ok(["kill", "-s", "HUP", &name]);
        user.ok(["kill", "-s", "SIGUSR1", &name]);
        eventually("both arrive", || user.logs(&name).contains("signal 10"));
        assert!(user.logs(&name).contains("signal 1\n"));
        user.ok(["stop", &name]);
        assert_eq!(user.ok(["wait", &name]), "0", "{backend}");
    }
}

#[test]
fn quit_prints_the_backtrace_of_every_task_and_the_program_goes_on() {
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        let name = user.detached(["-b", backend, &probe(), "wait"]);
        eventually("the program is ready", || user.logs(&name).contains("ready"));
        user.ok(["kill", "-s", "QUIT", &name]);
        eventually("the backtraces come", || user.logs(&name).contains("`waits-for-a-value`"));
        let enough = || {
            let log = user.logs(&name);
            ["`main`", "probe/src/main.rs:", "exec/src/timer.rs:", "sync/src/channel.rs:"]
                .iter()
                .all(|text| log.contains(text))
        };
        eventually("they are symbolised", enough);
        assert_eq!(user.inspect(&name)["state"], "running", "{backend}");
    }
}

#[test]
fn kill_ends_even_a_program_that_never_waits() {
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        let name = user.detached(["-b", backend, &probe(), "spin"]);
        user.ok(["kill", &name]);
        assert_eq!(user.ok(["wait", &name]), "137", "{backend}");
    }
    let name = user.detached([&probe(), "spin"]);
    user.ok(["stop", "-t", "1", &name]);
    assert_eq!(user.ok(["wait", &name]), "137");
}

#[test]
fn the_end_of_a_monitor_is_the_end_of_its_instance_and_state_says_so() {
    let user = User::ordinary();
    for backend in ["process", "qemu"] {
        let name = user.detached(["-b", backend, &probe(), "sleep", "600000"]);
        let state = user.inspect(&name);
        let pid = |field: &str| state[field].as_u64().expect("it runs") as u32;
        let (monitor, instance) = (pid("monitor_pid"), pid("pid"));
        kernlet_tests::kill(monitor, rustix::process::Signal::KILL);
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{instance}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        eventually("the instance ends", gone);
        eventually("ps tells", || !user.ok(["ps"]).contains(&name));
        assert_eq!(user.inspect(&name)["state"], "exited", "{backend}");
        user.ok(["rm", &name]);
    }
}

#[test]
fn restart_policies_do_what_they_say() {
    let user = User::ordinary();
    let name = user.detached(["--restart", "on-failure:2", &probe(), "panic"]);
    assert_eq!(user.ok(["wait", &name]), "134");
    assert_eq!(user.logs(&name).matches("kernlet: panic at").count(), 3);
    let name = user.detached(["--restart", "on-failure", &probe(), "args", "once"]);
    assert_eq!(user.ok(["wait", &name]), "0");
    assert_eq!(user.logs(&name).matches("[once]").count(), 1);
    let name = user.detached(["--restart", "always", &probe(), "args", "again"]);
    eventually("it is started again", || user.logs(&name).matches("[again]").count() >= 3);
    user.ok(["stop", &name]);
    assert_eq!(user.inspect(&name)["state"], "exited");
}

#[test]
fn rm_on_exit_leaves_nothing() {
    let user = User::ordinary();
    assert_eq!(user.run(["run", "--rm", &probe(), "exit", "4"]).status, 4);
    assert!(user.instances().is_empty());
}

#[test]
fn ctrl_c_reaches_a_program_in_the_foreground() {
    let user = User::ordinary();
    let mut command = user.kernlet(["run", &probe(), "sleep", "600000"]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().expect("kernlet runs");
    let mut child = kernlet_tests::Running(child);
    eventually("it is listed", || user.ok(["ps"]).contains("sleep") || !user.instances().is_empty());
    std::thread::sleep(std::time::Duration::from_millis(200));
    kernlet_tests::kill(child.0.id(), rustix::process::Signal::INT);
    assert_eq!(child.0.wait().expect("it ends").code(), Some(130));
}

#[test]
fn a_new_crate_builds_and_runs_in_any_folder() {
    let user = User::myself();
    let folder = user.folder("some where");
    let mut command = user.kernlet(["new", "my-service"]);
    command.current_dir(&folder);
    assert_eq!(finish(&mut command).status, 0);
    // The build's cache is shared with the other tests, as compiling takes longest.
    let run = || {
        let mut command = user.kernlet(["run", "my-service"]);
        command
            .current_dir(&folder)
            .env("KERNLET_HOME", kernlet_tests::repository().join("target/test-home"));
        let output = command.output().expect("kernlet runs");
        (output.status.code(), kernlet_tests::text(&output.stdout), kernlet_tests::text(&output.stderr))
    };
    let (status, out, err) = run();
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("Hello"), "{out} {err}");
}

#[test]
fn completions_exist_for_the_usual_shells() {
    let user = User::ordinary();
    for shell in ["bash", "zsh", "fish"] {
        assert!(user.ok(["completions", shell]).contains("kernlet"), "{shell}");
    }
}

#[test]
fn inspect_shows_what_an_image_holds_and_what_an_instance_may_do() {
    let user = User::ordinary();
    let image = image("apps/dns");
    let image = image.to_str().expect("temporary paths are UTF-8");
    let text = user.ok(["inspect", image]);
    for part in ["kernlet_net", "dns", "/zones/example.com.zone"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let name = user.detached(["-p", "0:53/udp", image]);
    let text = user.ok(["inspect", &name]);
    assert!(text.contains("53/udp") && text.contains("any"), "{text}");
    assert_eq!(user.inspect(&name)["state"], "running");
}
