//! The own TCP/IP stack on a tap, through both doors: ping, dig, curl-like clients, in a network namespace that the test
//! makes. Needs root, as taps do.

use kernlet_tests::programs::{compile, source};
use kernlet_tests::{User, eventually, finish, image, is_root, need};
use std::process::Command;

/// A network namespace with a tap in it, on which the host's side has addresses.
struct Network {
    name: String,
}

impl Network {
    fn new(tag: &str) -> Self {
        need("ip", "iproute2");
        need("ping", "iputils-ping");
        let network = Self { name: format!("kernlet-{tag}-{}", std::process::id()) };
        network.must("ip", &["netns", "add", &network.name]);
        for command in [
            "link set lo up",
            "tuntap add dev tap0 mode tap vnet_hdr",
            "link set tap0 up",
            "addr add 10.9.0.1/24 dev tap0",
            "addr add fd09::1/64 dev tap0 nodad",
        ] {
            let finished = network.inside("ip", &command.split(' ').collect::<Vec<_>>());
            assert_eq!(finished.status, 0, "{command}: {finished:?}");
        }
        network
    }

    fn must(&self, program: &str, arguments: &[&str]) {
        let finished = finish(Command::new(program).args(arguments));
        assert_eq!(finished.status, 0, "{program} {arguments:?}: {finished:?}");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).args(arguments);
        command
    }

    fn inside(&self, program: &str, arguments: &[&str]) -> kernlet_tests::Finished {
        finish(&mut self.command(program, arguments))
    }

    /// Starts a kernlet instance in the namespace.
    fn start(&self, user: &User, arguments: &[&str]) -> kernlet_tests::Running {
        let binary = kernlet_tests::binary();
        let mut all = vec!["run"];
        all.extend(arguments);
        let mut command = self.command(binary.to_str().expect("UTF-8"), &all);
        command.env("KERNLET_HOME", user.state()).stdin(std::process::Stdio::null());
        kernlet_tests::Running::start(&mut command)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = finish(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

const STATIC: &str = "tap=tap0,ip=10.9.0.2/24,ip=fd09::2/64";

#[test]
fn an_instance_on_a_tap_answers_ping_and_dig_in_both_doors() {
    assert!(is_root(), "taps need root");
    for backend in ["process", "qemu"] {
        let network = Network::new(&format!("dns-{backend}"));
        let user = User::myself();
        let image = image("apps/dns");
        let image = image.to_str().expect("UTF-8");
        let _running = network.start(&user, &["-b", backend, "--net", STATIC, image]);
        eventually("it answers ping", || network.inside("ping", &["-c1", "-W1", "10.9.0.2"]).status == 0);
        let six = network.inside("ping", &["-6", "-c3", "-i0.2", "-W2", "fd09::2"]);
        assert_eq!(six.status, 0, "{backend}: {six:?}");
        // In one frame, in a few, and the longest.
        for (address, sizes) in
            [("10.9.0.2", ["1400", "4000", "65507"]), ("fd09::2", ["1400", "4000", "65500"])]
        {
            for size in sizes {
                let ping = network.inside("ping", &["-c3", "-i0.2", "-W2", "-s", size, address]);
                assert_eq!(ping.status, 0, "{backend}: {ping:?}");
            }
        }
        for server in ["@10.9.0.2", "@fd09::2"] {
            for transport in ["+notcp", "+tcp"] {
                let dig = network
                    .inside("dig", &[server, transport, "+tries=3", "+time=2", "host.example.com", "A"]);
                assert!(dig.out.contains("ANSWER: 3"), "{backend} {server} {transport}: {dig:?}");
            }
        }
    }
}

#[test]
fn an_instance_on_a_tap_echoes_a_megabyte_over_tcp_in_both_doors() {
    assert!(is_root(), "taps need root");
    need("nc", "netcat-openbsd");
    for backend in ["process", "qemu"] {
        let network = Network::new(&format!("echo-{backend}"));
        let user = User::myself();
        let image = image("apps/echo");
        let image = image.to_str().expect("UTF-8");
        let _running = network.start(&user, &["-b", backend, "--net", STATIC, image]);
        eventually("it answers ping", || network.inside("ping", &["-c1", "-W1", "10.9.0.2"]).status == 0);
        for address in ["10.9.0.2", "fd09::2"] {
            let script = format!(
                "head -c 1000000 /dev/urandom > {0}/data; nc -N -w 20 {address} 7 < {0}/data | cmp - {0}/data && echo same",
                user.folder("data").display()
            );
            let finished = network.inside("sh", &["-c", &script]);
            assert!(finished.out.contains("same"), "{backend} {address}: {finished:?}");
        }
    }
}

#[test]
fn a_linux_program_on_a_tap_echoes_datagrams_up_to_the_longest_in_both_doors() {
    assert!(is_root(), "taps need root");
    let program = compile("gcc", "gcc", &["-O2", "-static"], &source("network/datagrams.c"), "datagrams");
    let program = program.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let network = Network::new(&format!("datagrams-{backend}"));
        let user = User::myself();
        let _running = network.start(&user, &["-b", backend, "--net", STATIC, program]);
        eventually("it answers ping", || network.inside("ping", &["-c1", "-W1", "10.9.0.2"]).status == 0);
        for (address, longest) in [("10.9.0.2", "65507"), ("fd09::2", "65527")] {
            for length in ["0", "1400", "1473", "9000", longest] {
                let echo = network.inside(program, &[address, length]);
                assert_eq!(echo.status, 0, "{backend}: {echo:?}");
            }
        }
    }
}

#[test]
fn an_instance_without_an_address_gets_one_by_dhcp_in_both_doors() {
    assert!(is_root(), "taps need root");
    need("dnsmasq", "dnsmasq-base");
    for backend in ["process", "qemu"] {
        let network = Network::new(&format!("dhcp-{backend}"));
        let user = User::myself();
        let leases = user.folder("dhcp").join("leases");
        let leases = format!("--dhcp-leasefile={}", leases.display());
        let range = "--dhcp-range=10.9.0.50,10.9.0.50,255.255.255.0,1h";
        let arguments = ["-k", "-C/dev/null", "-p0", "-itap0", "--user=root", "--pid-file=", range, &leases];
        let _server = kernlet_tests::Running::start(&mut network.command("dnsmasq", &arguments));
        let image = image("apps/echo");
        let image = image.to_str().expect("UTF-8");
        let _running = network.start(&user, &["-b", backend, "--net", "tap=tap0", image]);
        eventually("it answers at its address", || {
            network.inside("ping", &["-c1", "-W1", "10.9.0.50"]).status == 0
        });
    }
}

/// The backends, each with the machine that QEMU is to be.
const DOORS: [(&str, &str); 3] = [("process", ""), ("qemu", "microvm"), ("qemu", "q35")];

/// Sends a datagram until it comes back the same; tells from where.
fn echoed(socket: &std::net::UdpSocket, payload: &[u8], to: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut from = to;
    socket.set_read_timeout(Some(std::time::Duration::from_millis(500))).expect("a valid time");
    let mut buffer = vec![0; 70_000];
    eventually("a datagram comes back", || {
        let _ = socket.send_to(payload, to);
        socket.recv_from(&mut buffer).is_ok_and(|(length, peer)| {
            from = peer;
            &buffer[..length] == payload
        })
    });
    from
}

/// Sends a text by TCP and returns what comes back.
fn answered(text: &str, to: std::net::SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(to).expect("it listens");
    stream.write_all(text.as_bytes()).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("half-close");
    let mut back = String::new();
    stream.read_to_string(&mut back).expect("it answers");
    back
}

#[test]
fn published_ports_reach_the_program_in_both_doors_by_both_families() {
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    for (backend, machine) in DOORS {
        for address in ["127.0.0.1", "[::1]", "0.0.0.0", "[::]"] {
            let port = kernlet_tests::free_port();
            let (tcp, udp) = (format!("{address}:{port}:7"), format!("{address}:{port}:7/udp"));
            let run = ["run", "-d", "-b", backend, "-p", &tcp, "-p", &udp, image];
            let started = finish(user.kernlet(run).env("KERNLET_QEMU_MACHINE", machine));
            assert_eq!(started.status, 0, "{started:?}");
            // A socket that is bound to all addresses answers from the one that was asked.
            let (asked, own) = match address {
                "127.0.0.1" => ("127.0.0.1", "127.0.0.1:0"),
                "0.0.0.0" => ("127.0.0.2", "127.0.0.1:0"),
                _ => ("::1", "[::1]:0"),
            };
            let to = std::net::SocketAddr::new(asked.parse().expect("an address"), port);
            let socket = std::net::UdpSocket::bind(own).expect("there are ports");
            assert_eq!(echoed(&socket, b"hello", to), to, "{backend} {machine} {address}");
            // More than fits into an Ethernet frame.
            assert_eq!(echoed(&socket, &[7; 2048], to), to, "{backend} {machine} {address}");
            assert_eq!(answered("over tcp", to), "over tcp", "{backend} {machine} {address}");
            user.ok(["rm", "-f", started.out.trim()]);
        }
    }
}

#[test]
fn a_port_of_the_program_can_be_published_at_several_addresses_in_both_doors() {
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let ports = [kernlet_tests::free_port(), kernlet_tests::free_port()];
        let addresses = [format!("127.0.0.1:{}", ports[0]), format!("[::1]:{}", ports[1])];
        let (four, six) = (format!("{}:7", addresses[0]), format!("{}:7", addresses[1]));
        let (udp_four, udp_six) = (format!("{four}/udp"), format!("{six}/udp"));
        user.detached(["-b", backend, "-p", &four, "-p", &six, "-p", &udp_four, "-p", &udp_six, image]);
        for (address, own) in addresses.iter().zip(["127.0.0.1:0", "[::1]:0"]) {
            let to = address.parse().expect("an address");
            let socket = std::net::UdpSocket::bind(own).expect("there are ports");
            assert_eq!(echoed(&socket, b"hello", to), to, "{backend} {address}");
            assert_eq!(answered("over tcp", to), "over tcp", "{backend} {address}");
        }
    }
}

