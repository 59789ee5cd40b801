//! Brings the network up. What the host lacks is said once; the next try comes by itself, so that whoever repairs
//! the host need not restart the agent. Pods in the host's network run meanwhile.

use std::sync::Arc;
use std::time::Duration;

use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::pod::Backoff;
use pinnace_core::ports::PortError;
use pinnace_engine::board::Board;
use pinnace_net::Finding;
use pinnace_sys::Layout;

use super::pods::{after_start, findings};
use super::settings::NetworkSettings;
use crate::agent::adapters::NodeAdapters;

/// Between tries.
const AGAIN: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 30_000,
};
/// The kubelet's word for a node whose pods get no network.
const NOT_READY: &str = "NetworkNotReady";

/// Tries until the network is up.
pub async fn keep_up(
    adapters: Arc<NodeAdapters>,
    board: Arc<Board>,
    settings: NetworkSettings,
    layout: Layout,
) {
    let mut said = String::new();
    let mut tries = 0_u32;
    while let Err(error) = adapters.network.start().await {
        let why = error.chain();
        if why != said {
            tell(&adapters, &board, &error);
            let (settings, layout) = (settings.clone(), layout.clone());
            say(move || findings(&settings, &layout)).await;
            said = why;
        }
        tries = tries.saturating_add(1);
        tokio::time::sleep(Duration::from_millis(AGAIN.delay_millis(tries))).await;
    }
    if !said.is_empty() {
        tracing::info!("the network of pods is up");
    }
    say(move || after_start(&settings)).await;
}

fn tell(adapters: &NodeAdapters, board: &Board, error: &PortError) {
    tracing::error!("pods with a network of their own wait: {}", error.chain());
    let Some(object) = board.node().and_then(|node| node.key()) else {
        return;
    };
    board.record(Event {
        kind: EventType::Warning,
        reason: NOT_READY.to_owned(),
        message: format!("network is not ready: {}", error.chain()),
        object,
        at: adapters.host.now().wall,
    });
}

/// What it is that the host lacks, where that is known.
async fn say(look: impl FnOnce() -> Vec<Finding> + Send + 'static) {
    let looked = tokio::task::spawn_blocking(look).await;
    for finding in looked.unwrap_or_default() {
        tracing::error!("{finding}");
    }
}
