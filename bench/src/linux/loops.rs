//! Programs that compute: processor time in kernlet, monitor included, against native.
//!
//! How fast a loop is depends by some percent on the physical pages that a program's file lies in, for as long as they hold it.
//! So both sides run from several copies, one after the other.

use super::PYTHON;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::Kernlet;
use crate::place::{output, tool};
use crate::report::{Report, median};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON_LOOP: &str = "
n = 0
for i in range(15000000):
    n += i * i % 7
print(n)";
const SQLITE_LOOP: &str = "with recursive c(x) as (select 1 union all select x + 1 from c where x < 4000000)
select sum(x % 7), count(distinct x % 1000) from c;";
/// Many rounds of SHA-256.
const DERIVED: &[&str] = &[
    "kdf",
    "-keylen",
    "32",
    "-kdfopt",
    "digest:SHA256",
    "-kdfopt",
    "pass:secret",
    "-kdfopt",
    "salt:saltsalt",
    "-kdfopt",
    "iter:5000000",
    "PBKDF2",
];

/// Python's dictionaries, of which the loop's variables are the keys, are faster with some random seeds than with others, by up
/// to a fifth: both sides have the same.
const SEED: (&str, &str) = ("PYTHONHASHSEED", "0");

/// So many copies of an image, and of the program with its libraries.
const COPIES: usize = 20;

/// Python, openssl and sqlite3.
pub fn measure(kernlet: Option<&Path>, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let cases: [(PathBuf, Vec<&str>, goals::Goal); 3] = [
        (PYTHON.into(), vec!["-c", PYTHON_LOOP], goals::LINUX_LOOP_PYTHON),
        (tool("openssl", "openssl")?, DERIVED.to_vec(), goals::LINUX_LOOP_OPENSSL),
        (tool("sqlite3", "sqlite3")?, vec![":memory:", SQLITE_LOOP], goals::LINUX_LOOP_SQLITE),
    ];
    for (program, arguments, goal) in cases {
        let copies = (0..COPIES)
            .map(|number| Copies::new(&kernlet, &program, number))
            .collect::<Result<Vec<_>, _>>()?;
        let mut times = [vec![], vec![]];
        for copy in copies.iter().cycle().take(rounds.max(1)) {
            let mut ours = kernlet.command();
            ours.args(["run", "-e", &format!("{}={}", SEED.0, SEED.1)]).arg(&copy.image).args(&arguments);
            let mut native = kernlet.place.command(&copy.program);
            native.env("LD_LIBRARY_PATH", &copy.libraries).env(SEED.0, SEED.1).args(&arguments);
            let said = [timed(&mut ours, &mut times[0])?, timed(&mut native, &mut times[1])?];
            if said[0] != said[1] {
                return Err(BenchError::failed(program.display().to_string(), format!("says {said:?}")));
            }
        }
        let [ours, native] = times.map(median);
        // More is better, as throughput.
        report.ratio(goal, 1.0 / ours, 1.0 / native, |rate| format!("{:.3} s", 1.0 / rate));
    }
    Ok(())
}

/// One copy of each side.
struct Copies {
    image: PathBuf,
    program: PathBuf,
    libraries: PathBuf,
}

impl Copies {
    fn new(kernlet: &Kernlet, program: &Path, number: usize) -> Result<Self, BenchError> {
        let place = &kernlet.place;
        let io = |path: &Path| BenchError::io(path.display().to_string());
        let libraries = place.create_dir(&format!("native-{number}"))?;
        let image = libraries.join("image");
        let built = kernlet.build_program(program, &[])?;
        std::fs::rename(&built, &image).map_err(io(&built))?;
        let listed = output("ldd", Command::new(tool("ldd", "libc-bin")?).arg(program))?;
        let found =
            listed.lines().filter_map(|line| line.split_once(" => ")?.1.split(' ').next()).map(Path::new);
        for file in found.chain([program]) {
            let name = file.file_name().unwrap_or_default();
            place.copy(file, &format!("native-{number}/{}", name.display()))?;
        }
        Ok(Self { image, program: libraries.join(program.file_name().unwrap_or_default()), libraries })
    }
}

/// Runs a command, and notes the processor time of all its processes in seconds.
fn timed(command: &mut Command, times: &mut Vec<f64>) -> Result<String, BenchError> {
    let used = || -> Result<f64, BenchError> {
        let usage =
            getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| BenchError::io("getrusage")(e.into()))?;
        Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
    };
    let before = used()?;
    let said = output("a loop", command)?;
    times.push(used()? - before);
    Ok(said)
}
