//! Finding files: in the image, where they are served from where they lie, or in a volume.

use super::cache::Cache;
use super::pin::{Directories, Pin};
use crate::options::Options;
use http::representation::Facts;
use http::{Representation, Status, listing, mime, number, target};
use kernlet::Error;
use kernlet::alloc::rc::Rc;
use kernlet::alloc::string::String;
use kernlet::alloc::vec::Vec;
use kernlet::fs::{self, File, FileType, Metadata};
use kernlet::time::unix_time;

/// Files of a volume up to here are read at once and kept; larger ones are sent as they are read.
const SMALL: u64 = 64 << 10;
/// A file that was changed so recently may be changed again without its time telling (it has the resolution of the
/// host's timer interrupt).
const FRESH: u64 = 20_000_000;
/// How often a small file is read again because it changed meanwhile.
const ATTEMPTS: usize = 5;

/// An open file of a volume, and what it was when it was opened.
pub struct OpenFile {
    pub file: File,
    about: Metadata,
}

impl OpenFile {
    /// Remembers what the file is now.
    pub async fn new(file: File) -> Result<Self, Error> {
        let about = file.metadata().await?;
        Ok(Self { file, about })
    }

    /// Whether it may change again without its times telling.
    pub fn is_fresh(&self) -> bool {
        is_fresh(&self.about)
    }

    /// Whether nothing of it has changed since, its names included.
    pub async fn unchanged(&self) -> bool {
        self.file.metadata().await.is_ok_and(|now| same(&now, &self.about))
    }

    /// Whether nobody has written to it since. It may have lost its name: it goes on being sent then.
    pub async fn unwritten(&self) -> bool {
        let written = |about: &Metadata| (about.size, about.modified);
        self.file.metadata().await.is_ok_and(|now| written(&now) == written(&self.about))
    }
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.device, a.inode, a.size, a.modified, a.changed) == (b.device, b.inode, b.size, b.modified, b.changed)
}

/// Where the content of a file is.
pub enum Source {
    /// In the image.
    Static(&'static [u8]),
    /// Read from a volume.
    Copy(Rc<[u8]>, Rc<OpenFile>),
    /// In a volume.
    Open(Rc<OpenFile>),
}

/// A file that can be served.
pub struct Served {
    pub representation: Representation,
    pub source: Source,
    /// While it holds, the path leads to this file. A file of the image needs none.
    pin: Option<Pin>,
}

impl Served {
    /// Whether its path still leads to it, and it is what it was.
    async fn is_current(&self) -> bool {
        let (Source::Copy(_, file) | Source::Open(file)) = &self.source else { return true };
        match &self.pin {
            Some(pin) => file.unchanged().await && pin.holds().await,
            None => false,
        }
    }

    /// Octets of content that it keeps in memory.
    pub fn held(&self) -> usize {
        match &self.source {
            Source::Copy(bytes, _) => bytes.len(),
            _ => 0,
        }
    }
}

/// What a request asks for, for as long as the answer has to wait.
pub struct Lookup {
    /// Decoded.
    pub path: Vec<u8>,
    /// As it came, without the query.
    pub raw: Vec<u8>,
    /// With its question mark, or empty.
    pub query: Vec<u8>,
    /// Compressed content is welcome.
    pub gzip: bool,
}

/// What a path leads to.
pub enum Found {
    File(Rc<Served>),
    /// To this encoded path.
    Redirect(Vec<u8>),
    /// A page with what is in a directory.
    Listing(Vec<u8>),
}

/// The folder that is served.
pub struct Files {
    root: String,
    list: bool,
    cache: Cache,
    directories: Directories,
    digest: [u8; 8],
}

impl Files {
    /// Serves what the options say; `limit` bounds the contents that are kept.
    pub fn new(options: &Options, limit: usize) -> Self {
        let digest = fs::root_digest().and_then(|d| d.first_chunk().copied()).unwrap_or_default();
        Self {
            root: options.root.clone(),
            list: options.list,
            cache: Cache::new(limit),
            directories: Directories::default(),
            digest,
        }
    }

