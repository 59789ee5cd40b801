//! A container's bundle: what is read from its `config.json`, and the files that the shim keeps beside it.
//!
//! | file | written by | for |
//! | --- | --- | --- |
//! | `address` | `start` | where the container's shim listens |
//! | `shim.pid` | `start` | the shim's process, for people |
//! | `runtime.json` | Create | the OCI runtime, so that `delete` finds it when the shim is dead |
//! | `init.pid` | the OCI runtime | the first process |
//! | `log` | the caller, a fifo | the shim's own messages |

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Annotations that name the sandbox whose shim a container joins, CRI's first.
const GROUP_ANNOTATIONS: [&str; 2] = ["io.kubernetes.cri.sandbox-id", "io.containerd.runc.v2.group"];

/// A `config.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("open {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Its text.
    #[error("read {}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

/// What matters to a shim of an OCI configuration.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Config {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    linux: Option<Linux>,
    #[serde(default)]
    hooks: Option<Hooks>,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Option<Vec<Namespace>>,
}

#[derive(Debug, serde::Deserialize)]
struct Namespace {
    r#type: String,
    #[serde(default)]
    path: String,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Hooks {
    #[serde(default, rename = "startContainer")]
    start_container: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default)]
    poststart: Option<Vec<serde::de::IgnoredAny>>,
}

impl Config {
    /// Reads `config.json` of a bundle.
    pub fn read(bundle: &Path) -> Result<Self, ConfigError> {
        let path = bundle.join("config.json");
        match File::open(&path) {
            Ok(file) => serde_json::from_reader(BufReader::with_capacity(4096, file.take(MAX_CONFIG_BYTES)))
                .map_err(|source| ConfigError::Json { path, source }),
            Err(source) => Err(ConfigError::Open { path, source }),
        }
    }

    /// The sandbox that the container belongs to, where it is told.
    pub fn group(&self) -> Option<&str> {
        let annotations = self.annotations.as_ref()?;
        let values = GROUP_ANNOTATIONS.iter().filter_map(|name| annotations.get(*name));
        values.map(String::as_str).find(|value| !value.is_empty())
    }

    /// `namespace/name` of the pod, where it is told.
    pub fn pod(&self) -> Option<String> {
        let annotations = self.annotations.as_ref()?;
        let namespace = annotations.get("io.kubernetes.cri.sandbox-namespace")?;
        let name = annotations.get("io.kubernetes.cri.sandbox-name")?;
        Some(format!("{namespace}/{name}"))
    }

    /// Whether the kernel ends all of the container's processes with its first one: it has a PID namespace
    /// of its own.
    pub fn own_pid_namespace(&self) -> bool {
        let namespaces = self.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
        namespaces.is_some_and(|all| all.iter().any(|ns| ns.r#type == "pid" && ns.path.is_empty()))
    }

    /// Whether hooks are to run around the program's start.
    pub fn has_start_hooks(&self) -> bool {
        let any = |hooks: &Option<Vec<serde::de::IgnoredAny>>| hooks.as_ref().is_some_and(|h| !h.is_empty());
        self.hooks
            .as_ref()
            .is_some_and(|hooks| any(&hooks.poststart) || any(&hooks.start_container))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), text).unwrap();
        Config::read(directory.path()).unwrap()
    }

    #[test]
    fn the_sandbox_is_found_by_either_annotation() {
        assert_eq!(config("{}").group(), None);
        let cri = r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"s","io.containerd.runc.v2.group":"g"}}"#;
        assert_eq!(config(cri).group(), Some("s"));
        assert_eq!(
            config(r#"{"annotations":{"io.containerd.runc.v2.group":"g"}}"#).group(),
            Some("g")
        );
    }

    #[test]
    fn a_pid_namespace_counts_only_where_it_is_the_containers_own() {
        assert!(!config(r#"{"linux":{"namespaces":[{"type":"mount"}]}}"#).own_pid_namespace());
        assert!(config(r#"{"linux":{"namespaces":[{"type":"pid"}]}}"#).own_pid_namespace());
        let joined = r#"{"linux":{"namespaces":[{"type":"pid","path":"/proc/1/ns/pid"}]}}"#;
        assert!(!config(joined).own_pid_namespace());
    }

    #[test]
    fn hooks_around_the_start_are_seen() {
        assert!(!config(r#"{"hooks":{"poststart":[],"prestart":[{"path":"/x"}]}}"#).has_start_hooks());
        assert!(config(r#"{"hooks":{"poststart":[{"path":"/x"}]}}"#).has_start_hooks());
    }
}
