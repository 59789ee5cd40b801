//! One waiting call for each running container: its end wakes the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::{Backoff, InstanceState, Observed};
use pinnace_core::ports::PodRuntime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::adapters::Adapters;

/// A wait that fails (the shim is gone) wakes the worker no sooner than this, and ever later while the
/// container is still seen running: a shim which refuses to wait cannot make the worker spin.
const AFTER_FAILED_WAIT: Backoff = Backoff {
    initial_millis: 20,
    factor: 4,
    max_millis: 10_000,
};

/// The waits of one pod.
#[derive(Default)]
pub(super) struct Waiters {
    waits: BTreeMap<(ContainerName, u32), Wait>,
    ended: Arc<Notify>,
}

/// Ends with its owner.
struct Wait {
    task: JoinHandle<()>,
    /// Which try it is, from 1.
    tries: u32,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Waiters {
    /// Waits for all instances that run, and for no others.
    pub(super) fn follow<A: Adapters>(&mut self, adapters: &Arc<A>, uid: &PodUid, observed: &Observed) {
        let mut waits = std::mem::take(&mut self.waits);
        for seen in &observed.containers {
            if !matches!(seen.state, InstanceState::Running { .. }) {
                continue;
            }
            let key = (seen.name.clone(), seen.attempt);
            let wait = match waits.remove(&key) {
                Some(wait) if !wait.task.is_finished() => wait,
                finished => {
                    let tries = finished.map_or(1, |wait| wait.tries.saturating_add(1));
                    let task = self.wait(adapters, uid, &key, tries);
                    Wait { task, tries }
                }
            };
            self.waits.insert(key, wait);
        }
    }

    fn wait<A: Adapters>(
        &self,
        adapters: &Arc<A>,
        uid: &PodUid,
        (name, attempt): &(ContainerName, u32),
        tries: u32,
    ) -> JoinHandle<()> {
        let (adapters, ended) = (Arc::clone(adapters), Arc::clone(&self.ended));
        let (uid, name, attempt) = (uid.clone(), name.clone(), *attempt);
        tokio::spawn(async move {
            let not_before = Instant::now() + Duration::from_millis(AFTER_FAILED_WAIT.delay_millis(tries));
            let waited = adapters.runtime().wait_container(&uid, &name, attempt).await;
            if waited.is_err() || tries > 1 {
                tokio::time::sleep_until(not_before).await;
            }
            ended.notify_one();
        })
    }

    /// Returns when one of them ended, now or since this was asked last.
    pub(super) async fn next(&self) {
        self.ended.notified().await;
    }
}
