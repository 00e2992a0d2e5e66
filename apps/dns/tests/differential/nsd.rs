//! NSD 4 as a peer: one server process, without limits of its rate.

use crate::peer::{Folder, Peer, binary, free_address};
use crate::zones::Source;

/// Starts NSD with these zones and further lines of its section `server`.
pub fn start(zones: &[Source], extra: &str) -> Peer {
    let folder = Folder::new("nsd");
    let address = free_address();
    let path = folder.path().display();
    let mut config = format!(
        "server:\n server-count: 1\n ip-address: 127.0.0.1\n port: {}\n username: \"\"\n database: \"\"\n \
         zonesdir: \"{path}\"\n pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n zonelistfile: \"{path}/list\"\n \
         xfrdir: \"{path}\"\n logfile: \"{path}/log\"\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n \
         tcp-query-count: 0\n{extra}\
         remote-control:\n control-enable: no\n",
        address.port()
    );
    for (n, zone) in zones.iter().enumerate() {
        folder.write(&format!("{n}.zone"), &zone.text);
        config += &format!("zone:\n name: \"{}\"\n zonefile: \"{n}.zone\"\n", zone.origin);
    }
    let file = folder.write("nsd.conf", &config);
    let origins: Vec<&str> = zones.iter().map(|zone| zone.origin.as_str()).collect();
    let arguments = ["-d", "-c", file.to_str().expect("temporary paths are UTF-8")];
    Peer::start("NSD", &binary("nsd", "nsd"), &arguments, address, folder, &origins)
}
