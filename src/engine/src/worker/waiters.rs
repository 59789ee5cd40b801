//! One waiting call for each running container: its end wakes the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::{InstanceState, Observed};
use pinnace_core::ports::PodRuntime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::adapters::Adapters;

/// A wait that fails (the shim is gone) wakes the worker no sooner than this, so that a shim which refuses
/// to wait cannot make the worker spin.
const AFTER_FAILED_WAIT: Duration = Duration::from_millis(50);

/// The waits of one pod.
#[derive(Default)]
pub(super) struct Waiters {
    waits: BTreeMap<(ContainerName, u32), Wait>,
    ended: Arc<Notify>,
}

/// Ends with its owner.
struct Wait(JoinHandle<()>);

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Waiters {
    /// Waits for all instances that run, and for no others.
    pub(super) fn follow<A: Adapters>(&mut self, adapters: &Arc<A>, uid: &PodUid, observed: &Observed) {
        let running: Vec<(ContainerName, u32)> = observed
            .containers
            .iter()
            .filter(|seen| matches!(seen.state, InstanceState::Running { .. }))
            .map(|seen| (seen.name.clone(), seen.attempt))
            .collect();
        self.waits
            .retain(|key, wait| running.contains(key) && !wait.0.is_finished());
        for key in running {
            let (adapters, uid, ended) = (Arc::clone(adapters), uid.clone(), Arc::clone(&self.ended));
            self.waits.entry(key).or_insert_with_key(|(name, attempt)| {
                let (name, attempt) = (name.clone(), *attempt);
                Wait(tokio::spawn(async move {
                    if adapters
                        .runtime()
                        .wait_container(&uid, &name, attempt)
                        .await
                        .is_err()
                    {
                        tokio::time::sleep(AFTER_FAILED_WAIT).await;
                    }
                    ended.notify_one();
                }))
            });
        }
    }

    /// Returns when one of them ended.
    pub(super) async fn next(&self) {
        self.ended.notified().await;
    }
}
