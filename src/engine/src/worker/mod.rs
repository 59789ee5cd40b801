//! One pod's worker: observe, plan, act, look again.
//!
//! The worker is the only one who acts on its pod. Exits, new orders, timers and new images only wake it;
//! what it does follows from what it then sees. It stops at the first action that fails, notes the failure
//! (which the plan takes into account) and asks again. An order to end the pod is heard between any two
//! actions that make something, and while an image or the pod's turn to start is waited for.

mod act;
mod checks;
mod contents;
mod events;
mod health;
mod hooks;
mod invocation;
mod limits;
mod prober;
mod rest;
mod settings;
mod shared;
mod turn;
mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::ContainerName;
use pinnace_api::pod::PullPolicy;
use pinnace_core::host::Host;
use pinnace_core::network::PodAddresses;
use pinnace_core::pod::{self, Backoff, Desired, Observed, Plan, Record};
use pinnace_core::ports::{
    ImageHandle, Images, Network, PodContext, PodRuntime, PortResult, Records, Telemetry, Volumes,
};
use pinnace_core::time::{BootMillis, Now};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::adapters::Adapters;
use crate::board::Look;
use act::Done;
use contents::Contents;
use events::Told;
use health::Begun;
use hooks::Hooks;
use limits::Limits;
use prober::Prober;
use waiters::Waiters;

pub use settings::Settings;
pub use shared::Shared;

/// Rounds in a row without coming to rest, after which a worker slows down.
const ROUNDS_BEFORE_SLOWING: u32 = 50;
/// The pause between rounds then.
const SLOW_ROUND: Duration = Duration::from_secs(1);
/// Between looks that fail.
const LOOK_AGAIN: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 30_000,
};

/// One pod's worker.
pub struct PodWorker<A> {
    shared: Arc<Shared<A>>,
    context: PodContext,
    record: Record,
    desired: watch::Receiver<Desired>,
    /// When the manifest was seen, until the pod has run once.
    pub(crate) seen_at: Option<Instant>,
    /// The identity is not written yet: that comes before the pod's first effect.
    pub(crate) unsaved: bool,
    /// The pod's spec is only a stand-in: the pod is left as it is until it shall end.
    pub(crate) is_stand_in: bool,
    /// Tries to write the identity that failed, and when the next is due.
    identity_tries: (u32, BootMillis),
    /// The pod's own addresses, as they were seen or given last.
    addresses: PodAddresses,
    /// The pod was attached, by this change of the board's addresses, and policies may not know of it yet.
    unguarded: Option<u64>,
    /// Images of the containers made so far, for statuses.
    images: BTreeMap<ContainerName, ImageHandle>,
    /// Counts changes of the image store: what waits for an image tries at once.
    images_changed: watch::Receiver<u64>,
    told: Told,
    limits: Limits,
    contents: Contents,
    hooks: Hooks,
    prober: Option<Prober>,
    begun: Begun,
}

/// Told when a worker has seen its pod for the first time, for readiness.
pub type FirstLook = tokio::sync::oneshot::Sender<()>;

/// How a worker's task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing of the pod is left.
    Removed,
    /// Nobody gives orders any more: the agent ends, and the pod stays as it is.
    Released,
}

impl<A: Adapters> PodWorker<A> {
    pub(crate) fn new(
        shared: Arc<Shared<A>>,
        context: PodContext,
        record: Record,
        desired: watch::Receiver<Desired>,
        images_changed: watch::Receiver<u64>,
    ) -> Self {
        let contents = Contents::of(&context.pod, shared.board.follow_objects());
        Self {
            contents,
            shared,
            context,
            record,
            desired,
            seen_at: None,
            unsaved: false,
            is_stand_in: false,
            identity_tries: (0, BootMillis::default()),
            addresses: PodAddresses::default(),
            unguarded: None,
            images: BTreeMap::new(),
            images_changed,
            told: Told::default(),
            limits: Limits::default(),
            hooks: Hooks::default(),
            prober: None,
            begun: Begun::default(),
        }
    }

