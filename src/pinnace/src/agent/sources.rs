//! The sources of this node, out of the command line and the configuration: a directory always, a URL where
//! one is named.

use std::path::PathBuf;
use std::time::Duration;

use pinnace_core::config::NodeConfig;
use pinnace_engine::source::directory::{self, DIRECTORY, DirectoryConfig};
use pinnace_engine::source::url::{self, URL, UrlConfig};
use pinnace_engine::source::{Delivery, SourceId};
use pinnace_sys::Layout;
use tokio::sync::mpsc;

use super::AgentError;
use crate::cli::AgentArgs;

/// A file that was not renamed in counts as whole when it was not written for this long.
const SETTLE: Duration = Duration::from_millis(100);

/// What every source is made of.
pub struct SourceConfigs {
    directory: DirectoryConfig,
    url: Option<UrlConfig>,
}

impl SourceConfigs {
    /// Of the command line, or else of the configuration.
    pub fn new(layout: &Layout, args: &AgentArgs, config: &NodeConfig) -> Result<Self, AgentError> {
        let configured = config.static_pod_path.as_ref().map(PathBuf::from);
        let named = args.manifests.clone().or(configured);
        let directory = DirectoryConfig {
            path: named.unwrap_or_else(|| layout.manifests()),
            settle: SETTLE,
            rescan: Duration::from_millis(config.file_check_frequency.as_millis()),
        };
        let named = args.manifest_url.as_ref().or(config.static_pod_url.as_ref());
        let url = named.map(|text| url_config(text, config)).transpose()?;
        Ok(Self { directory, url })
    }

    /// The sources by name, each of which lists before anything is cleared.
    pub fn ids(&self) -> Vec<SourceId> {
        std::iter::once(DIRECTORY)
            .chain(self.url.is_some().then_some(URL))
            .collect()
    }

    /// Follows all of them for the rest of the agent's life.
    pub fn spawn(self, deliveries: &mpsc::Sender<Delivery>) {
        tokio::spawn(directory::run(self.directory, deliveries.clone()));
        if let Some(url) = self.url {
            let deliveries = deliveries.clone();
            tokio::spawn(async move {
                if let Err(error) = url::run(url, deliveries).await {
                    tracing::error!(%error, "the manifest URL cannot be asked");
                }
            });
        }
    }
}

fn url_config(text: &str, config: &NodeConfig) -> Result<UrlConfig, AgentError> {
    let url: hyper::Uri = text.parse().map_err(|_| AgentError::Url(text.to_owned()))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.authority().is_none() {
        return Err(AgentError::Url(text.to_owned()));
    }
    let mut headers = Vec::new();
    for (name, values) in &config.static_pod_url_header {
        for value in values {
            let wrong = || AgentError::Header(name.clone());
            let key = name.parse().map_err(|_| wrong())?;
            headers.push((key, value.parse().map_err(|_| wrong())?));
        }
    }
    Ok(UrlConfig {
        url,
        headers,
        interval: Duration::from_millis(config.http_check_frequency.as_millis()),
    })
}
