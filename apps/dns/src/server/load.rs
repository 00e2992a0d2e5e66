//! Zone files into zones.

use super::Shared;
use dns::{Name, Zone, ZoneErrors};
use kernlet::alloc::borrow::Cow;
use kernlet::alloc::boxed::Box;
use kernlet::alloc::format;
use kernlet::alloc::string::String;
use kernlet::alloc::vec::Vec;
use kernlet::log;

/// The bytes of a file, or why there are none.
type Content = Result<Vec<u8>, Box<str>>;

/// What a zone file is called: NAME and this.
const SUFFIX: &str = ".zone";

/// Loads every zone file of `directory`. A zone that is broken is reported, and what was served of it before goes on
/// being served; a zone whose file is gone is served no longer.
pub async fn all(shared: &Shared, directory: &str) {
    let entries = match kernlet::fs::read_dir(directory).await {
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
        let Ok(origin) = name.parse::<Name>() else {
            log::error!("{directory}/{file}: `{name}` is no domain name");
            continue;
        };
        match load(shared, &origin, directory, &file).await {
            Ok(zone) => {
                log::info!("{directory}/{file}: {} records, serial {}", zone.records(), zone.serial());
                shared.zones.borrow_mut().insert(zone);
            }
            Err(errors) => {
                for error in &errors.0 {
                    log::error!("{directory}/{error}");
                }
                let served = shared.zones.borrow().iter().any(|zone| zone.origin() == &origin);
                let what = if served { "goes on being served as it was" } else { "is not served" };
                log::error!("{directory}/{file}: the zone {origin} {what}");
            }
        }
        found.push(origin);
    }
    let gone: Vec<Name> = {
        let zones = shared.zones.borrow();
        zones.iter().map(|zone| zone.origin().clone()).filter(|origin| !found.contains(origin)).collect()
    };
    for origin in gone {
        log::info!("{directory}: no file for the zone {origin} any more; it is not served");
        shared.zones.borrow_mut().remove(&origin);
    }
}

/// Reads one zone. The parser asks for files without waiting: what it asks for and is not there yet is read, and the
/// zone is begun anew, so that a zone of N files is read N times; zones of several files are few and small.
async fn load(shared: &Shared, origin: &Name, directory: &str, file: &str) -> Result<Zone, ZoneErrors> {
    let mut files: Vec<(String, Content)> = Vec::new();
    loop {
        let mut wanted = None;
        let result = shared.zones.borrow().load(origin, file, &mut |name| match files
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, content)| content)
        {
            Some(Ok(bytes)) => Ok(Cow::Borrowed(&bytes[..])),
            Some(Err(problem)) => Err(problem.clone()),
            None => {
                wanted = Some(String::from(name));
                Err("not read yet".into())
            }
        });
        let Some(name) = wanted else { return result };
        let content = match path(directory, &name) {
            Some(path) => {
                kernlet::fs::read(&path).await.map_err(|error| Box::from(format!("{path}: {error}")))
            }
            None => Err(format!("{name}: a zone may include only what lies in {directory}").into()),
        };
        files.push((name, content));
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
