//! One pod's worker: observe, plan, act, look again.
//!
//! The worker is the only one who acts on its pod. Exits, new orders, timers and new images only wake it;
//! what it does follows from what it then sees. It stops at the first action that fails, notes the failure
//! (which the plan takes into account) and asks again.

mod execute;
mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::{Bytes, ContainerName, ObjectKey};
use pinnace_core::config::NodeConfig;
use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::pod::{self, Action, Desired, Observed, Record};
use pinnace_core::ports::{
    ImageHandle, PodContext, PodRuntime, PortError, PortResult, Records, Telemetry, Volumes,
};
use pinnace_core::resources::CgroupPolicy;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::adapters::Adapters;
use crate::board::{Board, Look};
use execute::{Done, event_reason};
use waiters::Waiters;

/// What all workers share.
pub struct Shared<A> {
    /// The ports.
    pub adapters: Arc<A>,
    /// Where statuses and events go.
    pub board: Arc<Board>,
    /// Settings that may change while pods run.
    pub settings: watch::Receiver<Settings>,
    /// Bounds how many pods are being started at once: more only take each other's CPU.
    pub starts: Semaphore,
}

/// Settings that workers follow live.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Back-off.
    pub policy: pod::Policy,
    /// How requests and limits become cgroup values.
    pub cgroup: CgroupPolicy,
    /// Log limits of new containers.
    pub log: pinnace_core::ports::LogLimits,
    /// The node's memory, for `oom_score_adj`.
    pub memory_capacity: Bytes,
}

impl Settings {
    /// Of this configuration on a node with so much memory.
    pub fn new(config: &NodeConfig, memory_capacity: Bytes) -> Self {
        Self {
            policy: config.policy(),
            cgroup: config.cgroup_policy(),
            log: config.log_limits(),
            memory_capacity,
        }
    }

    /// Takes over what a new configuration says.
    pub fn follow(&mut self, config: &NodeConfig) {
        self.policy = config.policy();
        self.cgroup = config.cgroup_policy();
        self.log = config.log_limits();
    }
}

/// Rounds in a row without coming to rest, after which a worker slows down.
const ROUNDS_BEFORE_SLOWING: u32 = 50;
/// The pause between rounds then.
const SLOW_ROUND: Duration = Duration::from_secs(1);
/// An error of `observe` is tried again after this long.
const OBSERVE_RETRY: Duration = Duration::from_secs(1);

/// One pod's worker.
pub struct PodWorker<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) context: PodContext,
    pub(crate) record: Record,
    pub(crate) desired: watch::Receiver<Desired>,
    /// When the manifest was seen, until the pod has run once.
    pub(crate) seen_at: Option<Instant>,
    /// Images of the containers made so far, for statuses.
    pub(crate) images: BTreeMap<ContainerName, ImageHandle>,
    /// Counts changes of the image store: what waits for an image tries at once.
    pub(crate) images_changed: watch::Receiver<u64>,
    /// The identity is not written yet: the worker does so before the pod's first effect.
    pub(crate) unsaved: bool,
}

/// Told when a worker has seen its pod for the first time, for readiness.
pub type FirstLook = tokio::sync::oneshot::Sender<()>;

impl<A: Adapters> PodWorker<A> {
    /// Runs until the pod is removed.
    pub async fn run(mut self, first_look: FirstLook) {
        let mut first_look = Some(first_look);
        self.save_identity().await;
        let mut waiters = Waiters::default();
        let mut rounds = 0;
        loop {
            let observed = match self.observe().await {
                Ok(observed) => observed,
                Err(error) => {
                    self.report(&error);
                    tokio::time::sleep(OBSERVE_RETRY).await;
                    continue;
                }
            };
            if let Some(first_look) = first_look.take() {
                self.find_images().await;
                // The receiver may be gone: nobody waits for readiness any more.
                let _ = first_look.send(());
            }
            waiters.follow(&self.shared.adapters, &self.context.uid, &observed);
            let desired = self.desired.borrow_and_update().clone();
            let now = self.shared.adapters.host().now();
            let policy = self.shared.settings.borrow().policy;
            let plan = pod::plan(&desired, &observed, &self.record, &policy, now);
            self.publish(&desired, &observed);
            if plan.actions.is_empty() {
                rounds = 0;
                self.rest(plan.wake_at, now, &mut waiters).await;
                continue;
            }
            rounds += 1;
            if rounds > ROUNDS_BEFORE_SLOWING {
                tracing::error!(uid = %self.context.uid, actions = ?plan.actions, "the pod does not come to rest");
                tokio::time::sleep(SLOW_ROUND).await;
            }
            if self.act(&plan.actions).await == Done::Removed {
                return;
            }
        }
    }

