//! SIGHUP: the configuration is read again, and what can change live is put in force.

use std::sync::Mutex;
use std::sync::PoisonError;

use pinnace_core::config::{Changes, NodeConfig};
use pinnace_engine::manager::Order;
use tokio::sync::mpsc;

use crate::config::Sources;

/// Reads the configuration again and again.
pub struct Reloader {
    sources: Sources,
    in_force: Mutex<NodeConfig>,
}

impl Reloader {
    /// Of an agent that was started with `config` read from `sources`.
    pub fn new(sources: Sources, config: NodeConfig) -> Self {
        Self {
            sources,
            in_force: Mutex::new(config),
        }
    }

    /// Puts a changed configuration in force as far as it can change live; one with a problem changes
    /// nothing, and the problems are the error's text.
    pub async fn reload(&self, orders: &mpsc::Sender<Order>) -> Result<Changes, String> {
        let loaded = self.sources.load().map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("the configuration in force stays: {}", lines.join("; "))
        })?;
        let changes = {
            let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = NodeConfig::changes(&in_force, &loaded.config);
            *in_force = loaded.config.clone();
            changes
        };
        if !changes.needs_restart.is_empty() {
            tracing::warn!(settings = ?changes.needs_restart, "these settings take a restart of the agent to change");
        }
        if orders
            .send(Order::Configure(Box::new(loaded.config)))
            .await
            .is_err()
        {
            return Err("the agent is ending".to_owned());
        }
        tracing::info!(live = ?changes.live, "configuration read again");
        Ok(changes)
    }
}
