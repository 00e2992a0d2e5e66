//! Knot DNS 3 as a peer: one worker for each transport.

use crate::peer::{Folder, Peer, binary, free_address};
use crate::zones::Source;

/// Starts Knot with these zones, further lines of its section `server`, further sections, and further lines of
/// the template of all zones.
pub fn start(zones: &[Source], server: &str, sections: &str, template: &str) -> Peer {
    let folder = Folder::new("knot");
    let address = free_address();
    let path = folder.path().display();
    std::fs::create_dir(folder.path().join("db")).expect("the folder is writable");
    let mut config = format!(
        "server:\n    listen: 127.0.0.1@{}\n    rundir: {path}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n    automatic-acl: off\n{server}database:\n    storage: {path}/db\n    \
         timer-db-max-size: 1M\n    kasp-db-max-size: 5M\n    journal-db-max-size: 1M\nlog:\n  - target: stderr\n    any: warning\n\
         {sections}template:\n  - id: default\n    storage: {path}\n    zonefile-sync: -1\n    journal-content: none\n    \
         semantic-checks: off\n{template}zone:\n",
        address.port()
    );
    for (n, zone) in zones.iter().enumerate() {
        folder.write(&format!("{n}.zone"), &zone.for_knot());
        config += &format!("  - domain: \"{}\"\n    file: {n}.zone\n", zone.origin);
    }
    let file = folder.write("knot.conf", &config);
    let origins: Vec<&str> = zones.iter().map(|zone| zone.origin.as_str()).collect();
    let arguments = ["-c", file.to_str().expect("temporary paths are UTF-8")];
    Peer::start("Knot", &binary("knotd", "knot"), &arguments, address, folder, &origins)
}
