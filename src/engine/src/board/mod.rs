//! What everybody may read: pods' statuses, waiting pods, events, problems, readiness.
//!
//! Workers and the manager write; the command line, the metrics and the page read. Readers take copies and
//! never hold a lock while they work.

mod addresses;
mod events;
mod readiness;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinnace_api::{ContainerName, PodUid, Problem};
use pinnace_core::controllers::daemonset::DaemonPodState;
use pinnace_core::event::Event;
use pinnace_core::network::{PodAddresses, ServiceTable};
use pinnace_core::node::Node;
use pinnace_core::objects::ObjectTable;
use pinnace_core::ports::PhaseCounts;

use tokio::sync::{Notify, watch};

pub use addresses::Addresses;
pub use events::{Counted, Events, MAX_EVENTS};
pub use readiness::Readiness;
pub use view::{DaemonSetView, Look, PodView, Reach, ServiceView};

use crate::manager::WaitingPod;

#[derive(Default)]
struct Inner {
    pods: BTreeMap<PodUid, Arc<PodView>>,
    waiting: Vec<WaitingPod>,
    daemonsets: Vec<DaemonSetView>,
    services: Arc<Vec<ServiceView>>,
    service_addresses: Arc<ServiceTable>,
    node: Option<Arc<Node>>,
    oom_kills: BTreeMap<(PodUid, ContainerName), u64>,
    problems: Vec<Problem>,
    policy_problems: Vec<Problem>,
    events: Events,
    readiness: Readiness,
}

/// The board; cheap to share.
#[derive(Default)]
pub struct Board {
    inner: Mutex<Inner>,
    standing: Notify,
    addresses: Addresses,
    objects: watch::Sender<Arc<ObjectTable>>,
}

impl Board {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // What a writer that panicked left is still a board: each field is replaced as a whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a worker's newest look at its pod; answers how everybody sees the pod now.
    pub fn publish(&self, look: &Look<'_>) -> Arc<PodView> {
        let uid = &look.context.uid;
        let (before, node) = {
            let inner = self.inner();
            (inner.pods.get(uid).cloned(), inner.node.clone())
        };
        let host_ips = node.as_ref().map_or(&[][..], |node| &node.facts.addresses);
        let view = PodView::of(look, host_ips, before.as_deref());
        let stood = before.as_ref().map(|before| before.daemon_state());
        let reached = before.as_ref().map(|before| before.reach());
        let view = match before {
            Some(before) if *before == view => return before,
            _ => Arc::new(view),
        };
        self.inner().pods.insert(uid.clone(), Arc::clone(&view));
        // Told last: whoever is woken looks at once, and must find the new view.
        if stood != Some(view.daemon_state()) {
            self.standing.notify_one();
        }
        if reached.unwrap_or_default() != view.reach() {
            self.addresses.change();
        }
        view
    }

    /// The pod has its addresses now; its worker looks again only when more is done. Answers the number of this
    /// change, for [`Addresses::applied`].
    pub fn attached(&self, uid: &PodUid, addresses: &PodAddresses) -> u64 {
        if let Some(view) = self.inner().pods.get_mut(uid) {
            Arc::make_mut(view).status.set_pod_ips(&addresses.list());
        }
        self.addresses.change()
    }

    /// Takes note that a container was killed for want of memory.
    pub fn count_oom_kill(&self, uid: &PodUid, container: &ContainerName) {
        *self
            .inner()
            .oom_kills
            .entry((uid.clone(), container.clone()))
            .or_default() += 1;
    }

    /// How often earlier instances of a container were killed for want of memory.
    pub fn oom_kills(&self, uid: &PodUid, container: &ContainerName) -> u64 {
        self.inner()
            .oom_kills
            .get(&(uid.clone(), container.clone()))
            .copied()
            .unwrap_or(0)
    }

    /// The pod is `Removed`.
    pub fn remove(&self, uid: &PodUid) {
        let mut inner = self.inner();
        let view = inner.pods.remove(uid);
        inner.oom_kills.retain(|(of, _), _| of != uid);
        drop(inner);
        if view.is_some_and(|view| view.reach() != Reach::default()) {
            self.addresses.change();
        }
    }

    /// Whether the pod has ended for good: it counts against the node no more.
    pub fn is_finished(&self, uid: &PodUid) -> bool {
        self.inner().pods.get(uid).is_some_and(|view| view.is_finished())
    }

    /// How a controller sees the pod.
    pub fn daemon_state(&self, uid: &PodUid) -> DaemonPodState {
        self.inner()
            .pods
            .get(uid)
            .map_or(DaemonPodState::Pending, |view| view.daemon_state())
    }

    /// Returns when a pod became ready or unready, or ended; several changes may count as one.
    pub async fn standing_changed(&self) {
        self.standing.notified().await;
    }

    /// Changes of pods' addresses, and of whether pods can be reached by them.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// All pods that have a worker.
    pub fn pods(&self) -> Vec<Arc<PodView>> {
        self.inner().pods.values().cloned().collect()
    }

