//! What an image says about running it.
//!
//! The configuration is outside input: it is bounded before it is read, and nothing in it is believed to be
//! a path, a user or a variable name until the one who uses it has checked it.

use std::collections::BTreeMap;

use super::digest::Digest;

/// Largest configuration that is read.
pub(super) const MAX_CONFIG_BYTES: u64 = 8 << 20;
/// Layers of one image: overlayfs stacks no more.
pub(super) const MAX_LAYERS: usize = 500;

/// The parts of an image's configuration that matter for running it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// What runs; the arguments follow it.
    pub entrypoint: Vec<String>,
    /// Default arguments, or the whole command without an entrypoint.
    pub cmd: Vec<String>,
    /// Working directory; empty means `/`.
    pub working_dir: String,
    /// `user`, `uid`, `user:group` or `uid:gid`; empty means root.
    pub user: String,
    /// Labels; nothing but data.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the main process to end, by name or number.
    pub stop_signal: Option<String>,
    /// `port/protocol`; nothing but data.
    pub exposed_ports: Vec<String>,
    /// Paths that the image declares as volumes.
    pub volumes: Vec<String>,
    /// `linux`; empty in some old images.
    pub os: String,
    /// Architecture in Go's words; empty in some old images.
    pub architecture: String,
    /// Variant of the architecture, such as `v7`.
    pub variant: String,
    /// When it was made, as the image says.
    pub created: Option<String>,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the JSON of an image configuration.
    #[error("the image configuration cannot be read")]
    Json(#[from] serde_json::Error),
    /// A layer's digest is of another kind.
    #[error("the image configuration names a layer by an unknown digest")]
    DiffId(#[from] super::digest::DigestError),
    /// More layers than can be stacked.
    #[error("the image has {0} layers, more than {MAX_LAYERS}")]
    TooManyLayers(usize),
    /// Not layers at all.
    #[error("the image's root file system is of type {0:?}, not \"layers\"")]
    RootFsType(String),
}

impl ImageConfig {
    /// Reads an OCI or Docker image configuration.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let wire: Wire = serde_json::from_slice(json)?;
        let run = wire.config.unwrap_or_default();
        let rootfs = wire.rootfs.unwrap_or_default();
        if !rootfs.kind.is_empty() && rootfs.kind != "layers" {
            return Err(ConfigError::RootFsType(rootfs.kind.chars().take(100).collect()));
        }
        let diff_ids = rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() > MAX_LAYERS {
            return Err(ConfigError::TooManyLayers(diff_ids.len()));
        }
        let keys = |map: Option<BTreeMap<String, serde::de::IgnoredAny>>| {
            map.unwrap_or_default().into_keys().collect()
        };
        Ok(Self {
            env: run.env.unwrap_or_default(),
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
            labels: run.labels.unwrap_or_default(),
            stop_signal: run.stop_signal.filter(|signal| !signal.is_empty()),
            exposed_ports: keys(run.exposed_ports),
            volumes: keys(run.volumes),
            os: wire.os.unwrap_or_default(),
            architecture: wire.architecture.unwrap_or_default(),
            variant: wire.variant.unwrap_or_default(),
            created: wire.created,
            diff_ids: diff_ids
                .iter()
                .map(|id| Digest::parse(id))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The chain IDs of the layers, lowest first.
    pub fn chain_ids(&self) -> Vec<Digest> {
        let mut chain = Vec::with_capacity(self.diff_ids.len());
        for diff_id in &self.diff_ids {
            chain.push(Digest::chain(chain.last(), diff_id));
        }
        chain
    }
}

/// The document; Docker writes `null` for whatever is empty.
#[derive(serde::Deserialize)]
struct Wire {
    created: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    config: Option<WireRun>,
    rootfs: Option<WireRootFs>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct WireRun {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

#[derive(serde::Deserialize, Default)]
struct WireRootFs {
    #[serde(rename = "type", default)]
    kind: String,
    diff_ids: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dockers_configuration_with_its_nulls() {
        let config = ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"User":"1000:50",
            "ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=b=c"],"Entrypoint":null,"Cmd":["sh","-c","x"],
            "Volumes":{"/data":{}},"WorkingDir":"/srv","Labels":{"a":"b"},"StopSignal":"SIGQUIT","OnBuild":null},
            "rootfs":{"type":"layers","diff_ids":null},"history":[{}]}"#,
        )
        .unwrap();
        assert_eq!(config.env, ["PATH=/bin", "A=b=c"]);
        assert!(config.entrypoint.is_empty());
        assert_eq!(config.cmd, ["sh", "-c", "x"]);
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("1000:50", "/srv")
        );
        assert_eq!(
            (config.exposed_ports, config.volumes),
            (vec!["80/tcp".into()], vec!["/data".into()])
        );
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(config.labels["a"], "b");
    }

    #[test]
    fn an_empty_document_is_an_image_without_layers() {
        assert_eq!(ImageConfig::parse(b"{}").unwrap(), ImageConfig::default());
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        assert!(ImageConfig::parse(b"[]").is_err());
        assert!(ImageConfig::parse(br#"{"config":{"Env":"A=b"}}"#).is_err());
        assert!(ImageConfig::parse(br#"{"rootfs":{"type":"layers","diff_ids":["../x"]}}"#).is_err());
        assert!(ImageConfig::parse(br#"{"rootfs":{"type":"disk"}}"#).is_err());
        let many = format!(
            r#"{{"rootfs":{{"type":"layers","diff_ids":[{}""]}}}}"#,
            r#""","#.repeat(600)
        );
        assert!(matches!(
            ImageConfig::parse(many.as_bytes()),
            Err(ConfigError::TooManyLayers(601))
        ));
    }
}
