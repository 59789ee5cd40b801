//! Which OCI runtime to use: found by trying, not by asking for its version.
//!
//! Each candidate has to create and delete a container like a pod's (namespaces, cgroup with a limit, the
//! seccomp profile) out of a bundle of our own. Some runtimes refuse some hosts: crun, for one, a machine
//! with cgroup v1 and v2 side by side. The verdict is kept in the run directory, which a reboot empties,
//! together with the program's size and time of change, so that an upgrade is tried again.

mod probe;

use std::env;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pinnace_sys::{Layout, file};
use serde::{Deserialize, Serialize};

use crate::error::chain;
pub use probe::{ProbeError, probe};

const MAX_CACHE_BYTES: u64 = 64 << 10;

/// The OCI runtime that pods of this node use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OciRuntime {
    /// The program.
    pub path: PathBuf,
    /// It takes the default seccomp profile on this kernel.
    pub seccomp: bool,
}

/// No candidate works; each with its reason.
#[derive(Debug, thiserror::Error)]
#[error("no OCI runtime works on this node: {}", reasons(.0))]
pub struct NoRuntime(pub Vec<(String, String)>);

fn reasons(tried: &[(String, String)]) -> String {
    if tried.is_empty() {
        return "none is configured".to_owned();
    }
    let texts: Vec<String> = tried.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    texts.join("; ")
}

/// What was found of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    path: PathBuf,
    size: u64,
    changed_nanos: i128,
    /// Whether it works with and without the seccomp profile; `Err` has the reason why it does not at all.
    works: Result<bool, String>,
}

/// The first of `candidates` that works here. Blocks for as long as trying takes (some 50 ms each).
pub fn choose(candidates: &[String], layout: &Layout) -> Result<OciRuntime, NoRuntime> {
    let cache = layout.run().join("oci-runtimes.json");
    let mut known = read_cache(&cache);
    let mut failed = Vec::new();
    for name in candidates {
        let Some(path) = find(name, env::var_os("PATH").as_deref()) else {
            tracing::info!(runtime = %name, "OCI runtime is not installed");
            failed.push((name.clone(), "not installed".to_owned()));
            continue;
        };
        let verdict = match known.iter().find(|verdict| verdict.is_of(&path)) {
            Some(verdict) => verdict.clone(),
            None => {
                let verdict = Verdict::by_trying(&path, layout);
                known.retain(|other| other.path != path);
                known.push(verdict.clone());
                write_cache(&cache, &known);
                verdict
            }
        };
        match verdict.works {
            Ok(seccomp) => {
                tracing::info!(runtime = %path.display(), seccomp, "OCI runtime chosen: it passed its trial");
                return Ok(OciRuntime { path, seccomp });
            }
            Err(why) => {
                tracing::info!(runtime = %path.display(), reason = %why, "OCI runtime does not work here");
                failed.push((name.clone(), why));
            }
        }
    }
    Err(NoRuntime(failed))
}

impl Verdict {
    fn is_of(&self, path: &Path) -> bool {
        self.path == path && identity(path) == Some((self.size, self.changed_nanos))
    }

    fn by_trying(path: &Path, layout: &Layout) -> Self {
        let (size, changed_nanos) = identity(path).unwrap_or_default();
        let works = match probe(path, layout, true) {
            Ok(()) => Ok(true),
            Err(with_profile) => match probe(path, layout, false) {
                Ok(()) => {
                    let reason = chain(&with_profile);
                    tracing::warn!(runtime = %path.display(), %reason, "no seccomp profile can be set");
                    Ok(false)
                }
                Err(without) => Err(chain(&without)),
            },
        };
        Self {
            path: path.to_owned(),
            size,
            changed_nanos,
            works,
        }
    }
}

fn identity(path: &Path) -> Option<(u64, i128)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.len(),
        i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
    ))
}

fn read_cache(path: &Path) -> Vec<Verdict> {
    let text = file::read_limited(path, MAX_CACHE_BYTES).unwrap_or_default();
    // Anything else than a list of verdicts is as good as none: all are tried again.
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write_cache(path: &Path, known: &[Verdict]) {
    let Ok(text) = serde_json::to_vec(known) else {
        return;
    };
    if let Err(error) = file::write_replace(path, &text, 0o600) {
        tracing::warn!(%error, "the trial of the OCI runtimes is not remembered");
    }
}

/// An absolute path as it is, a name by PATH.
fn find(name: &str, search: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let runs = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| runs(path));
    }
    env::split_paths(search?)
        .map(|folder| folder.join(name))
        .find(|path| runs(path))
}

#[cfg(test)]
mod tests;