    /// Runs until the pod is removed, or the manager is gone.
    pub(crate) async fn run(&mut self, first_look: &mut Option<FirstLook>) -> End {
        let mut waiters = Waiters::default();
        let (mut rounds, mut failed_looks) = (0_u32, 0_u32);
        while let Some(desired) = self.take_order() {
            let observed = match self.observe().await {
                Ok(observed) => observed,
                Err(error) => {
                    failed_looks = failed_looks.saturating_add(1);
                    self.report_look(&error);
                    let delay = LOOK_AGAIN.delay_millis(failed_looks);
                    self.pause(Duration::from_millis(delay)).await;
                    continue;
                }
            };
            failed_looks = 0;
            if let Some(first_look) = first_look.take() {
                self.find_images().await;
                // The receiver may be gone: nobody waits for the first look of a new pod.
                let _ = first_look.send(());
            }
            waiters.follow(&self.shared.adapters, &self.context.uid, &observed);
            let now = self.shared.adapters.host().now();
            self.follow_health(&observed, now);
            let desired = self.within_limits(desired, &observed, now).await;
            self.keep_contents(&desired, &observed).await;
            let plan = self.plan(&desired, &observed, now).await;
            self.publish(&desired, &observed, now);
            if plan.actions.is_empty() {
                rounds = 0;
                self.rest(plan.wake_at, now, &waiters).await;
                continue;
            }
            if self.act(&plan.actions).await == Done::Removed {
                return End::Removed;
            }
            rounds = rounds.saturating_add(1);
            if rounds > ROUNDS_BEFORE_SLOWING {
                self.report_unrest(rounds - ROUNDS_BEFORE_SLOWING, &plan.actions);
                self.pause(SLOW_ROUND).await;
            }
        }
        End::Released
    }

    /// The newest order; `None` if nobody gives any.
    fn take_order(&mut self) -> Option<Desired> {
        if self.desired.has_changed().ok()? {
            self.record.try_at_once();
            self.identity_tries = (0, BootMillis::default());
        }
        Some(self.desired.borrow_and_update().clone())
    }

    async fn observe(&mut self) -> PortResult<Observed> {
        let adapters = &self.shared.adapters;
        let mut observed = adapters.runtime().observe(&self.context.uid).await?;
        let (ready, present) = adapters.volumes().observe(&self.context.uid).await?;
        observed.volumes_ready = ready;
        observed.volumes_present = present;
        if !self.context.pod.spec.host_network {
            let namespace = adapters.runtime().network_namespace(&self.context.uid);
            observed.network = adapters.network().observe(&self.context.uid, &namespace).await?;
            if let Some(addresses) = observed.network.addresses() {
                self.addresses = addresses;
            }
        }
        Ok(observed)
    }

    /// What to do next. Of a pod that shall run nothing is made before its identity is written.
    async fn plan(&mut self, desired: &Desired, observed: &Observed, now: Now) -> Plan {
        let runs = matches!(desired, Desired::Run(_));
        if self.is_stand_in && runs {
            return Plan::default();
        }
        let again_at = if self.unsaved && runs {
            self.save_identity(now).await
        } else {
            None
        };
        if again_at.is_some() && *observed == Observed::default() {
            return Plan {
                wake_at: again_at,
                ..Plan::default()
            };
        }
        let policy = self.shared.settings.borrow().policy;
        let mut plan = pod::plan(desired, observed, &self.record, &policy, now);
        let measure_at = self.limits.wake_at(desired, &self.record);
        let contents_at = self.contents.wake_at();
        let deadline_at = self.deadline_at(desired, now);
        let wakes = [plan.wake_at, again_at, measure_at, contents_at, deadline_at];
        plan.wake_at = wakes.into_iter().flatten().min();
        plan
    }

    /// Writes the identity, if that is due; answers when to try again. A full disk leaves a new pod Pending.
    async fn save_identity(&mut self, now: Now) -> Option<BootMillis> {
        let (tries, again_at) = self.identity_tries;
        if again_at > now.boot {
            return Some(again_at);
        }
        let saved = self
            .shared
            .adapters
            .records()
            .save_identity(&self.record.identity);
        match saved.await {
            Ok(()) => {
                self.unsaved = false;
                None
            }
            Err(error) => {
                self.report_unsaved(&error);
                let tries = tries.saturating_add(1);
                let policy = self.shared.settings.borrow().policy;
                let again_at = now.boot.after(policy.creation.delay_millis(tries));
                self.identity_tries = (tries, again_at);
                Some(again_at)
            }
        }
    }

    fn publish(&mut self, desired: &Desired, observed: &Observed, now: Now) {
        let look = Look {
            context: &self.context,
            record: &self.record,
            desired,
            observed,
            images: &self.images,
            now: now.wall,
        };
        let view = self.shared.board.publish(&look);
        if let Some(seen_at) = self.seen_at.filter(|_| view.all_running()) {
            self.seen_at = None;
            self.shared.adapters.telemetry().pod_started(seen_at.elapsed());
        }
        self.tell_back_offs(&view);
    }

    /// After an adoption the images of running containers are looked up again, for statuses.
    async fn find_images(&mut self) {
        if self.seen_at.is_some() {
            return;
        }
        for container in self.context.pod.spec.all_containers() {
            let images = self.shared.adapters.images();
            // One that is gone or broken is reported when it is needed.
            if let Ok(image) = images.ensure(&container.image, PullPolicy::Never).await {
                self.images.insert(container.name.clone(), image);
            }
        }
    }
}
