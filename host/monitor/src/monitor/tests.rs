//! Lives of a fake instance: a shell, with the control channel in the test's hands.

use super::*;
use crate::backend::{Channel, StartError};
use crate::control::Client;
use crate::signals::KILL;
use crate::state::Phase;
use kernlet_wire::control::{Death, Message};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::process::{Command, Stdio};
use std::thread;

/// Starts `sh -c SCRIPT`; each start says the messages of its turn beforehand.
struct Shell {
    script: &'static str,
    says: Vec<Vec<Message>>,
    peers: Vec<OwnedFd>,
}

impl Starter for Shell {
    fn start(&mut self, _: Option<&Pty>) -> Result<Guest, StartError> {
        let mut shell = Command::new("sh");
        shell.args(["-c", self.script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[expect(clippy::zombie_processes, reason = "the monitor waits for it")]
        let mut child = shell.spawn().unwrap();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        for message in if self.says.is_empty() { Vec::new() } else { self.says.remove(0) } {
            let mut buffer = [0; kernlet_wire::control::MAX_MESSAGE];
            rustix::io::write(&theirs, message.encode(&mut buffer)).unwrap();
        }
        self.peers.push(theirs);
        let pid = Pid::from_child(&child);
        Ok(Guest {
            pid,
            pidfd: pidfd_open(pid, PidfdFlags::empty()).unwrap(),
            control: Channel::new(ours),
            stdin: child.stdin.take().map(OwnedFd::from),
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
            broker: None,
            trunk: None,
            remarks: None,
            watched: None,
        })
    }
}

#[derive(Default)]
struct Entered(Vec<String>);

impl Ready for Entered {
    fn entered(&mut self, name: &str) {
        self.0.push(name.into());
    }
}

struct Outcome {
    home: Home,
    result: Result<u8, Error>,
    entered: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Outcome {
    fn state(&self) -> State {
        self.home.find("one").unwrap().state().unwrap()
    }

    fn log(&self) -> String {
        let mut text = String::new();
        let directory = self.home.find("one").unwrap();
        let reader = crate::log::Reader::default();
        let mut show = |record: crate::log::Record<'_>| {
            text.push_str(&String::from_utf8_lossy(record.text));
            text.push_str(if record.complete { "\n" } else { "" });
            Ok(())
        };
        reader.read(directory.as_fd(), &mut show).unwrap();
        text
    }
}

/// Lives through `script`, detached; `meanwhile` runs beside it.
fn live(
    script: &'static str,
    says: &[&[Message]],
    change: impl FnOnce(&mut Options),
    meanwhile: impl FnOnce(&Home) + Send,
) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut options = Options::new("/i".into());
    options.name = Some("one".into());
    change(&mut options);
    let place = place(&home, &options).unwrap();
    let starter = Shell { script, says: says.iter().map(|s| s.to_vec()).collect(), peers: Vec::new() };
    let mut entered = Entered::default();
    let result = thread::scope(|scope| {
        let signals = Signals::catch(false).unwrap();
        let grants = Rc::new(RefCell::new(Grants::default()));
        let (options, starter) = (Rc::new(options), Box::new(starter));
        let about = About::example();
        let mut monitor =
            Monitor::start(&home, about, options, grants, starter, Some(&mut entered), signals, place)
                .unwrap();
        scope.spawn(|| meanwhile(&home));
        monitor.live()
    });
    Outcome { home, result, entered: entered.0, _folder: folder }
}

fn nothing(_: &Home) {}

fn client(home: &Home) -> Client {
    Client::connect(&home.find("one").unwrap()).unwrap().unwrap()
}

#[test]
fn the_programs_word_counts_and_its_output_is_kept() {
    let says = [Message::Entered, Message::Exit(7)];
    let outcome = live("echo out; echo err >&2; printf last", &[&says], |_| {}, nothing);
    assert_eq!(outcome.result.as_ref().unwrap(), &7);
    assert_eq!(outcome.entered, ["one"]);
    let state = outcome.state();
    assert_eq!((state.phase, state.exit_code, state.pid), (Phase::Exited, Some(7), None));
    let log = outcome.log();
    assert!(log.contains("out\n") && log.contains("err\n") && log.contains("last"), "{log}");
}

#[test]
fn a_death_and_a_silent_end_have_reasons() {
    let says = [Message::Entered, Message::Died(Death::Panic)];
    let outcome = live("true", &[&says], |_| {}, nothing);
    assert_eq!(outcome.state().reason.as_deref(), Some("panic"));
    let outcome = live("kill -SYS $$", &[&[Message::Entered]], |_| {}, nothing);
    assert_eq!(outcome.result.as_ref().unwrap(), &159);
    assert!(outcome.log().contains("not granted"), "{}", outcome.log());
}

#[test]
fn an_end_before_the_program_was_entered_is_told_to_whoever_waits() {
    let outcome = live("exit 3", &[&[]], |_| {}, nothing);
    assert!(matches!(outcome.result, Err(Error::EndedEarly { status: 3, .. })));
    assert!(outcome.entered.is_empty());
    // A status that is the loader's: nothing of the image ran, and nothing stays.
    let outcome = live("exit 241", &[&[]], |_| {}, nothing);
    assert!(matches!(outcome.result, Err(Error::Start(StartError::Loader(_)))));
    assert!(outcome.home.find("one").is_err());
}

#[test]
fn a_failure_restarts_as_often_as_was_asked() {
    let says: [&[Message]; 3] = [&[Message::Entered], &[Message::Entered], &[Message::Entered]];
    let change = |options: &mut Options| options.restart = "on-failure:2".parse().unwrap();
    let outcome = live("echo life; exit 4", &says, change, nothing);
    assert_eq!(outcome.result.as_ref().unwrap(), &4);
    assert_eq!(outcome.state().restarts, 2);
    assert_eq!(outcome.log().matches("life").count(), 3);
}

#[test]
fn stopping_kills_after_the_grace_and_does_not_restart() {
    let change = |options: &mut Options| options.restart = "always".parse().unwrap();
    let outcome = live("exec sleep 60", &[&[Message::Entered]], change, |home| {
        let (stop, wait) = (client(home), client(home));
        wait.wait().unwrap();
        stop.stop(Duration::ZERO).unwrap();
        assert_eq!(stop.ended().unwrap(), Some(137));
        assert_eq!(wait.ended().unwrap(), Some(137));
    });
    assert_eq!(outcome.result.as_ref().unwrap(), &137);
    assert_eq!((outcome.state().restarts, outcome.state().reason), (0, None));
}

#[test]
fn an_instance_that_waits_for_its_restart_can_be_stopped() {
    let change = |options: &mut Options| options.restart = "always".parse().unwrap();
    let outcome = live("exit 9", &[&[Message::Entered]], change, |home| {
        let client = client(home);
        client.stop(Duration::from_secs(60)).unwrap();
        assert_eq!(client.ended().unwrap(), Some(9));
    });
    assert_eq!(outcome.result.as_ref().unwrap(), &9);
}

#[test]
fn a_signal_reaches_the_instance_and_a_kill_ends_it() {
    let outcome = live(
        "exec sleep 60",
        &[&[Message::Entered]],
        |_| {},
        |home| {
            let client = client(home);
            assert!(client.signal(10).unwrap());
            assert!(client.signal(KILL).unwrap());
        },
    );
    assert_eq!(outcome.result.as_ref().unwrap(), &137);
}

#[test]
fn what_is_to_be_removed_leaves_nothing() {
    let says = [Message::Entered, Message::Exit(0)];
    let outcome = live("true", &[&says], |options| options.remove = true, nothing);
    assert_eq!(outcome.result.as_ref().unwrap(), &0);
    assert!(outcome.home.all().unwrap().is_empty());
}

#[test]
fn an_instance_that_says_it_ended_but_stays_is_made_to_end() {
    let says = [Message::Entered, Message::Exit(5)];
    let outcome = live("exec sleep 60", &[&says], |_| {}, nothing);
    assert_eq!(outcome.result.as_ref().unwrap(), &5);
}
