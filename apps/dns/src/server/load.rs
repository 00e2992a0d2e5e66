//! Zone files into zones, while others are served.

use super::Shared;
use dns::{Name, Source, Zone, ZoneErrors};
use kernlet::alloc::boxed::Box;
use kernlet::alloc::format;
use kernlet::alloc::string::String;
use kernlet::alloc::vec::Vec;
use kernlet::fs::File;
use kernlet::log;
use kernlet::task::yield_now;
use kernlet::time::{Duration, Instant, sleep};

/// What a zone file is called: NAME and this.
const SUFFIX: &str = ".zone";
/// How much of a file is read at once.
const PIECE: usize = 64 << 10;
/// A task that gives way this often has let events be looked at: `kernlet_exec` does it after so many turns.
const TURNS: usize = 32;
/// A file that changes while it is read is read again after a while, so often.
const ATTEMPTS: usize = 5;
const AGAIN: Duration = Duration::from_millis(200);

/// What tells that a file is not what it was.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    path: String,
    /// Its inode, size, and when it was changed; none if it could not be read.
    is: Option<[u64; 4]>,
}

/// Opens a file, and says what it is.
async fn open(path: &str) -> (Result<File, kernlet::Error>, Stamp) {
    let file = File::open(path).await;
    let stamp = match &file {
        Ok(file) => stamp(path, file).await,
        Err(_) => Stamp { path: path.into(), is: None },
    };
    (file, stamp)
}

/// Reads a small file.
pub async fn small(path: &str) -> Result<Vec<u8>, kernlet::Error> {
    let mut text = Vec::new();
    let mut files = Files {
        directory: "",
        open: Vec::new(),
        stamps: Vec::new(),
        changed: false,
        since: Instant::now(),
        longest: Duration::ZERO,
    };
    files.piece(path, 0, &mut text).await.map(|_| text)
}

async fn stamp(path: &str, file: &File) -> Stamp {
    let metadata = file.metadata().await.ok();
    Stamp { path: path.into(), is: metadata.map(|it| [it.inode, it.size, it.modified, it.changed]) }
}

/// A zone as it was read last, whether it could be served or not.
struct Known {
    origin: Name,
    stamps: Vec<Stamp>,
}

/// The zone files of a directory.
pub struct Loader {
    directory: String,
    known: Vec<Known>,
}

impl Loader {
    /// Begins with nothing read.
    pub fn new(directory: String) -> Self {
        Self { directory, known: Vec::new() }
    }

    /// Reads every zone file, or with `changed` those that are not what they were. A zone that is broken is reported,
    /// and what was served of it before goes on being served; a zone whose file is gone is served no longer.
    pub async fn load(&mut self, shared: &Shared, changed: bool) {
        let directory = self.directory.clone();
        let entries = match kernlet::fs::read_dir(&directory).await {
            Ok(entries) => entries,
            Err(error) => {
                log::error!(
                    "{directory}: {error}; put NAME.zone files there, for instance with -v DIR:{directory}"
                );
                return;
            }
        };
        let mut found = Vec::new();
        for entry in entries {
            let file = entry.file_name();
            let Some(name) = file.strip_suffix(SUFFIX) else { continue };
            match name.parse::<Name>() {
                Ok(origin) => found.push((origin, file)),
                Err(_) if changed => {}
                Err(problem) => log::error!("{directory}/{file}: `{name}` is no domain name: {problem}"),
            }
        }
        for (origin, file) in &found {
            if !changed || !self.is_current(origin).await {
                self.zone(shared, origin, file).await;
            }
        }
        let gone = |origin: &Name| !found.iter().any(|(other, _)| other == origin);
        self.known.retain(|known| !gone(&known.origin));
        let gone: Vec<Name> =
            shared.zones.borrow().iter().map(|zone| zone.origin().clone()).filter(gone).collect();
        for origin in gone {
            log::info!("{directory}: no file for the zone {origin} any more; it is not served");
            shared.zones.borrow_mut().remove(&origin);
        }
    }

    /// Whether the files of a zone are those that were read.
    async fn is_current(&self, origin: &Name) -> bool {
        let Some(known) = self.known.iter().find(|known| known.origin == *origin) else { return false };
        for stamp in &known.stamps {
            if open(&stamp.path).await.1 != *stamp {
                return false;
            }
        }
        true
    }

