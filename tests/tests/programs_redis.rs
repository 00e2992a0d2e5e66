//! Debian's redis-server, unmodified, with its own clients: redis-cli and redis-benchmark.

use kernlet_tests::programs::{DOORS, Server, seal};
use kernlet_tests::{User, need};

/// The server with its data on a volume of the user's, every write in an append-only file.
fn start(user: User, door: &str, image: &str) -> Server {
    let data = user.folder("data");
    let volume = format!("{}:/data", data.display());
    let options = ["-v", &volume, "-w", "/data"];
    let arguments =
        ["--appendonly", "yes", "--protected-mode", "no", "--save", "", "--auto-aof-rewrite-percentage", "0"];
    let server = Server::start(user, door, &[6379], &options, image, &arguments);
    server.until("the server answers", || cli_may_fail(&server, &["ping"]).trim() == "PONG");
    server
}

fn cli_may_fail(server: &Server, arguments: &[&str]) -> String {
    let port = server.ports[0].to_string();
    let mut command = std::process::Command::new("redis-cli");
    kernlet_tests::finish(command.args(["-p", &port]).args(arguments)).out
}

fn cli(server: &Server, arguments: &[&str]) -> String {
    let port = server.ports[0].to_string();
    let all = [&["-p", &port], arguments].concat();
    server.client("redis-cli", &all).trim_end().to_owned()
}

#[test]
fn redis_serves_its_clients_and_finds_its_data_again() {
    need("redis-server", "redis-server");
    let image = seal("redis-server", &[], "redis");
    for door in DOORS {
        let server = start(User::ordinary(), door, &image);
        assert_eq!(cli(&server, &["set", "greeting", "hello"]), "OK");
        assert_eq!(cli(&server, &["get", "greeting"]), "hello");
        assert_eq!(cli(&server, &["rpush", "list", "a", "b", "c"]), "3");
        assert_eq!(cli(&server, &["lrange", "list", "0", "-1"]), "a\nb\nc");
        assert_eq!(cli(&server, &["eval", "return redis.call('incrby', KEYS[1], 41) + 1", "1", "n"]), "42");
        assert_eq!(cli(&server, &["set", "brief", "x", "px", "1"]), "OK");
        server.until("the key expires", || cli(&server, &["exists", "brief"]) == "0");
        assert_eq!(cli(&server, &["config", "get", "appendonly"]), "appendonly\nyes");
        assert!(cli(&server, &["info", "server"]).contains("redis_version:7."));
        assert_eq!(cli(&server, &["save"]), "OK");

        let port = server.ports[0].to_string();
        let requests = if door == "process" { "10000" } else { "1000" };
        let common = ["-p", &port, "-n", requests, "--csv"];
        let small = ["-c", "20", "-t", "ping,set,get,incr,lpush,lrange_100,mset"];
        let large = ["-c", "5", "-P", "16", "-d", "4096", "-t", "set,get"];
        for (more, count) in [(&small[..], 8), (&large, 2)] {
            let out = server.client("redis-benchmark", &[&common[..], more].concat());
            // Its rows are the test and its requests a second.
            let rows: Vec<_> = out.lines().filter(|line| line.starts_with('"')).skip(1).collect();
            assert!(rows.len() >= count, "{out}");
            for row in rows {
                let rate: f64 = row.split('"').nth(3).and_then(|n| n.parse().ok()).unwrap_or(0.0);
                assert!(rate > 0.0, "{out}");
            }
        }
        assert_eq!(cli(&server, &["llen", "mylist"]).parse::<u64>().map(|n| n >= 1000), Ok(true));
        let counted = cli(&server, &["dbsize"]);

        let (user, status) = server.stop();
        assert_eq!(status, "0", "{door}");
        let again = start(user, door, &image);
        assert_eq!(cli(&again, &["get", "greeting"]), "hello", "{door}");
        assert_eq!(cli(&again, &["lrange", "list", "0", "-1"]), "a\nb\nc");
        assert_eq!(cli(&again, &["dbsize"]), counted);
        again.stop();
    }
}

#[test]
fn saving_in_the_background_is_refused_as_long_as_there_is_no_fork_and_redis_goes_on() {
    need("redis-server", "redis-server");
    let image = seal("redis-server", &[], "redis-fork");
    let server = start(User::ordinary(), "process", &image);
    assert_eq!(cli(&server, &["set", "a", "b"]), "OK");
    let mut command = std::process::Command::new("redis-cli");
    let refused = kernlet_tests::finish(command.args(["-p", &server.ports[0].to_string(), "bgsave"]));
    assert!((refused.out + &refused.err).contains("ERR"), "{}", server.log());
    server.until("the log tells of it", || server.log().contains("fork"));
    assert_eq!(cli(&server, &["get", "a"]), "b");
}
