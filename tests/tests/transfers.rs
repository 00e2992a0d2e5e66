//! Zone transfers out of the DNS server: NSD and Knot as secondaries, which load the very same zones, and those who may
//! not have them.

use kernlet_tests::{Running, User, dig, eventually, finish, free_port, image, need};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The zones that are transferred: one with every trap, one with every type, and one of many messages.
const ZONES: [&str; 4] = ["traps.test", "types.test", "svc.test", "many.test"];

/// A zone whose transfer takes many messages, and more octets than one TCP window.
fn many(serial: u32) -> String {
    let mut text = format!("$TTL 300\n@ SOA ns h {serial} 1 1 3600 60\n NS ns\nns A 192.0.2.1\n");
    for n in 0..20_000 {
        let _ = writeln!(
            text,
            "host{n} A 10.0.{}.{}\nhost{n} TXT \"record {n} of serial {serial}\"",
            n / 256,
            n % 256
        );
    }
    text
}

/// The server with these zones, and the port that it is at.
fn start(user: &User, zones: &Path, arguments: &[&str]) -> (String, u16) {
    let image = image("apps/dns");
    let port = free_port();
    let (udp, tcp) = (format!("{port}:53/udp"), format!("{port}:53/tcp"));
    let volume = format!("{}:/zones:ro", zones.display());
    let mut all =
        vec!["-p", &udp, "-p", &tcp, "-v", &volume, image.to_str().expect("temporary paths are UTF-8")];
    all.extend(arguments);
    let name = user.detached(all);
    eventually("the server answers", || dig(port, &["many.test", "SOA"]).contains("status: NOERROR"));
    (name, port)
}

/// A folder with all zones.
fn zones(user: &User) -> PathBuf {
    let folder = user.folder("zones");
    for zone in ["traps.test", "types.test", "svc.test"] {
        let file = kernlet_tests::repository().join(format!("apps/dns/tests/zones/{zone}.zone"));
        std::fs::copy(&file, folder.join(format!("{zone}.zone"))).expect("the zone is there");
    }
    std::fs::write(folder.join("many.test.zone"), many(1)).expect("writable");
    folder
}

/// A zone as a server hands it out, in an order that does not matter; None if it does not.
fn transfer(port: u16, zone: &str, options: &[&str]) -> Option<Vec<String>> {
    let mut arguments = vec!["+onesoa", "+nocomments", "+nostats", "+nocmd", zone, "AXFR"];
    arguments.extend(options);
    let answer = dig(port, &arguments);
    let records = sorted(&answer);
    (!records.is_empty()).then_some(records)
}

/// The records that dig prints, in an order that does not matter; names may be written in any case.
fn sorted(printed: &str) -> Vec<String> {
    let records = printed.lines().filter(|line| !line.starts_with(';') && !line.is_empty());
    let mut records: Vec<String> = records
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase())
        .collect();
    records.sort();
    records
}

/// What a server answers for each name and type of a zone, which was transferred from `records`.
fn ask_all(port: u16, records: &[String], list: &Path) -> Vec<String> {
    let mut questions: Vec<String> = records
        .iter()
        .filter_map(|record| {
            let words: Vec<&str> = record.split(' ').collect();
            Some(format!("{} {}", words.first()?, words.get(3)?))
        })
        .collect();
    questions.sort();
    questions.dedup();
    std::fs::write(list, questions.join("\n") + "\n").expect("writable");
    let path = list.to_str().expect("temporary paths are UTF-8");
    sorted(&dig(port, &["+noall", "+answer", "-f", path]))
}

/// A server that fetches all zones from the one at `primary`; it ends with the value.
struct Secondary {
    process: Running,
    port: u16,
    name: &'static str,
    folder: tempfile::TempDir,
}

