//! Running cargo, and what it says meanwhile.

use super::Progress;
use super::cargo::start_error;
use super::error::BuildError;
use super::package::Package;
use crate::sdk::Sdk;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact { package_id: String, target: Target, executable: Option<PathBuf> },
    #[serde(rename = "compiler-message")]
    Diagnostic { target: Target, message: Diagnostic },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Target {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|k| k == kind)
    }
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

enum Line {
    Message(String),
    Status(String),
}

/// Runs the build and gives the path of the executable. Of `total` packages (0: nobody knows) it reports those that
/// are done.
pub(crate) fn run(
    mut command: Command,
    package: &Package,
    sdk: &Sdk,
    total: usize,
    progress: &mut dyn Progress,
) -> Result<PathBuf, BuildError> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start_error)?;
    let (sender, lines) = channel();
    forward(child.stdout.take(), sender.clone(), Line::Message);
    forward(child.stderr.take(), sender, Line::Status);

    let (mut executable, mut errors, mut said) = (None, String::new(), String::new());
    let mut done = HashSet::new();
    for line in lines {
        match line {
            Line::Status(line) => match status(&line) {
                Some(step) => progress.step(&step),
                None => said.extend([&line, "\n"]),
            },
            Line::Message(line) => match serde_json::from_str(&line) {
                Ok(Message::Artifact { package_id, target, executable: made }) => {
                    if is_bin(&target, package) {
                        executable = made;
                    }
                    if !target.is("custom-build") {
                        done.insert(package_id);
                        progress.tick(done.len(), total);
                    }
                }
                Ok(Message::Diagnostic { target, message }) => {
                    let text = message.rendered.unwrap_or_default();
                    if message.level.starts_with("error") {
                        errors.push_str(&text);
                    } else if message.level == "warning" && !target.src_path.starts_with(sdk.folder()) {
                        progress.warning(&text);
                    }
                }
                // Build scripts may print what they like; cargo's other messages say nothing new.
                Ok(Message::Other) | Err(_) => {}
            },
        }
    }
    let status = child.wait().map_err(BuildError::Cargo)?;
    match executable {
        Some(path) if status.success() => Ok(path),
        _ => {
            let output = if errors.is_empty() { said } else { errors };
            Err(BuildError::Compile { package: package.name.clone(), output: output.trim_end().into() })
        }
    }
}

fn is_bin(target: &Target, package: &Package) -> bool {
    target.name == package.bin && target.is("bin") && target.src_path.starts_with(&package.folder)
}

/// Cargo's right-aligned status lines, such as `   Compiling smoltcp v0.14.0`.
fn status(line: &str) -> Option<String> {
    const VERBS: &[&str] = &[
        "Adding",
        "Blocking",
        "Compiling",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Updating",
    ];
    let (verb, rest) = line.trim_start().split_once(' ')?;
    let known = line.starts_with(' ') && VERBS.contains(&verb);
    known.then(|| format!("{} {}", verb.to_lowercase(), rest.split(" (").next().unwrap_or(rest)))
}

/// Sends the lines of a pipe from a thread of its own; the thread ends with the pipe.
fn forward(pipe: Option<impl Read + Send + 'static>, to: Sender<Line>, wrap: fn(String) -> Line) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if to.send(wrap(String::from_utf8_lossy(&line).into_owned())).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_told_from_messages() {
        assert_eq!(status("   Compiling core_x v0.1.0 (/a/b)"), Some("compiling core_x v0.1.0".into()));
        assert_eq!(status("error: no such thing"), None);
        assert_eq!(status("    | Compiling"), None);
    }
}