#[test]
fn megabytes_go_through_a_published_port_whole_in_both_doors() {
    need("nc", "netcat-openbsd");
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    let data = user.folder("data");
    for backend in ["process", "qemu"] {
        let port = kernlet_tests::free_port();
        user.detached(["-b", backend, "-p", &format!("{port}:7"), image]);
        // Several at once, so that they share the line.
        let script = format!(
            "cd {}; head -c 4000000 /dev/urandom > data; \
             for i in 1 2 3; do (nc -N -w 30 127.0.0.1 {port} < data | cmp - data && echo same) & done; wait",
            data.display()
        );
        let finished = finish(Command::new("sh").args(["-c", &script]));
        assert_eq!(finished.out, "same\nsame\nsame\n", "{backend}: {finished:?}");
    }
}

#[test]
fn many_connections_come_and_go_and_one_that_reads_nothing_holds_up_no_other() {
    use std::io::Write;
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let port = kernlet_tests::free_port();
        user.detached(["-b", backend, "-p", &format!("{port}:7"), image]);
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut silent = std::net::TcpStream::connect(to).expect("it listens");
        silent.set_nonblocking(true).expect("a socket can be");
        let mut stuck = 0;
        eventually("all buffers are full", || {
            stuck = if silent.write(&[1; 65_536]).is_ok() { 0 } else { stuck + 1 };
            stuck > 20
        });
        let idle: Vec<_> = (0..50).map(|_| std::net::TcpStream::connect(to).expect("it listens")).collect();
        for number in 0..200 {
            let text = format!("connection {number}");
            assert_eq!(answered(&text, to), text, "{backend}");
        }
        drop(idle);
        assert_eq!(answered("still there", to), "still there", "{backend}");
    }
}