    /// The file for a path as it came, when that is known and cannot have changed.
    pub fn known(&self, raw: &[u8], gzip: bool) -> Option<Rc<Served>> {
        self.cache.get(raw, gzip).filter(|file| matches!(file.source, Source::Static(_)))
    }

    /// Gives up what is open without need.
    pub fn close_idle(&self) {
        self.directories.clear();
        self.cache.clear();
    }

    /// Looks for a file.
    pub async fn find(&self, lookup: Lookup) -> Result<Found, Status> {
        if let Some(kept) = self.cache.get(&lookup.raw, lookup.gzip)
            && kept.is_current().await
        {
            return Ok(Found::File(kept));
        }
        self.resolve(&lookup).await
    }

    async fn resolve(&self, lookup: &Lookup) -> Result<Found, Status> {
        let mut path = [self.root.as_bytes(), &lookup.path].concat();
        let mut about = fs::metadata(&path).await.map_err(status)?;
        if about.is_dir() {
            if !lookup.path.ends_with(b"/") {
                let mut location = Vec::with_capacity(lookup.path.len() + lookup.query.len() + 1);
                target::encode(&mut location, &lookup.path);
                location.push(b'/');
                location.extend_from_slice(&lookup.query);
                return Ok(Found::Redirect(location));
            }
            let folder = path.len();
            path.extend_from_slice(b"index.html");
            about = match fs::metadata(&path).await {
                Ok(about) if about.is_file() => about,
                Ok(_) | Err(Error::ENOENT) if self.list => {
                    path.truncate(folder);
                    return self.list(&path, &lookup.path).await.map(Found::Listing);
                }
                Ok(_) | Err(Error::ENOENT) => return Err(Status::FORBIDDEN),
                Err(error) => return Err(status(error)),
            };
        }
        if !about.is_file() {
            return Err(Status::FORBIDDEN);
        }
        let mut facts = Facts {
            length: 0,
            modified: 0,
            tag: b"",
            weak: false,
            mime: mime::of(&path),
            gzip: false,
            varies: false,
        };
        if facts.mime.compressible {
            path.extend_from_slice(b".gz");
            match fs::metadata(&path).await {
                Ok(compressed) if compressed.is_file() => {
                    facts.varies = true;
                    facts.gzip = lookup.gzip;
                    if lookup.gzip {
                        about = compressed;
                    }
                }
                // What cannot be had compressed is served as it is.
                _ => {}
            }
            if !facts.gzip {
                path.truncate(path.len() - 3);
            }
        }
        self.load(&path, &about, &facts, lookup).await.map(Found::File)
    }

    async fn load(
        &self,
        path: &[u8],
        about: &Metadata,
        facts: &Facts<'_>,
        lookup: &Lookup,
    ) -> Result<Rc<Served>, Status> {
        match fs::static_file(path) {
            Ok(bytes) => {
                let file = self.in_image(bytes, about, facts);
                self.cache.insert(&lookup.raw, lookup.gzip, file.clone());
                return Ok(file);
            }
            Err(Error::EXDEV) => {}
            Err(error) => return Err(status(error)),
        }
        // The pin comes before the lookup whose result it vouches for; that the file is one and open was seen above.
        let pin = self.directories.pin(path, self.root.len()).await.unwrap_or(None);
        let pin = if pin.is_some() && self.leads_as_before(path, about, facts).await { pin } else { None };
        let served = Rc::new(Served { pin, ..self.open(path, facts).await? });
        // What may change without telling is right for this answer, and not for another.
        if served.pin.is_some() && !served.representation.etag().weak {
            self.cache.insert(&lookup.raw, lookup.gzip, served.clone());
        }
        Ok(served)
    }

    /// Whether a second look finds the same file, and the same choice of codings.
    async fn leads_as_before(&self, path: &[u8], about: &Metadata, facts: &Facts<'_>) -> bool {
        if !fs::metadata(path).await.is_ok_and(|now| same(&now, about)) {
            return false;
        }
        if !facts.mime.compressible || facts.gzip {
            return true;
        }
        let compressed = fs::metadata([path, b".gz"].concat()).await.is_ok_and(|now| now.is_file());
        compressed == facts.varies
    }

