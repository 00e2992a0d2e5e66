//! Races for a name, processes that are killed at any moment, disks that are full: the others go on, and the next command
//! sees the truth.

use kernlet_tests::{User, eventually, finish, image, is_root};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn probe() -> String {
    image("tests/programs/probe").to_str().expect("temporary paths are UTF-8").to_owned()
}

/// How many directories there are of instances, and of what is no instance (any more).
fn entries(user: &User) -> usize {
    std::fs::read_dir(user.state().join("instances")).map_or(0, |entries| entries.flatten().count())
}

/// Starts commands at once and waits for all; their statuses and what they said.
fn at_once(commands: Vec<Command>) -> Vec<(i32, String)> {
    let spawn = |mut command: Command| {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("kernlet runs")
    };
    let all: Vec<_> = commands.into_iter().map(spawn).collect();
    let end = |child: std::process::Child| {
        let output = child.wait_with_output().expect("it ends");
        (output.status.code().unwrap_or(-1), kernlet_tests::text(&output.stderr))
    };
    all.into_iter().map(end).collect()
}

#[test]
fn of_commands_that_race_for_a_name_one_gets_it() {
    let user = User::ordinary();
    for _ in 0..3 {
        let run = || user.kernlet(["run", "-d", "--name", "same", &probe(), "sleep", "600000"]);
        let results = at_once((0..6).map(|_| run()).collect());
        assert_eq!(results.iter().filter(|(status, _)| *status == 0).count(), 1, "{results:?}");
        for (status, said) in results.iter().filter(|(status, _)| *status != 0) {
            assert!(*status == 125 && said.contains("same") && said.contains("in use"), "{results:?}");
        }
        assert_eq!(user.inspect("same")["state"], "running");
        // Stopping, removing and looking at once.
        let mut commands: Vec<_> = (0..4).map(|_| user.kernlet(["rm", "-f", "same"])).collect();
        commands.extend((0..3).map(|_| user.kernlet(["ps", "-a"])));
        let results = at_once(commands);
        assert!(results.iter().any(|(status, _)| *status == 0), "{results:?}");
        assert_eq!(entries(&user), 0, "{results:?}");
    }
}

#[test]
fn a_start_that_is_killed_at_any_moment_leaves_the_truth_and_no_name_taken() {
    let user = User::ordinary();
    for moment in 0..25 {
        let mut command = user.kernlet(["run", "--name", "victim", &probe(), "sleep", "600000"]);
        // setpriv executes the command, so that this is the monitor itself.
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kernlet runs");
        std::thread::sleep(Duration::from_micros(500 * moment));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        // Its child may be on its way to the loader, which finds out that its parent is gone, and ends.
        eventually("nothing runs", || !user.ok(["ps"]).contains("victim"));
        let removed = || user.run(["rm", "victim"]);
        eventually("it is gone", || removed().err.contains("there is no instance"));
        let next = user.run(["run", "--rm", "--name", "victim", &probe(), "exit", "3"]);
        assert_eq!(next.status, 3, "killed after {moment} half milliseconds: {next:?}");
        // What was on its way is cleared by whoever lists.
        user.ok(["ps", "-a"]);
        assert_eq!(entries(&user), 0, "killed after {moment} half milliseconds");
    }
}

#[test]
fn an_instance_that_is_killed_from_outside_is_seen_to_end_and_can_be_started_again() {
    let user = User::ordinary();
    let name = user.detached([&probe(), "sleep", "600000"]);
    let again = user.detached(["--restart", "always", &probe(), "sleep", "600000"]);
    let pid = |name: &str| user.inspect(name)["pid"].as_u64().map(|pid| pid as u32);
    let first = pid(&again);
    for name in [&name, &again] {
        kernlet_tests::kill(pid(name).expect("it runs"), Signal::KILL);
    }
    assert_eq!(user.ok(["wait", &name]), "137");
    eventually("the other is started again", || pid(&again).is_some_and(|pid| Some(pid) != first));
    assert_eq!(user.inspect(&again)["restarts"], 1);
}

/// A small file system over a user's state.
struct SmallState(PathBuf);

impl SmallState {
    fn mount(user: &User) -> Self {
        assert!(is_root(), "mounting needs root");
        let at = user.state();
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=777", "none"];
        let mounted = finish(Command::new("mount").args(options).arg(&at));
        assert_eq!(mounted.status, 0, "{mounted:?}");
        Self(at)
    }

    /// Takes all that is left; gives it back when the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let _ = std::fs::write(&path, vec![0; 2 << 20]);
        path
    }
}

impl Drop for SmallState {
    fn drop(&mut self) {
        finish(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn remove(file: &Path) {
    std::fs::remove_file(file).expect("it is there");
}

#[test]
fn a_full_disk_under_logs_and_state_ends_nothing() {
    let user = User::ordinary();
    let state = SmallState::mount(&user);
    let name = user.detached([&probe(), "signals"]);
    eventually("the program is ready", || user.logs(&name).contains("ready"));
    let filler = state.fill();
    user.ok(["kill", "-s", "USR1", &name]);
    assert_eq!(user.inspect(&name)["state"], "running");
    let refused = user.run(["run", &probe(), "exit", "0"]);
    assert!(refused.status == 125 && refused.err.contains("No space left"), "{refused:?}");
    assert_eq!(user.instances(), [name.as_str()]);
    // With room again it logs again.
    remove(&filler);
    user.ok(["kill", "-s", "HUP", &name]);
    eventually("the log goes on", || user.logs(&name).contains("signal 1\n"));
    state.fill();
    user.ok(["stop", &name]);
    assert_eq!(user.inspect(&name)["state"], "exited");
    user.ok(["rm", &name]);
    assert_eq!(user.instances().len(), 0);
}

#[test]
fn a_log_that_outgrows_its_disk_ends_nothing() {
    let user = User::ordinary();
    let _state = SmallState::mount(&user);
    let name = user.detached([&probe(), "log", "100000"]);
    assert_eq!(user.ok(["wait", &name]), "0");
    assert_eq!(user.inspect(&name)["state"], "exited");
    user.ok(["rm", &name]);
}