    /// Before the pod's first effect its UID is durable; a full disk leaves it Pending and is tried again.
    async fn save_identity(&mut self) {
        let adapters = Arc::clone(&self.shared.adapters);
        let mut tries = 0;
        while self.unsaved {
            match adapters.records().save_identity(&self.record.identity).await {
                Ok(()) => self.unsaved = false,
                Err(error) => {
                    self.report(&error);
                    tries += 1;
                    let policy = self.shared.settings.borrow().policy;
                    tokio::time::sleep(Duration::from_millis(policy.creation.delay_millis(tries))).await;
                }
            }
        }
    }

    async fn observe(&self) -> PortResult<Observed> {
        let adapters = &self.shared.adapters;
        let mut observed = adapters.runtime().observe(&self.context.uid).await?;
        let (ready, present) = adapters.volumes().observe(&self.context.uid).await?;
        observed.volumes_ready = ready;
        observed.volumes_present = present;
        Ok(observed)
    }

    /// Carries actions out until one fails; the failure is noted for the next plan.
    async fn act(&mut self, actions: &[Action]) -> Done {
        let shared = Arc::clone(&self.shared);
        let starts = actions
            .iter()
            .any(|action| matches!(action, Action::CreateContainer { .. }));
        // A closed semaphore never happens; without a permit the work is only less bounded.
        let _permit = if starts {
            shared.starts.acquire().await.ok()
        } else {
            None
        };
        for action in actions {
            tracing::debug!(uid = %self.context.uid, ?action, "act");
            match self.execute(action).await {
                Ok(Done::Next) => self.record.succeeded(action),
                Ok(Done::Removed) => return Done::Removed,
                Err(error) => {
                    self.note_failure(action, &error);
                    break;
                }
            }
        }
        Done::Next
    }

    fn note_failure(&mut self, action: &Action, error: &PortError) {
        self.report(error);
        let now = self.shared.adapters.host().now();
        let policy = self.shared.settings.borrow().policy;
        self.record
            .failed(action, error.reason, error.chain(), &policy, now);
    }

    fn report(&self, error: &PortError) {
        let message = error.chain();
        let meta = &self.context.pod.meta;
        tracing::warn!(pod = %meta.name, namespace = %meta.namespace, uid = %self.context.uid,
            reason = ?error.reason, "{message}");
        self.shared.adapters.telemetry().error(error.operation);
        self.event(EventType::Warning, event_reason(error), message);
    }

    pub(super) fn event(&self, kind: EventType, reason: &str, message: String) {
        let meta = &self.context.pod.meta;
        let object = ObjectKey {
            kind: "Pod".to_owned(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        };
        let at = self.shared.adapters.host().now().wall;
        self.shared.board.record(Event {
            kind,
            reason: reason.to_owned(),
            message,
            object,
            at,
        });
    }

    fn publish(&mut self, desired: &Desired, observed: &Observed) {
        let look = Look {
            context: &self.context,
            record: &self.record,
            desired,
            observed,
            images: &self.images,
            now: self.shared.adapters.host().now().wall,
        };
        let running = self.shared.board.publish(&look);
        if running && let Some(seen_at) = self.seen_at.take() {
            self.shared.adapters.telemetry().pod_started(seen_at.elapsed());
        }
    }

    async fn rest(
        &mut self,
        wake_at: Option<pinnace_core::time::BootMillis>,
        now: pinnace_core::time::Now,
        waiters: &mut Waiters,
    ) {
        let until = wake_at.map(|at| Instant::now() + Duration::from_millis(at.since(now.boot)));
        let timer = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        // Every arm may be cancelled: each only says "look again", and the next round looks at everything.
        tokio::select! {
            changed = self.desired.changed() => {
                if changed.is_err() {
                    // The manager is gone: the agent ends, and the pod stays as it is.
                    std::future::pending::<()>().await;
                }
                self.record.try_at_once();
            }
            () = waiters.next() => {}
            () = timer => {}
            changed = self.images_changed.changed() => {
                if changed.is_ok() {
                    self.record.try_at_once();
                }
            }
        }
    }
}
