//! SIGHUP: the configuration is read again, and what can change live is put in force.

use std::sync::Mutex;
use std::sync::PoisonError;

use pinnace_api::NodeName;
use pinnace_core::config::{Changes, NodeConfig};
use pinnace_engine::manager::Order;
use tokio::sync::mpsc;

use super::AgentError;
use crate::config::Sources;

/// Reads the configuration again and again.
pub struct Reloader {
    sources: Sources,
    /// Of the command line, which outweighs the files at every reading.
    node_name: Option<NodeName>,
    in_force: Mutex<NodeConfig>,
}

impl Reloader {
    /// Of these files, under a name of the command line if there is one; nothing is read yet.
    pub fn new(sources: Sources, node_name: Option<NodeName>) -> Self {
        Self {
            sources,
            node_name,
            in_force: Mutex::default(),
        }
    }

    /// Reads the configuration that the agent starts with.
    pub fn first(&self) -> Result<NodeConfig, AgentError> {
        let config = self.named(super::load(&self.sources)?.config);
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = config.clone();
        Ok(config)
    }

    fn named(&self, config: NodeConfig) -> NodeConfig {
        NodeConfig {
            node_name: self.node_name.clone().or(config.node_name),
            ..config
        }
    }

    /// Puts a changed configuration in force as far as it can change live; one with a problem changes
    /// nothing, and the problems are the error's text.
    pub async fn reload(&self, orders: &mpsc::Sender<Order>) -> Result<Changes, String> {
        let loaded = self.sources.load().map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("the configuration in force stays: {}", lines.join("; "))
        })?;
        let config = self.named(loaded.config);
        let changes = {
            let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = NodeConfig::changes(&in_force, &config);
            *in_force = config.clone();
            changes
        };
        if !changes.needs_restart.is_empty() {
            tracing::warn!(settings = ?changes.needs_restart, "these settings take a restart of the agent to change");
        }
        if orders.send(Order::Configure(Box::new(config))).await.is_err() {
            return Err("the agent is ending".to_owned());
        }
        tracing::info!(live = ?changes.live, "configuration read again");
        Ok(changes)
    }
}