#[test]
fn ports_are_published_beside_a_tap_in_both_doors() {
    assert!(is_root(), "taps need root");
    need("nc", "netcat-openbsd");
    for backend in ["process", "qemu"] {
        let network = Network::new(&format!("both-{backend}"));
        let user = User::myself();
        let image = image("apps/echo");
        let image = image.to_str().expect("UTF-8");
        let ports = ["-p", "127.0.0.1:7007:7", "-p", "127.0.0.1:7007:7/udp", "-p", "[::1]:7007:7"];
        let mut arguments = vec!["-b", backend, "--net", STATIC];
        arguments.extend(ports);
        arguments.push(image);
        let _running = network.start(&user, &arguments);
        for (address, port) in [("10.9.0.2", "7"), ("fd09::2", "7"), ("127.0.0.1", "7007"), ("::1", "7007")] {
            let script = format!("echo hello | nc -N -w 5 {address} {port}");
            eventually("it answers by TCP", || network.inside("sh", &["-c", &script]).out == "hello\n");
        }
        for (address, port) in [("10.9.0.2", "7"), ("127.0.0.1", "7007")] {
            let script = format!("echo hello | nc -u -w 1 {address} {port}");
            eventually("it answers by UDP", || network.inside("sh", &["-c", &script]).out == "hello\n");
        }
    }
}

