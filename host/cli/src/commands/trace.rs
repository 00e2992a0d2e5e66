//! `kernlet build --trace`: runs the program once, and keeps what it used of its files.

use crate::arguments::Common;
use crate::report::{Failure, say, warn};
use crate::{show, what};
use kernlet_image::Image;
use kernlet_image::inspect::Inspection;
use kernlet_image::linux::ProgramOptions;
use kernlet_image::native::Built;
use kernlet_image::trace;
use kernlet_monitor::options::Volume;
use kernlet_monitor::{Home, Options, terminal};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Builds the image of all that the program may use, runs it, and builds the image of what it used.
pub fn build(path: &Path, options: ProgramOptions, home: &Home, common: &Common) -> Result<Built, Failure> {
    let whole = what::build_linux(path, &options, home, common)?;
    let record = Record::new(home)?;
    let mut run = Options::new(whole.image.clone());
    run.volumes.push(Volume { host: record.0.clone(), guest: trace::PATH.into(), read_only: false });
    run.remove = true;
    run.terminal = terminal::attended();
    let status = kernlet_monitor::run(home, Image::open(&whole.image)?, run, None)?;
    if status != 0 {
        warn(&format!("the program ended with status {status}: what it did not come to is not in the image"));
    }
    let used = record.paths()?;
    if used.is_empty() {
        return Err(Failure::new(
            "the run told of no file that the program used",
            "run it without --trace: does it start?",
        ));
    }
    let traced = ProgramOptions { only: Some(used), ..options };
    let built = what::build_linux(path, &traced, home, common)?;
    if !common.quiet {
        tell(&whole, &built)?;
    }
    Ok(built)
}

/// Says what was kept.
fn tell(whole: &Built, kept: &Built) -> Result<(), Failure> {
    let files = |built: &Built| -> Result<Vec<(String, u64)>, Failure> {
        let inspection = Inspection::of(&Image::open(&built.image)?)?;
        let entries = inspection.root.map(|root| root.files).unwrap_or_default();
        let files = entries.into_iter().filter(|entry| entry.kind == kernlet_image::erofs::EntryKind::File);
        Ok(files.map(|entry| (entry.path, entry.size)).collect())
    };
    let (before, after) = (files(whole)?, files(kept)?);
    let bytes = |files: &[(String, u64)]| show::size(files.iter().map(|(_, size)| size).sum());
    let mut text =
        format!("kept {} of {} files, {} of {}:\n", after.len(), before.len(), bytes(&after), bytes(&before));
    for (path, size) in &after {
        // A path comes from the disk, and a terminal obeys control characters.
        let shown: String = path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        text.push_str(&format!("  {:>9}  {shown}\n", show::size(*size)));
    }
    say(&text);
    Ok(())
}

/// The file into which the instance writes, for as long as this is there.
struct Record(PathBuf);

impl Record {
    fn new(home: &Home) -> Result<Self, Failure> {
        let path = home.path().join(format!("trace-{}", std::process::id()));
        let failed = |error| Failure::bare(format!("{} cannot be made: {error}", path.display()));
        // Left by a process of the same number that was killed.
        let _ = fs::remove_file(&path);
        File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        Ok(Self(path))
    }

    fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let bytes = fs::read(&self.0)
            .map_err(|error| Failure::bare(format!("{} cannot be read: {error}", self.0.display())))?;
        let unique: BTreeSet<&[u8]> = trace::paths(&bytes).collect();
        Ok(unique.into_iter().map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