impl Secondary {
    fn start(
        name: &'static str,
        config: impl Fn(u16, &Path) -> String,
        program: &str,
        options: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let port = free_port();
        let file = folder.path().join("config");
        std::fs::write(&file, config(port, folder.path())).expect("writable");
        let mut command = Command::new("setpriv");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        // Ends with the test, and takes its own processes with it.
        command.args(["--pdeathsig", "TERM", "--", program]).args(options).arg(&file);
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: Running::start(&mut command), port, name, folder }
    }

    fn nsd(primary: u16) -> Self {
        need("nsd", "nsd");
        let config = |port, folder: &Path| {
            let path = folder.display();
            let mut text = format!(
                "server:\n server-count: 1\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n database: \"\"\n \
                 zonesdir: \"{path}\"\n pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n zonelistfile: \"{path}/list\"\n \
                 xfrdir: \"{path}\"\n logfile: \"{path}/log\"\n xfrd-reload-timeout: 0\n verbosity: 2\nremote-control:\n control-enable: no\n"
            );
            for zone in ZONES {
                let _ = writeln!(
                    text,
                    "zone:\n name: \"{zone}\"\n zonefile: \"{zone}\"\n request-xfr: AXFR 127.0.0.1@{primary} NOKEY\n \
                     allow-notify: 127.0.0.1 NOKEY\n provide-xfr: 127.0.0.0/8 NOKEY\n min-refresh-time: 1\n max-refresh-time: 1"
                );
            }
            text
        };
        Self::start("NSD", config, "nsd", &["-d", "-c"])
    }

    fn knot(primary: u16) -> Self {
        need("knotd", "knot");
        let config = |port, folder: &Path| {
            let path = folder.display();
            std::fs::create_dir_all(folder.join("db")).expect("writable");
            let mut text = format!(
                "server:\n    listen: 127.0.0.1@{port}\n    rundir: {path}\n    udp-workers: 1\n    tcp-workers: 1\n    \
                 background-workers: 1\ndatabase:\n    storage: {path}/db\n    journal-db-max-size: 64M\n\
                 log:\n  - target: {path}/log\n    any: info\n\
                 remote:\n  - id: primary\n    address: 127.0.0.1@{primary}\n\
                 acl:\n  - id: all\n    address: 127.0.0.0/8\n    action: [transfer, notify]\n\
                 template:\n  - id: default\n    storage: {path}\n    master: primary\n    acl: all\n    semantic-checks: off\n    \
                 refresh-min-interval: 2\n    refresh-max-interval: 2\n    journal-content: none\nzone:\n"
            );
            for zone in ZONES {
                let _ = writeln!(text, "  - domain: {zone}");
            }
            text
        };
        Self::start("Knot", config, "knotd", &["-c"])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn serial(&self, zone: &str) -> Option<u32> {
        dig(self.port, &["+short", zone, "SOA"]).split_whitespace().nth(2)?.parse().ok()
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        // NSD has processes of its own, which end with it when it is asked to.
        kernlet_tests::kill(self.process.0.id(), rustix::process::Signal::TERM);
        let _ = self.process.0.wait();
    }
}

