//! Which pods exist: adoption, admission, DaemonSets, replacement, eviction.
//!
//! One task owns the set of pods. Everything that may change it (a listing, a new configuration, a removed
//! pod, a timer) only leads to `Manager::reconcile`, which compares what is wanted with what there is:
//!
//! ```text
//! wanted, no pod of that name        → admission → a worker, or listed as waiting
//! wanted, the pod's document differs → the old pod ends; the new one starts when it is Removed
//! not wanted (all sources listed)    → the pod ends
//! borne a NoExecute taint too long   → the pod ends, and waits like any that does not fit
//! ```
//!
//! Order at start: records and the host are read and every pod gets its worker; only then sources are listened
//! to; and only when every source has delivered a complete list is anything ended or cleared.

mod admit;
mod adopt;
mod daemonsets;
mod drain;
mod memory;
mod pods;
mod reconcile;
mod services;
mod skeleton;
mod spawn;
mod taints;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::{Namespace, ObjectKey, ObjectName, PodUid};
use pinnace_core::config::NodeConfig;
use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::node::Node;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::adapters::Adapters;
use crate::catalog::Catalog;
use crate::network::NetworkParts;
use crate::source::{Delivery, SourceId};
use crate::worker::{Settings, Shared};
use daemonsets::DaemonSets;
use drain::Draining;
use memory::Memory;
use pods::Pods;
use services::Services;
use taints::TaintClock;

pub use admit::WaitingPod;

/// Orders to the manager.
#[derive(Debug)]
pub enum Order {
    /// A new configuration, checked.
    Configure(Box<NodeConfig>),
    /// End every pod and start none any more, until the agent is started again.
    DrainAll {
        /// Overrides each pod's own grace period.
        grace_period_seconds: Option<u32>,
        /// Told when nothing is left.
        done: oneshot::Sender<()>,
    },
}

/// Names a pod within the node.
pub(crate) type PodName = (Namespace, ObjectName);

/// The one owner of the set of pods.
pub struct Manager<A> {
    shared: Arc<Shared<A>>,
    settings: watch::Sender<Settings>,
    images_changed: watch::Receiver<u64>,
    catalog: Catalog,
    node: Node,
    pods: Pods,
    /// Pods that are wanted and do not run, with the reason.
    waiting: BTreeMap<PodName, WaitingPod>,
    taints: TaintClock,
    memory: Memory,
    services: Services,
    daemonsets: DaemonSets,
    draining: Option<Draining>,
    /// Nothing on the host is cleared before this.
    complete: bool,
    /// UIDs found on the host that no record knows.
    orphans: Vec<PodUid>,
    removed: (mpsc::UnboundedSender<PodUid>, mpsc::UnboundedReceiver<PodUid>),
    /// When the happening came in that is being answered: pods that it starts were seen then.
    woken_at: Instant,
}

/// What the manager is built of.
pub struct ManagerParts<A> {
    /// What the workers share.
    pub shared: Arc<Shared<A>>,
    /// The workers' live settings.
    pub settings: watch::Sender<Settings>,
    /// Counts changes of the image store.
    pub images_changed: watch::Receiver<u64>,
    /// The sources that must list before anything is cleared.
    pub sources: Vec<SourceId>,
    /// This node.
    pub node: Node,
    /// The pods' network; `None` where the node gives them none.
    pub network: Option<NetworkParts>,
}

impl<A: Adapters> Manager<A> {
    /// Of these parts; nothing happens before [`Manager::run`].
    pub fn new(parts: ManagerParts<A>) -> Self {
        let ManagerParts {
            shared,
            settings,
            images_changed,
            sources,
            node,
            network,
        } = parts;
        Self {
            taints: TaintClock::default(),
            memory: Memory::default(),
            services: Services::new(network),
            shared,
            settings,
            images_changed,
            catalog: Catalog::new(sources),
            node,
            pods: Pods::default(),
            waiting: BTreeMap::new(),
            daemonsets: DaemonSets::default(),
            draining: None,
            complete: false,
            orphans: Vec::new(),
            removed: mpsc::unbounded_channel(),
            woken_at: Instant::now(),
        }
    }

    /// Adopts what runs, then follows sources and orders. Ends only with its task: workers end with it, pods
    /// do not.
    pub async fn run(mut self, mut deliveries: mpsc::Receiver<Delivery>, mut orders: mpsc::Receiver<Order>) {
        self.shared.board.set_node(&self.node);
        self.adopt().await;
        self.recall().await;
        self.recall_services().await;
        self.track_network();
        // What an earlier agent began goes on, whenever the sources answer.
        self.reconcile().await;
        loop {
            let timer = self.until_next_look();
            // Each arm receives one message or none: nothing is lost when another one comes first. A closed
            // queue only disables its arm.
            tokio::select! {
                Some(delivery) = deliveries.recv() => self.take(delivery),
                Some(order) = orders.recv() => self.obey(order),
                Some(uid) = self.removed.1.recv() => self.forget(&uid),
                () = self.shared.board.standing_changed() => {}
                () = sleep_or_never(timer) => {}
            }
            self.woken_at = Instant::now();
            // Many pods that end together are one reason to look.
            while let Ok(uid) = self.removed.1.try_recv() {
                self.forget(&uid);
            }
            self.reconcile().await;
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Listed(source, listing) => {
                self.catalog.take(source.clone(), listing);
                self.shared.board.update_readiness(|ready| ready.listed(source.0));
                self.services.hear(source);
                self.tell_problems();
            }
            Delivery::Unavailable(source, why) => {
                tracing::warn!(source = source.0, "{why}");
                self.shared
                    .board
                    .update_readiness(|ready| ready.unavailable(source.0, &why));
                self.services.hear(source);
            }
        }
    }

    /// What is wrong with the manifests, each by itself and all together.
    fn tell_problems(&self) {
        let mut problems = self.catalog.problems().to_vec();
        problems.extend_from_slice(self.services.problems());
        self.shared.board.set_problems(&problems);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Configure(config) => self.configure(&config),
            Order::DrainAll {
                grace_period_seconds,
                done,
            } => self.drain(grace_period_seconds, done),
        }
    }

    fn configure(&mut self, config: &NodeConfig) {
        self.node.apply(config);
        self.taints.follow(&self.node.taints, &self.moment());
        self.settings.send_modify(|settings| settings.follow(config));
        self.shared.board.set_node(&self.node);
        tracing::info!(
            taints = self.node.taints.len(),
            labels = self.node.labels.len(),
            "configuration in force"
        );
    }

    fn forget(&mut self, uid: &PodUid) {
        self.pods.remove(uid);
        self.shared.board.remove(uid);
    }

    fn until_next_look(&self) -> Option<Duration> {
        let now = self.shared.adapters.host().now().boot;
        let next = [
            self.pods.next_eviction(),
            self.daemonsets.wake_at,
            self.memory.again_at,
            self.services.again_at,
        ]
        .into_iter()
        .flatten()
        .min();
        next.map(|at| Duration::from_millis(at.since(now)))
    }

    fn event(&self, object: ObjectKey, kind: EventType, reason: &str, message: String) {
        let at = self.shared.adapters.host().now().wall;
        self.shared.board.record(Event {
            kind,
            reason: reason.to_owned(),
            message,
            object,
            at,
        });
    }
}

async fn sleep_or_never(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}
