//! What was granted, used in ways that are not meant: sockets, outputs, the broker and the control socket; and floods of
//! each.

use kernlet_tests::hostile::{inside, outside, users};
use kernlet_tests::{User, eventually, image};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A socket at which nothing may arrive that came from inside.
fn listener() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    socket.set_nonblocking(true).expect("sockets can be made not to block");
    let port = socket.local_addr().expect("it is bound").port();
    (socket, port)
}

fn received(socket: &UdpSocket) -> bool {
    socket.recv(&mut [0; 64]).is_ok()
}

fn image_of_hostile() -> String {
    image("tests/programs/hostile").to_str().expect("temporary paths are UTF-8").to_owned()
}

#[test]
fn no_granted_descriptor_sends_to_an_address_of_the_hosts() {
    for user in users() {
        let (socket, port) = listener();
        let attack = format!("send-to:{port}");
        assert!(outside(&user, &attack).out.contains("reached") && received(&socket));
        let volume = format!("{}:/v", user.folder("volume").display());
        for options in [&[][..], &["-v", &volume], &["-p", "0:80"], &["-i"]] {
            inside(&user, options, &attack);
            assert!(!received(&socket), "{options:?}");
        }
    }
}

#[test]
fn no_granted_descriptor_sends_to_a_named_socket_of_the_hosts() {
    for user in users() {
        let path = user.folder("sockets").join("s");
        let socket = UnixDatagram::bind(&path).expect("the folder is writable");
        user.give(&path);
        socket.set_nonblocking(true).expect("sockets can be made not to block");
        let attack = format!("send-unix:{}", path.display());
        let received = || socket.recv(&mut [0; 64]).is_ok();
        assert!(outside(&user, &attack).out.contains("reached") && received());
        let volume = format!("{}:/v", user.folder("volume").display());
        inside(&user, &["-v", &volume, "-p", "0:80", "-p", "0:53/udp"], &attack);
        assert!(!received());
    }
}

#[test]
fn an_allowed_connection_for_datagrams_reaches_its_port_and_no_other() {
    for user in users() {
        let ((granted, port), (other, elsewhere)) = (listener(), listener());
        assert!(outside(&user, &format!("send-to:{elsewhere}")).out.contains("reached") && received(&other));
        let allowed = format!("host.kernlet.internal:{port}/udp");
        let attack = format!("relayed:{port},{elsewhere}");
        let finished = inside(&user, &["--allow-connect", &allowed], &attack);
        assert!(finished.status < 2, "{finished:?}");
        eventually("the granted port is reached", || received(&granted));
        assert!(!received(&other));
    }
}

/// What SECURITY.md does not promise.
#[test]
fn a_published_udp_port_sends_anywhere() {
    let user = User::ordinary();
    let (socket, port) = listener();
    inside(&user, &["-p", "0:53/udp"], &format!("send-to:{port}"));
    assert!(received(&socket), "SECURITY.md and `inspect` say that it can; is that no longer true?");
}

/// How much memory a process holds, in bytes.
fn resident(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Runs an attack beside an instance that means well; its monitor stays small and goes on, and so does the neighbour.
fn flood(attack: &str) {
    for user in users() {
        let probe = image("tests/programs/probe");
        let neighbour = user.detached([probe.to_str().expect("UTF-8"), "signals"]);
        let volume = format!("{}:/v", user.folder("volume").display());
        let hostile = image_of_hostile();
        let name = user.detached(["--restart", "always", "-v", &volume, &hostile, attack]);
        let monitor = user.inspect(&name)["monitor_pid"].as_u64().expect("it has a monitor");
        let mut most = 0;
        for _ in 0..30 {
            most = most.max(resident(monitor));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(most > 0 && most < 32 << 20, "{attack}: the monitor grew to {most} bytes");
        user.ok(["kill", "-s", "USR1", &neighbour]);
        eventually("the neighbour is served", || user.logs(&neighbour).contains("signal 10"));
        user.ok(["kill", &name]);
        user.ok(["wait", &name]);
        let state = size(&user.state().join("instances").join(&name));
        assert!(state < 16 << 20, "{attack}: {state} bytes of state");
        user.ok(["rm", &name]);
    }
}

#[test]
fn a_flood_of_requests_to_the_broker_harms_nobody() {
    flood("broker-flood:file");
}

#[test]
fn nonsense_to_the_broker_harms_nobody() {
    flood("broker-garbage:x");
}

#[test]
fn a_flood_of_control_messages_harms_nobody() {
    // A length and a kind that mean something: "entered".
    flood("control-flood:\u{1}\u{1}");
    flood("control-flood:nonsense");
}

#[test]
fn a_flood_of_output_without_lines_harms_nobody() {
    flood("log-flood:xxxxxxxxxxxxxxxx");
}

#[test]
fn a_storm_of_signals_is_survived() {
    let user = User::ordinary();
    let probe = image("tests/programs/probe");
    let name = user.detached([probe.to_str().expect("UTF-8"), "signals"]);
    eventually("the program is ready", || user.logs(&name).contains("ready"));
    let signal = |_| user.kernlet(["kill", "-s", "USR1", &name]).stdout(std::process::Stdio::null()).spawn();
    let storm: Vec<_> = (0..200).map(signal).collect();
    for command in storm {
        command.expect("kernlet runs").wait().expect("it ends");
    }
    assert_eq!(user.inspect(&name)["state"], "running");
    user.ok(["stop", &name]);
    assert_eq!(user.ok(["wait", &name]), "0");
}

#[test]
fn an_instance_that_uses_up_its_descriptors_harms_only_itself() {
    for user in users() {
        let volume = user.folder("volume");
        std::fs::write(volume.join("file"), "text").expect("it is writable");
        let mount = format!("{}:/v", volume.display());
        // EMFILE, whose count is the instance's own or the broker's.
        let finished = inside(&user, &["-v", &mount], "descriptors:/v/file");
        assert!(finished.status == 1 && finished.out.contains("errno 024"), "{finished:?}");
    }
}