#[test]
fn nsd_and_knot_load_the_same_zones_as_secondaries() {
    let user = User::ordinary();
    let zones = zones(&user);
    let (name, port) = start(&user, &zones, &["--", "--allow-axfr", "127.0.0.0/8"]);
    let secondaries = [Secondary::nsd(port), Secondary::knot(port)];
    let primary: Vec<Vec<String>> = ZONES
        .iter()
        .map(|zone| transfer(port, zone, &[]).unwrap_or_else(|| panic!("no transfer of {zone}")))
        .collect();
    assert!(primary[3].len() > 40_000, "{}", primary[3].len());
    for secondary in &secondaries {
        for (zone, records) in ZONES.iter().zip(&primary) {
            eventually(&format!("{} has {zone}:\n{}", secondary.name, secondary.log()), || {
                secondary.serial(zone).is_some()
            });
            // NSD 4.6 does not get to the end of its own transfer of this zone, be it from a file or from us.
            let (records, theirs) = if *zone == "types.test" {
                let list = user.folder("lists").join(secondary.name);
                (&ask_all(port, records, &list), ask_all(secondary.port, records, &list))
            } else {
                (records, transfer(secondary.port, zone, &[]).unwrap_or_default())
            };
            // Knot makes the times to live of an RRset one (RFC 2181 section 5.2).
            let records: Vec<String> =
                records.iter().filter(|it| !it.starts_with("ttls.")).cloned().collect();
            let theirs: Vec<String> = theirs.into_iter().filter(|it| !it.starts_with("ttls.")).collect();
            assert!(records.len() > 50, "{zone}: {records:#?}");
            let differ = |a: &[String], b: &[String]| {
                a.iter().filter(|it| b.binary_search(it).is_err()).take(5).cloned().collect::<Vec<_>>()
            };
            let (more, less) = (differ(&theirs, &records), differ(&records, &theirs));
            assert!(
                more.is_empty() && less.is_empty(),
                "{} {zone}: more {more:#?}, less {less:#?}",
                secondary.name
            );
        }
    }

    // A zone that changed is fetched again.
    std::fs::write(zones.join("many.test.zone"), many(2)).expect("writable");
    user.ok(["kill", "-s", "HUP", &name]);
    eventually("the new zone is served", || dig(port, &["+short", "many.test", "SOA"]).contains(" 2 1 1 "));
    for secondary in &secondaries {
        eventually(&format!("{} has the new zone", secondary.name), || {
            secondary.serial("many.test") == Some(2)
        });
        let text = dig(secondary.port, &["+short", "host19999.many.test", "TXT"]);
        assert!(text.contains("of serial 2"), "{}: {text}", secondary.name);
        assert_eq!(
            transfer(secondary.port, "many.test", &[]),
            transfer(port, "many.test", &[]),
            "{}",
            secondary.name
        );
    }
}

#[test]
fn zones_are_not_handed_to_those_who_may_not_have_them() {
    let user = User::ordinary();
    let zones = zones(&user);
    let refused = |port, options: &[&str]| {
        let mut arguments = vec!["many.test", "AXFR"];
        arguments.extend(options);
        let answer = dig(port, &arguments);
        assert!(answer.contains("Transfer failed"), "{answer}");
        assert_eq!(transfer(port, "many.test", options), None);
        // And nothing that comes in one message.
        for kind in ["AXFR", "IXFR=0"] {
            let answer = dig(port, &["+tcp", "+noall", "+comments", "+answer", "many.test", kind]);
            assert!(!answer.contains("host1"), "{answer}");
        }
    };
    let (_, port) = start(&user, &zones, &[]);
    refused(port, &[]);
    let (_, port) = start(&user, &zones, &["--", "--allow-axfr", "10.0.0.0/8,2001:db8::/32"]);
    refused(port, &[]);
    // By the address that asks.
    let (_, port) = start(&user, &zones, &["--", "--allow-axfr", "127.0.0.2/32"]);
    refused(port, &[]);
    assert!(transfer(port, "many.test", &["-b", "127.0.0.2"]).is_some());
    // Not what is no zone, though the sender may have zones.
    assert_eq!(transfer(port, "host1.many.test", &["-b", "127.0.0.2"]), None);
    assert_eq!(transfer(port, "elsewhere.test", &["-b", "127.0.0.2"]), None);
}

#[test]
fn a_secondary_that_may_not_have_a_zone_does_not_serve_it() {
    need("nsd", "nsd");
    let user = User::ordinary();
    let zones = zones(&user);
    let (_, port) = start(&user, &zones, &["--", "--allow-axfr", "192.0.2.0/24"]);
    let nsd = Secondary::nsd(port);
    eventually("NSD was refused", || nsd.log().contains("REFUSED"));
    assert_eq!(nsd.serial("many.test"), None);
    let status =
        finish(Command::new("dig").args(["@127.0.0.1", "-p", &nsd.port.to_string(), "many.test", "SOA"])).out;
    assert!(status.contains("SERVFAIL") || status.contains("REFUSED"), "{status}");
}
