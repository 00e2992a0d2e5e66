//! What a signed zone, a million names and names that do not exist cost the DNS server, against its own figure for 1,000
//! names.

use super::{Options, alternate, large, publish, server, thousands, zone, zone_folder};
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::{Place, output, tool};
use crate::report::Report;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use zone::{Mix, ORIGIN, queries};

/// Memory of the instance with the large zone.
const MEMORY: &str = "2G";

/// Alternates between the four.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let image = kernlet.build("apps/dns")?;
    let mixes = [
        Mix::default(),
        Mix { signed: true, ..Mix::default() },
        Mix { names: large::NAMES, ..Mix::default() },
        Mix { missing: 90, ..Mix::default() },
    ];
    let queries = mixes.map(queries);
    let small = zone_folder(&kernlet.place)?;
    let folders = [&small, &signed_folder(&kernlet.place, &small)?, &large::folder(&kernlet.place)?];
    let mut instances = kernlet.instances()?;
    let (mut ports, mut processes) = (vec![], vec![]);
    for (folder, name) in folders.into_iter().zip(["bench-plain", "bench-signed", "bench-large"]) {
        let before: BTreeSet<i32> = instances.processes().into_iter().collect();
        ports.push(publish(&mut instances, name, folder, &["-m", MEMORY], &image)?);
        processes.push(instances.processes().into_iter().filter(|pid| !before.contains(pid)).collect());
    }
    let [plain, signed, large] = <[Vec<i32>; 3]>::try_from(processes).unwrap_or_default();
    let mut servers = [
        server("1,000", ports[0], &queries[0], plain.clone())?,
        server("signed", ports[1], &queries[1], signed)?,
        server("1,000,000", ports[2], &queries[2], large)?,
        server("missing", ports[0], &queries[3], plain)?,
    ];
    alternate(&mut servers, options)?;
    let [plain, others @ ..] = &servers;
    let goals = [goals::DNS_SIGNED, goals::DNS_MILLION, goals::DNS_MISSING];
    for (goal, other) in goals.into_iter().zip(others) {
        report.ratio(goal, other.per_core(), plain.per_core(), thousands);
    }
    Ok(())
}

/// A folder with the zone of 1,000 names signed (ECDSA P-256, NSEC).
fn signed_folder(place: &Place, zones: &str) -> Result<String, BenchError> {
    let folder = place.create_dir("signed")?;
    let key = |flags: &[&str]| -> Result<String, BenchError> {
        let mut command = Command::new(tool("ldns-keygen", "ldnsutils")?);
        command.args(["-a", "ECDSAP256SHA256"]).args(flags).arg(ORIGIN).current_dir(place.path(""));
        Ok(output("ldns-keygen", &mut command)?.trim().into())
    };
    let (signing, zone) = (key(&["-k"])?, key(&[])?);
    let signed = folder.join(format!("{ORIGIN}.zone"));
    let mut command = Command::new(tool("ldns-signzone", "ldnsutils")?);
    command.arg("-f").arg(&signed).arg(format!("{zones}/{ORIGIN}.zone")).args([signing, zone]);
    output("ldns-signzone", command.current_dir(place.path("")))?;
    place.give(&signed)?;
    Ok(folder.display().to_string())
}