#[test]
fn curl_gets_its_own_request_back_from_the_echo_server() {
    need("curl", "curl");
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let port = kernlet_tests::free_port();
        user.detached(["-b", backend, "-p", &format!("{port}:7"), image]);
        eventually("curl reads its request", || {
            // The echo server waits for the end of the request, and curl for that of the answer: time ends it.
            let mut curl = Command::new("curl");
            let url = format!("http://127.0.0.1:{port}/some/path");
            curl.args(["--silent", "--http0.9", "--max-time", "2", &url]);
            finish(&mut curl).out.contains("GET /some/path HTTP/1.1")
        });
    }
}

#[test]
fn only_allowed_connections_are_made_in_both_doors() {
    use std::io::{Read, Write};
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = server.local_addr().expect("it is bound").port().to_string();
    std::thread::spawn(move || {
        for mut client in server.incoming().flatten() {
            let mut text = String::new();
            let _ = client.read_to_string(&mut text);
            let _ = client.write_all(format!("{text} yourself").as_bytes());
        }
    });
    // Taken by a socket that does not listen, so that nobody else comes to listen there.
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let closed = closed.local_addr().expect("it is bound").port().to_string();
    let host = "host.kernlet.internal";
    let (allowed, any, refuses) = (format!("{host}:{port}"), format!("{host}:*"), format!("{host}:{closed}"));
    for (backend, machine) in DOORS {
        let run = |grant: &str, to: &str, port: &str| {
            let mut arguments = vec!["run", "-b", backend];
            if !grant.is_empty() {
                arguments.extend(["--allow-connect", grant]);
            }
            arguments.extend([image, "connect", to, port]);
            finish(user.kernlet(arguments).env("KERNLET_QEMU_MACHINE", machine))
        };
        for grant in [&allowed, &any] {
            let finished = run(grant, host, &port);
            assert_eq!((finished.status, finished.out.as_str()), (0, "hello yourself"), "{finished:?}");
        }
        // Another port, no grant at all, the host's loopback by its address or by another name, a name that is not
        // granted, one that does not exist, and a port where nobody listens.
        for (grant, to, port, error) in [
            (allowed.as_str(), host, "9", "EACCES"),
            ("", host, &port, "ENETUNREACH"),
            ("*:*", host, &port, "EACCES"),
            ("*:*", "127.0.0.1", &port, "ECONNREFUSED"),
            ("localhost:*", "localhost", &port, "ENOENT"),
            (&allowed, "example.com", &port, "EACCES"),
            ("does-not-exist.invalid:*", "does-not-exist.invalid", "80", "ENOENT"),
            (&refuses, host, &closed, "ECONNREFUSED"),
        ] {
            let finished = run(grant, to, port);
            let failed = finished.status == 1 && finished.out.contains(error);
            assert!(failed, "{backend} {machine}, {grant} given, {to}:{port}: {finished:?}");
        }
    }
}

#[test]
fn datagrams_are_exchanged_with_who_was_allowed_in_both_doors() {
    let user = User::ordinary();
    let image = image("tests/programs/probe");
    let image = image.to_str().expect("UTF-8");
    let server = std::net::UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let port = server.local_addr().expect("it is bound").port().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, client)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&[&buffer[..length], b" yourself"].concat(), client);
        }
    });
    let host = "host.kernlet.internal";
    let allowed = format!("{host}:{port}/udp");
    let tcp = format!("{host}:{port}");
    for (backend, machine) in DOORS {
        let run = |grant: &str, port: &str| {
            let run = ["run", "-b", backend, "--allow-connect", grant, image, "datagram", host, port];
            finish(user.kernlet(run).env("KERNLET_QEMU_MACHINE", machine))
        };
        let answered = run(&allowed, &port);
        let expected = format!("hello yourself from 169.254.1.2:{port}\n");
        assert_eq!((answered.status, answered.out), (0, expected), "{backend} {machine}");
        for (grant, port) in [(&allowed, "9"), (&tcp, port.as_str())] {
            let refused = run(grant, port);
            assert!(
                refused.status == 1 && refused.out.contains("EACCES"),
                "{backend} {machine}: {refused:?}"
            );
        }
    }
}
