//! More of Debian's servers, unmodified, with their clients: haproxy, mosquitto, PHP's own web server.

use kernlet_tests::programs::{DOORS, Server, folder_with, seal};
use kernlet_tests::{Running, User, http, need};
use std::process::{Command, Stdio};

const HAPROXY: &[u8] = b"
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend outside
  bind *:8080
  http-request return status 200 content-type text/plain lf-string \"asked for %[path]\\n\" unless { path_beg /inside }
  default_backend inside
backend inside
  server next 127.0.0.1:8081
frontend next
  bind 127.0.0.1:8081
  http-request return status 200 content-type text/plain lf-string \"next, for %[path]\\n\"
";

fn get(port: u16, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    kernlet_tests::text(&http::exchange(port, request.as_bytes()))
}

#[test]
fn haproxy_answers_and_hands_requests_on_to_itself() {
    need("haproxy", "haproxy");
    let image = seal("haproxy", &[], "haproxy");
    for door in DOORS {
        let user = User::ordinary();
        let folder = folder_with(&user, "config", &[("haproxy.cfg", HAPROXY)]);
        let volume = format!("{}:/config:ro", folder.display());
        let server = Server::start(
            user,
            door,
            &[8080],
            &["-v", &volume],
            &image,
            &["-db", "-f", "/config/haproxy.cfg"],
        );
        let port = server.ports[0];
        server.until("it answers", || get(port, "/here").ends_with("asked for /here\n"));
        for n in 0..20 {
            let answer = get(port, &format!("/inside/{n}"));
            assert!(
                answer.ends_with(&format!("next, for /inside/{n}\n")),
                "{door}: {answer}\n{}",
                server.log()
            );
        }
        server.stop();
    }
}

#[test]
fn mosquitto_passes_messages_between_its_clients() {
    need("mosquitto", "mosquitto");
    need("mosquitto_pub", "mosquitto-clients");
    let image = seal("mosquitto", &[], "mosquitto");
    for door in DOORS {
        let user = User::ordinary();
        let config = b"listener 1883 0.0.0.0\nallow_anonymous true\nuser root\n";
        let folder = folder_with(&user, "config", &[("mosquitto.conf", config)]);
        let volume = format!("{}:/config:ro", folder.display());
        let arguments = ["-c", "/config/mosquitto.conf"];
        let server = Server::start(user, door, &[1883], &["-v", &volume], &image, &arguments);
        let port = server.ports[0].to_string();
        let publish = |topic: &str, message: &str| {
            let arguments = ["-p", &port, "-q", "1", "-r", "-t", topic, "-m", message];
            kernlet_tests::finish(Command::new("mosquitto_pub").args(arguments)).status == 0
        };
        server.until("it takes messages", || publish("first", "kept"));
        // What was kept comes to who asks later, what is published then to who waits.
        assert_eq!(server.client("mosquitto_sub", &["-p", &port, "-t", "first", "-C", "1"]), "kept\n");
        // Messages that are kept: those from before it subscribed come all the same.
        let arguments = ["-p", &port, "-v", "-t", "many/#", "-C", "50"];
        let waiting = Running::start(Command::new("mosquitto_sub").args(arguments).stdout(Stdio::piped()));
        for n in 0..50 {
            assert!(publish(&format!("many/{n}"), &"x".repeat(n * 100 + 1)), "{door}: {}", server.log());
        }
        let got = waiting.end();
        assert_eq!(got.lines().count(), 50, "{door}: {got}");
        // (A message of no bytes would not be kept.)
        assert!(got.lines().any(|line| line == format!("many/49 {}", "x".repeat(4901))), "{door}");
        let (_user, status) = server.stop();
        assert_eq!(status, "0", "{door}");
    }
}

const PAGE: &[u8] = b"<?php
$database = new ArrayObject(range(1, 1000));
echo PHP_SAPI, ' ', $_SERVER['REQUEST_URI'], ' ', array_sum($database->getArrayCopy()), ' ', md5($_GET['q'] ?? ''), \"\\n\";
file_put_contents('/tmp/asked', \"x\", FILE_APPEND | LOCK_EX);
echo filesize('/tmp/asked'), ' ', preg_replace('/(\\w)at/u', '$1og', 'cat'), ' ', json_encode(['a' => 1.5]), \"\\n\";
";

#[test]
fn phps_web_server_runs_scripts() {
    need("php", "php-cli");
    let image = seal("php", &[], "php");
    for door in DOORS {
        let user = User::ordinary();
        let folder = folder_with(&user, "www", &[("index.php", PAGE), ("plain.txt", b"as it is\n")]);
        let volume = format!("{}:/www:ro", folder.display());
        let arguments = ["-S", "0.0.0.0:8080", "-t", "/www"];
        let server = Server::start(user, door, &[8080], &["-v", &volume], &image, &arguments);
        let port = server.ports[0];
        server.until("it answers", || get(port, "/plain.txt").ends_with("as it is\n"));
        for n in 1..=10 {
            let answer = get(port, "/index.php?q=kernlet");
            let wanted = format!(
                "cli-server /index.php?q=kernlet 500500 47fd635d063f536d14da281267229b53\n{n} cog {{\"a\":1.5}}\n"
            );
            assert!(answer.ends_with(&wanted), "{door}: {answer}\n{}", server.log());
        }
        server.stop();
    }
}
