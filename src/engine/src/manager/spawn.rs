//! Every pod gets a worker of its own; one that panics is started again on the same record.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pinnace_api::Pod;
use pinnace_core::admission::Accounted;
use pinnace_core::host::Host;
use pinnace_core::pod::{Backoff, Desired, PodIdentity, Progress, Record};
use pinnace_core::ports::PodContext;
use pinnace_core::resources;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::Manager;
use super::pods::Entry;
use crate::adapters::Adapters;
use crate::network::Tracker;
use crate::worker::{End, FirstLook, PodWorker};

/// Between a worker's panics.
const AFTER_PANIC: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 300_000,
};

/// What a worker starts from.
pub(super) struct Start {
    pub identity: PodIdentity,
    pub progress: Option<Progress>,
    pub pod: Arc<Pod>,
    /// When its manifest was seen; `None`: it is there already.
    pub seen_at: Option<Instant>,
    /// The identity is yet to be written.
    pub unsaved: bool,
    /// `pod` is only a stand-in: the pod is left as it is until it shall end.
    pub is_stand_in: bool,
    /// It ends from the beginning.
    pub ends: bool,
}

impl Start {
    /// Of a pod that nothing has been made of.
    pub fn new_pod(identity: PodIdentity, pod: Arc<Pod>, seen_at: Instant) -> Self {
        Self {
            identity,
            progress: None,
            pod,
            seen_at: Some(seen_at),
            unsaved: true,
            is_stand_in: false,
            ends: false,
        }
    }

    /// Of a pod that an earlier agent left; a removal that was under way goes on.
    pub fn adopted(identity: PodIdentity, progress: Option<Progress>, pod: Arc<Pod>) -> Self {
        let termination = progress
            .as_ref()
            .and_then(|progress| progress.terminating.as_ref());
        Self {
            ends: termination.is_some_and(|termination| termination.eviction.is_none()),
            identity,
            progress,
            pod,
            seen_at: None,
            unsaved: false,
            is_stand_in: false,
        }
    }
}

impl<A: Adapters> Manager<A> {
    /// Starts a worker; the receiver is told when it has seen its pod for the first time.
    pub(super) fn spawn(&mut self, start: Start) -> oneshot::Receiver<()> {
        let Start { identity, pod, .. } = &start;
        let (uid, pod) = (identity.uid.clone(), Arc::clone(pod));
        let order = if start.ends {
            Desired::Remove {
                pod: Arc::clone(&pod),
                grace_period_seconds: None,
            }
        } else {
            Desired::Run(Arc::clone(&pod))
        };
        let (desired, orders) = watch::channel(order);
        let mut accounted = Accounted::of(uid.clone(), &pod);
        accounted.pod = format!("{}/{}", identity.namespace, identity.name);
        let entry = Entry {
            identity: identity.clone(),
            accounted,
            pod: Arc::clone(&pod),
            desired,
            evict_at: None,
            is_stand_in: start.is_stand_in,
        };
        self.pods.insert(uid.clone(), entry);
        let worker = self.worker(start, orders);
        let (looked, first_look) = oneshot::channel();
        let removed = self.removed.0.clone();
        tokio::spawn(async move {
            if keep_running(worker, looked).await == End::Removed {
                // The manager is gone only when the agent ends.
                let _ = removed.send(uid);
            }
        });
        first_look
    }

    /// Starts the task that keeps Services, policies and names up; it ends with the manager.
    pub(super) fn track_network(&self) {
        let Some((parts, objects)) = self.services.published() else {
            return;
        };
        let mut tracker = Tracker::new(Arc::clone(&self.shared), parts, objects);
        tokio::spawn(async move {
            let mut panics = 0;
            while caught(tracker.run()).await.is_none() {
                panics += 1;
                tracing::error!("the tracking of the pods' network panicked, and is started again");
                tokio::time::sleep(Duration::from_millis(AFTER_PANIC.delay_millis(panics))).await;
            }
        });
    }

    fn worker(&self, start: Start, orders: watch::Receiver<Desired>) -> PodWorker<A> {
        let settings = self.settings.borrow();
        let context = PodContext {
            uid: start.identity.uid.clone(),
            qos: resources::qos_class(&start.pod.spec),
            pod_cgroup: resources::pod_values(&start.pod.spec, &settings.cgroup),
            pod: start.pod,
        };
        let boot = self.shared.adapters.host().boot_id();
        let record = Record {
            identity: start.identity,
            progress: start.progress.unwrap_or_else(|| Progress::new(boot)),
            failures: BTreeMap::new(),
            pod_failure: None,
            live: Default::default(),
        };
        let mut worker = PodWorker::new(
            Arc::clone(&self.shared),
            context,
            record,
            orders,
            self.images_changed.clone(),
        );
        worker.seen_at = start.seen_at;
        worker.unsaved = start.unsaved;
        worker.is_stand_in = start.is_stand_in;
        worker
    }
}

/// Runs a worker to its end. What it holds is the record as it was last written, so a panic loses nothing that
/// a crash of the agent would not lose as well.
async fn keep_running<A: Adapters>(mut worker: PodWorker<A>, first_look: FirstLook) -> End {
    let mut first_look = Some(first_look);
    let mut panics = 0;
    loop {
        if let Some(end) = caught(worker.run(&mut first_look)).await {
            return end;
        }
        panics += 1;
        worker.report_panic();
        tokio::time::sleep(Duration::from_millis(AFTER_PANIC.delay_millis(panics))).await;
    }
}

/// The future's answer; `None` if it panicked, of which the panic's own message is logged by its hook.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // The future is never polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
