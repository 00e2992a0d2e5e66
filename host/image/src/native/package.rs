//! What a crate says of itself, as `cargo metadata` tells it.

use super::cargo;
use super::error::BuildError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The crate that defines the native API.
const API: &str = "kernlet";

/// A crate that can be built, and its one program.
#[derive(Debug)]
pub(crate) struct Package {
    /// As cargo wants it after `--package`.
    pub id: String,
    pub name: String,
    pub bin: String,
    pub folder: PathBuf,
    pub workspace: PathBuf,
    /// Path dependencies outside the workspace: name and folder.
    pub outside: Vec<(String, PathBuf)>,
    /// The native API comes from the sources that kernlet carries, not from a path of the crate's own.
    pub wants_sdk: bool,
    pub settings: Settings,
}

/// `[package.metadata.kernlet]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// A folder in the crate whose files go to the image's root.
    pub root: Option<PathBuf>,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub workdir: Option<String>,
    pub opt_level: Option<OptLevel>,
}

/// As in cargo's profiles.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OptLevel {
    Number(u8),
    Text(String),
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
    default_run: Option<String>,
    metadata: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Package {
    /// Asks cargo about the crate in `dir`. Nothing is resolved, so neither the network nor a lock file is
    /// needed.
    pub(crate) fn load(dir: &Path, bin: Option<&str>) -> Result<Self, BuildError> {
        let no_crate = || BuildError::NoCrate(dir.into());
        let folder = dir.canonicalize().map_err(|_| no_crate())?;
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(no_crate());
        }
        let mut command = cargo::command(&folder);
        command.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(&manifest);
        let output = command.output().map_err(cargo::start_error)?;
        let unreadable = |message: String| BuildError::Manifest { folder: folder.clone(), message };
        if !output.status.success() {
            return Err(unreadable(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| unreadable(error.to_string()))?;
        let members: Vec<_> = metadata
            .packages
            .iter()
            .filter_map(|p| p.manifest_path.parent())
            .map(Path::to_path_buf)
            .collect();
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package = package.ok_or_else(|| {
            let members: Vec<_> = members.iter().map(|path| path.display().to_string()).collect();
            BuildError::Workspace { folder: folder.clone(), members: members.join(", ") }
        })?;
        Self::check(package, folder, metadata.workspace_root, bin)
    }

    fn check(
        raw: RawPackage,
        folder: PathBuf,
        workspace: PathBuf,
        bin: Option<&str>,
    ) -> Result<Self, BuildError> {
        let api = raw.dependencies.iter().find(|d| d.name == API && d.kind.is_none());
        let api = api.ok_or_else(|| BuildError::NoKernletDependency(raw.name.clone()))?;
        let wants_sdk = api.path.is_none();
        let bin = choose_bin(&raw, bin)?;
        let settings = settings(&raw)?;
        let outside = raw.dependencies.into_iter().filter_map(|d| Some((d.name, d.path?)));
        let outside = outside.filter(|(_, path)| !path.starts_with(&workspace)).collect();
        Ok(Self { id: raw.id, name: raw.name, bin, folder, workspace, outside, wants_sdk, settings })
    }
}

fn choose_bin(raw: &RawPackage, wanted: Option<&str>) -> Result<String, BuildError> {
    let bins: Vec<&str> = raw
        .targets
        .iter()
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
        .map(|target| target.name.as_str())
        .collect();
    let package = raw.name.clone();
    if let Some(wanted) = wanted.or(raw.default_run.as_deref()) {
        return match bins.iter().find(|bin| **bin == wanted) {
            Some(bin) => Ok((*bin).into()),
            None => Err(BuildError::NoSuchBin { package, bin: wanted.into(), bins: bins.join(", ") }),
        };
    }
    match bins[..] {
        [] => Err(BuildError::Library(package)),
        [bin] => Ok(bin.into()),
        _ => Err(BuildError::SeveralBins { package, bins: bins.join(", ") }),
    }
}

fn settings(raw: &RawPackage) -> Result<Settings, BuildError> {
    let error = |message: String| BuildError::Settings { package: raw.name.clone(), message };
    let Some(value) = raw.metadata.as_ref().and_then(|metadata| metadata.get(API)) else {
        return Ok(Settings::default());
    };
    let settings = Settings::deserialize(value).map_err(|e| error(e.to_string()))?;
    if let Some(level) = &settings.opt_level
        && level.config().is_none()
    {
        return Err(error("opt-level is none that cargo knows".into()));
    }
    if settings.root.as_ref().is_some_and(|root| root.is_absolute()) {
        return Err(error("root is not a folder in the crate".into()));
    }
    if settings.workdir.as_ref().is_some_and(|workdir| !workdir.starts_with('/')) {
        return Err(error("workdir is not an absolute path".into()));
    }
    if settings.env.keys().any(|name| name.is_empty() || name.contains('=')) {
        return Err(error("env holds a name that is empty or contains `=`".into()));
    }
    Ok(settings)
}

impl OptLevel {
    /// As cargo wants it on its command line.
    pub(crate) fn config(&self) -> Option<String> {
        match self {
            Self::Number(number @ 0..=3) => Some(number.to_string()),
            Self::Text(text) if ["0", "1", "2", "3"].contains(&text.as_str()) => Some(text.clone()),
            Self::Text(text) if text == "s" || text == "z" => Some(format!("\"{text}\"")),
            _ => None,
        }
    }
}
