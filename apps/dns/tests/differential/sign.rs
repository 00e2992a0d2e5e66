//! The tools of ldns: signing zones, and spelling records so that every server reads them.
//!
//! Signatures are random, so a zone is signed once, and all servers load the very same file.

use crate::peer::{Folder, binary};
use std::process::Command;

/// How the absence of names is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// RFC 4034.
    Nsec,
    /// RFC 5155, with a salt and two further iterations.
    Nsec3,
    /// The same without salt and iterations, and with insecure delegations left out.
    OptOut,
}

impl Denial {
    /// The last label of the names of zones signed like this.
    pub fn label(self) -> &'static str {
        match self {
            Self::Nsec => "nsec",
            Self::Nsec3 => "nsec3",
            Self::OptOut => "optout",
        }
    }
}

/// Types whose text form Knot 3.2 does not know; they are given to it in the form of RFC 3597. NSEC and NSEC3 name them.
pub const UNKNOWN_TO_KNOT: [&str; 18] = [
    "MD", "MF", "MB", "MG", "MR", "WKS", "X25", "ISDN", "RT", "NSAP", "NSAP-PTR", "PX", "GPOS", "NXT", "SIG",
    "DLV", "NSEC", "NSEC3",
];

/// Signs the zone `origin`, whose records have relative names.
pub fn sign(origin: &str, text: &str, denial: Denial) -> String {
    let folder = Folder::new("sign");
    folder.write("zone", text);
    let run = |tool: &str, arguments: &[&str]| {
        let output = Command::new(binary(tool, "ldnsutils"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap_or_else(|error| panic!("{tool}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool} {arguments:?} for {origin}: {said}");
        String::from_utf8(output.stdout).expect("names of keys are ASCII").trim().to_owned()
    };
    let key = run("ldns-keygen", &["-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", origin]);
    let mut arguments = match denial {
        Denial::Nsec => vec![],
        Denial::Nsec3 => vec!["-n", "-s", "5a17", "-t", "2"],
        Denial::OptOut => vec!["-n", "-p"],
    };
    arguments.extend(["-o", origin, "-f", "signed", "zone", &key]);
    run("ldns-signzone", &arguments);
    std::fs::read_to_string(folder.path().join("signed")).expect("the signed zone")
}

/// A zone with the types that Knot does not know in the form of RFC 3597, all names absolute.
pub fn generic(origin: &str, text: &str) -> String {
    let folder = Folder::new("spell");
    folder.write("zone", &format!("$ORIGIN {}.\n{text}", origin.trim_end_matches('.')));
    let types = UNKNOWN_TO_KNOT.iter().flat_map(|name| ["-u", name]);
    let output = Command::new(binary("ldns-read-zone", "ldnsutils"))
        .args(types)
        .arg("zone")
        .current_dir(folder.path())
        .output()
        .expect("ldns-read-zone starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !output.stdout.is_empty(), "ldns-read-zone for {origin}: {said}");
    String::from_utf8(output.stdout).expect("its output is ASCII")
}