    /// Reads one zone, and serves it if it is right.
    async fn zone(&mut self, shared: &Shared, origin: &Name, file: &str) {
        let directory = &self.directory;
        let start = Instant::now();
        let (result, stamps, longest) = read(shared, origin, directory, file).await;
        self.take(shared, result, start, longest, origin, file);
        self.known.retain(|known| known.origin != *origin);
        self.known.push(Known { origin: origin.clone(), stamps });
    }

    /// Serves what was read, or says what is wrong with it.
    #[inline(never)]
    fn take(
        &self,
        shared: &Shared,
        result: Result<Zone, ZoneErrors>,
        start: Instant,
        longest: Duration,
        origin: &Name,
        file: &str,
    ) {
        let directory = &self.directory;
        match result {
            Ok(zone) => {
                log::info!(
                    "{directory}/{file}: {} records, serial {}, read in {} ms, in steps of at most {} us",
                    zone.records(),
                    zone.serial(),
                    start.elapsed().as_millis(),
                    longest.as_micros()
                );
                for warning in zone.warnings() {
                    log::warning!("{directory}/{warning}");
                }
                shared.zones.borrow_mut().insert(zone);
            }
            Err(errors) => {
                for error in &errors.0 {
                    log::error!("{directory}/{error}");
                }
                let served = shared.zones.borrow().iter().any(|zone| zone.origin() == origin);
                let what = if served { "goes on being served as it was" } else { "is not served" };
                log::error!("{directory}/{file}: the zone {origin} {what}");
            }
        }
    }
}

/// Reads one zone, again if its files change meanwhile.
async fn read(
    shared: &Shared,
    origin: &Name,
    directory: &str,
    file: &str,
) -> (Result<Zone, ZoneErrors>, Vec<Stamp>, Duration) {
    let reader = shared.zones.borrow().reader();
    let mut attempt = 1;
    loop {
        let mut files = Files {
            directory,
            open: Vec::new(),
            stamps: Vec::new(),
            changed: false,
            since: Instant::now(),
            longest: Duration::ZERO,
        };
        let result = reader.read(origin, file, &mut files).await;
        files.step();
        if !files.changed || attempt == ATTEMPTS {
            return (result, files.stamps, files.longest);
        }
        attempt += 1;
        sleep(AGAIN).await;
    }
}

/// The files of a zone.
struct Files<'d> {
    directory: &'d str,
    /// Those that are not read to their end, with their paths.
    open: Vec<(String, File)>,
    stamps: Vec<Stamp>,
    /// One of them changed while it was read.
    changed: bool,
    /// Since when nobody else has worked, and how long that was at most.
    since: Instant,
    longest: Duration,
}

impl Files<'_> {
    /// Ends a step, after which others work.
    fn step(&mut self) {
        self.longest = self.longest.max(self.since.elapsed());
    }

    async fn piece(&mut self, path: &str, offset: u64, into: &mut Vec<u8>) -> Result<usize, kernlet::Error> {
        if offset == 0 {
            let (file, stamp) = open(path).await;
            self.stamps.push(stamp);
            self.open.push((path.into(), file?));
        }
        let at = self.open.iter().rposition(|(open, _)| open == path).ok_or(kernlet::Error::EBADF)?;
        let start = into.len();
        into.resize(start + PIECE, 0);
        let result = self.open[at].1.read_at(&mut into[start..], offset).await;
        into.truncate(start + result.unwrap_or(0));
        if matches!(result, Ok(0)) {
            let (_, file) = self.open.swap_remove(at);
            let now = stamp(path, &file).await;
            self.changed |= self.stamps.iter().rfind(|stamp| stamp.path == path) != Some(&now);
        }
        result
    }
}

impl Source for Files<'_> {
    async fn read(&mut self, name: &str, offset: u64, into: &mut Vec<u8>) -> Result<usize, Box<str>> {
        let Some(path) = path(self.directory, name) else {
            return Err(format!("a zone may include only what lies in {}", self.directory).into());
        };
        self.piece(&path, offset, into).await.map_err(|error| format!("{error}").into())
    }

    async fn pause(&mut self) {
        self.step();
        for _ in 0..TURNS {
            yield_now().await;
        }
        self.since = Instant::now();
    }
}

/// Where an included file is: in the directory, whatever its name says.
fn path(directory: &str, name: &str) -> Option<String> {
    let relative = match name.strip_prefix(directory) {
        Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
        _ if name.starts_with('/') => return None,
        _ => name,
    };
    (!relative.split('/').any(|part| part == "..")).then(|| format!("{directory}/{relative}"))
}