    /// One of them.
    pub fn pod(&self, uid: &PodUid) -> Option<Arc<PodView>> {
        self.inner().pods.get(uid).cloned()
    }

    /// Replaces the list of pods that wait.
    pub fn set_waiting<'a>(&self, waiting: impl Iterator<Item = &'a WaitingPod> + Clone) {
        let mut inner = self.inner();
        if inner.waiting.iter().ne(waiting.clone()) {
            inner.waiting = waiting.cloned().collect();
        }
    }

    /// Pods that are wanted and do not run.
    pub fn waiting(&self) -> Vec<WaitingPod> {
        self.inner().waiting.clone()
    }

    /// Replaces the DaemonSets.
    pub fn set_daemonsets(&self, daemonsets: Vec<DaemonSetView>) {
        self.inner().daemonsets = daemonsets;
    }

    /// The DaemonSets.
    pub fn daemonsets(&self) -> Vec<DaemonSetView> {
        self.inner().daemonsets.clone()
    }

    /// Replaces the Services.
    pub fn set_services(&self, services: Vec<ServiceView>) {
        self.inner().services = Arc::new(services);
    }

    /// The Services with their endpoints; none on a node that gives pods no network.
    pub fn services(&self) -> Arc<Vec<ServiceView>> {
        Arc::clone(&self.inner().services)
    }

    /// Replaces the ConfigMaps and Secrets that pods may take from; those who follow them are woken where they differ.
    pub fn set_objects(&self, table: ObjectTable) {
        self.objects.send_if_modified(|before| {
            let differs = **before != table;
            if differs {
                *before = Arc::new(table);
            }
            differs
        });
    }

    /// The ConfigMaps and Secrets that pods may take from.
    pub fn objects(&self) -> Arc<ObjectTable> {
        Arc::clone(&self.objects.borrow())
    }

    /// Follows them.
    pub fn follow_objects(&self) -> watch::Receiver<Arc<ObjectTable>> {
        self.objects.subscribe()
    }

    /// Replaces what new containers are told of Services.
    pub fn set_service_addresses(&self, table: ServiceTable) {
        self.inner().service_addresses = Arc::new(table);
    }

    /// The Services' addresses and ports, without endpoints.
    pub fn service_addresses(&self) -> Arc<ServiceTable> {
        Arc::clone(&self.inner().service_addresses)
    }

    /// Replaces the node.
    pub fn set_node(&self, node: &Node) {
        self.inner().node = Some(Arc::new(node.clone()));
    }

    /// The node, once it is known.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.inner().node.clone()
    }

    /// Replaces what is wrong with the manifests; news are logged.
    pub fn set_problems(&self, problems: &[Problem]) {
        let before = std::mem::replace(&mut self.inner().problems, problems.to_vec());
        log_news(&before, problems);
    }

    /// Replaces what is wrong with policies, which only their pods' addresses show; news are logged, and answered.
    pub fn set_policy_problems(&self, problems: &[Problem]) -> Vec<Problem> {
        let before = std::mem::replace(&mut self.inner().policy_problems, problems.to_vec());
        log_news(&before, problems)
    }

    /// What is wrong with the manifests.
    pub fn problems(&self) -> Vec<Problem> {
        let inner = self.inner();
        [inner.problems.as_slice(), &inner.policy_problems].concat()
    }

    /// Takes note of an event.
    pub fn record(&self, event: Event) {
        tracing::debug!(object = %event.object, reason = %event.reason, "{}", event.message);
        self.inner().events.record(event);
    }

    /// Events, oldest first.
    pub fn events(&self) -> Vec<Counted> {
        self.inner().events.all()
    }

    /// Changes the readiness.
    pub fn update_readiness(&self, change: impl FnOnce(&mut Readiness)) {
        change(&mut self.inner().readiness);
    }

    /// `Err` says what is still waited for.
    pub fn ready(&self) -> Result<(), String> {
        self.inner().readiness.check()
    }

    /// How many pods are in each phase.
    pub fn phases(&self) -> PhaseCounts {
        let inner = self.inner();
        let mut counts = PhaseCounts::default();
        for view in inner.pods.values() {
            view.count(&mut counts);
        }
        for waiting in &inner.waiting {
            match waiting.verdict {
                pinnace_core::admission::Verdict::Refused { .. } => counts.failed += 1,
                _ => counts.pending += 1,
            }
        }
        counts
    }
}

/// Those that were not there before.
fn log_news(before: &[Problem], now: &[Problem]) -> Vec<Problem> {
    let news: Vec<Problem> = now
        .iter()
        .filter(|problem| !before.contains(problem))
        .cloned()
        .collect();
    for problem in &news {
        match problem.severity {
            pinnace_api::Severity::Error => tracing::error!("manifest: {problem}"),
            pinnace_api::Severity::Warning => tracing::warn!("manifest: {problem}"),
            pinnace_api::Severity::Note => tracing::info!("manifest: {problem}"),
        }
    }
    news
}