    /// Opens a file of a volume, and reads it if it is small.
    async fn open(&self, path: &[u8], facts: &Facts<'_>) -> Result<Served, Status> {
        let mut open = OpenFile::new(File::open(path).await.map_err(status)?).await.map_err(status)?;
        if !open.about.is_file() {
            return Err(Status::FORBIDDEN);
        }
        for _ in 0..ATTEMPTS {
            let representation = in_volume(&open.about, facts);
            if open.about.size > SMALL {
                return Ok(Served { representation, source: Source::Open(Rc::new(open)), pin: None });
            }
            let mut bytes = kernlet::alloc::vec![0; open.about.size as usize];
            let whole = read_whole(&open.file, &mut bytes).await.map_err(status)?;
            if whole && open.unchanged().await {
                let source = Source::Copy(bytes.into(), Rc::new(open));
                return Ok(Served { representation, source, pin: None });
            }
            open = OpenFile::new(open.file).await.map_err(status)?;
        }
        // It is written to all the time; a copy of some moment is not to be had.
        Err(Status::SERVICE_UNAVAILABLE)
    }

    /// A file of the image never changes, and the hash of the root tells it from that of another image.
    fn in_image(&self, bytes: &'static [u8], about: &Metadata, facts: &Facts<'_>) -> Rc<Served> {
        let mut tag = Vec::with_capacity(40);
        number::hexadecimal(&mut tag, u64::from_be_bytes(self.digest));
        tag.push(b'-');
        number::hexadecimal(&mut tag, about.inode);
        let modified = about.modified / 1_000_000_000;
        let facts = Facts { length: bytes.len() as u64, modified, tag: &tag, ..*facts };
        Rc::new(Served {
            representation: Representation::new(&facts),
            source: Source::Static(bytes),
            pin: None,
        })
    }

    async fn list(&self, folder: &[u8], shown: &[u8]) -> Result<Vec<u8>, Status> {
        let entries = fs::read_dir(folder).await.map_err(status)?;
        let entries = entries.iter().map(|entry| listing::Entry {
            name: entry.name_bytes(),
            directory: entry.file_type() == FileType::Directory,
            length: None,
        });
        Ok(listing::page(shown, entries))
    }
}

/// A file of a volume is told from what it was at other times by its place, length and times.
fn in_volume(about: &Metadata, facts: &Facts<'_>) -> Representation {
    let mut tag = Vec::with_capacity(64);
    for (value, end) in
        [(about.modified, b'-'), (about.size, b'-'), (about.inode ^ about.changed.rotate_left(32), b' ')]
    {
        number::hexadecimal(&mut tag, value);
        tag.push(end);
    }
    tag.pop();
    let modified = about.modified / 1_000_000_000;
    let facts = Facts {
        length: about.size,
        // No file was modified later than now (RFC 9110, section 8.8.2.1).
        modified: if modified <= unix_time().as_secs() { modified } else { 0 },
        tag: &tag,
        weak: is_fresh(about),
        ..*facts
    };
    Representation::new(&facts)
}

fn is_fresh(about: &Metadata) -> bool {
    let now = u64::try_from(unix_time().as_nanos()).unwrap_or(u64::MAX);
    about.modified.max(about.changed).saturating_add(FRESH) > now
}

/// Fills `bytes`; `false` when the file has fewer.
async fn read_whole(file: &File, bytes: &mut [u8]) -> Result<bool, Error> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], done as u64).await? {
            0 => return Ok(false),
            count => done += count,
        }
    }
    Ok(true)
}

/// What to answer when a file cannot be had.
fn status(error: Error) -> Status {
    match error {
        Error::ENOENT | Error::ENOTDIR | Error::ENAMETOOLONG | Error::ELOOP | Error::EINVAL => {
            Status::NOT_FOUND
        }
        Error::EACCES | Error::EPERM | Error::EISDIR | Error::EXDEV => Status::FORBIDDEN,
        Error::EMFILE | Error::ENFILE | Error::ENOMEM | Error::EAGAIN => Status::SERVICE_UNAVAILABLE,
        error => {
            kernlet::log::warning!("a file cannot be had: {error}");
            Status::INTERNAL_SERVER_ERROR
        }
    }
}
