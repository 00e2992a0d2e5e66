//! The own TCP/IP stack on a tap, through both doors: ping, dig, curl-like clients, in a network namespace that the test
//! makes. Needs root, as taps do.

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
        let large = network.inside("ping", &["-c3", "-i0.2", "-W2", "-s1400", "10.9.0.2"]);
        assert_eq!(large.status, 0, "{backend}: {large:?}");
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

#[test]
fn published_ports_reach_the_program_in_both_doors() {
    let user = User::ordinary();
    let image = image("apps/echo");
    let image = image.to_str().expect("UTF-8");
    for backend in ["process", "qemu"] {
        let port = kernlet_tests::free_port();
        let (tcp, udp) = (format!("{port}:7"), format!("{port}:7/udp"));
        user.detached(["-b", backend, "-p", &tcp, "-p", &udp, image]);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("there are ports");
        socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("a valid time");
        eventually("a datagram comes back", || {
            let _ = socket.send_to(b"hello", ("127.0.0.1", port));
            socket.recv(&mut [0; 16]).is_ok_and(|n| n == 5)
        });
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(b"over tcp").expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("half-close");
        let mut back = String::new();
        stream.read_to_string(&mut back).expect("it answers");
        assert_eq!(back, "over tcp", "{backend}");
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
fn only_allowed_connections_are_made() {
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
    let host = "host.kernlet.internal";
    let allowed = format!("{host}:{port}");
    let finished = user.run(["run", "--allow-connect", &allowed, image, "connect", host, &port]);
    assert_eq!((finished.status, finished.out.as_str()), (0, "hello yourself"), "{finished:?}");
    // Another port, no grant at all, and the host's loopback by its address.
    for (grant, host, to) in [(allowed.as_str(), host, "9"), ("", host, &port), ("*:*", "127.0.0.1", &port)] {
        let mut arguments = vec!["run"];
        if !grant.is_empty() {
            arguments.extend(["--allow-connect", grant]);
        }
        arguments.extend([image, "connect", host, to]);
        let finished = user.run(arguments);
        assert_eq!(finished.status, 1, "{grant} {host}:{to}: {finished:?}");
    }
    let refused = user.run(["run", "-b", "qemu", "--allow-connect", &allowed, image, "exit", "0"]);
    assert!(refused.status == 125 && refused.err.contains("--allow-connect"), "{refused:?}");
}
