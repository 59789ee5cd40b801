//! The machine in memory behind the ports, with moments in between: another task may run before and after
//! each call, the agent may be killed at any of them, and its clock is tokio's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use pinnace_api::pod::PullPolicy;
use pinnace_api::{Bytes, ContainerName, Namespace, ObjectName, PodUid};
use pinnace_core::environment::Invocation;
use pinnace_core::fake::FakeHost;
use pinnace_core::host::Host;
use pinnace_core::network::{
    NameTable, NetworkState, PodAddresses, PolicyTable, ServiceAllocations, ServiceTable,
};
use pinnace_core::node::NodeRecord;
use pinnace_core::payload::Payloads;
use pinnace_core::pod::{Exit, Observed, PodIdentity, Progress};
use pinnace_core::ports::{
    BindMount, CheckAction, CheckOutcome, CheckTarget, Checks, ContainerRequest, ImageHandle, ImageVolumes,
    Images, Names, Network, NoTelemetry, PodContext, PodRuntime, PortResult, Records, Stored, StoredNode,
    StoredServices, Volumes,
};
use pinnace_core::time::{BootId, Now};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::adapters::Adapters;

/// The ports of one machine; it outlives the agents that use it.
pub struct Machine {
    pub fake: FakeHost,
    /// Invocation when the calls that were granted are used up.
    pub killed: Notify,
    /// How often anybody looked at the clock: what spins does so all the time.
    looks: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Until when both clocks agree.
    agreed: Instant,
    /// Calls until the agent is killed.
    calls_left: Option<u32>,
    /// The next call of this name panics.
    panics: Option<&'static str>,
    /// How long an image takes to be found.
    image_takes: Duration,
    names: BTreeMap<PodUid, (Namespace, ObjectName)>,
    wishes: Vec<(ContainerName, String)>,
    exceeded: Option<String>,
    /// What each container holds of the disk.
    holds: Bytes,
    breaches: Vec<String>,
    order: Vec<String>,
    /// The newest container of each pod, by the pod's name.
    made: BTreeMap<String, Invocation>,
}

impl Machine {
    pub fn new() -> Self {
        Self {
            fake: FakeHost::new(),
            killed: Notify::new(),
            looks: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                agreed: Instant::now(),
                calls_left: None,
                panics: None,
                image_takes: Duration::ZERO,
                names: BTreeMap::new(),
                wishes: Vec::new(),
                exceeded: None,
                holds: Bytes(0),
                breaches: Vec::new(),
                order: Vec::new(),
                made: BTreeMap::new(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// A new agent has the clock of its own runtime.
    pub fn begin_life(&self, calls_left: Option<u32>) {
        // Several calls may have hung in the last life; what is left of their news is not about this one.
        std::pin::pin!(self.killed.notified()).enable();
        let mut inner = self.inner();
        inner.agreed = Instant::now();
        inner.calls_left = calls_left;
    }

    /// Looks at the clock while `waiting` goes on.
    pub async fn looks_during(&self, waiting: impl Future<Output = ()>) -> u64 {
        let before = self.looks.load(Ordering::Relaxed);
        waiting.await;
        self.looks.load(Ordering::Relaxed) - before
    }

    pub fn panic_at(&self, call: &'static str) {
        self.inner().panics = Some(call);
    }

    pub fn let_images_take(&self, delay: Duration) {
        self.inner().image_takes = delay;
    }

    pub fn cannot_set(&self, container: &str, wish: &str) {
        let name = ContainerName::new(container).unwrap();
        self.inner().wishes.push((name, wish.to_owned()));
    }

    /// Volumes hold more than their limits from now on.
    pub fn overfill(&self, message: &str) {
        self.inner().exceeded = Some(message.to_owned());
    }

    /// Each container holds so much of the disk from now on.
    pub fn fill(&self, held: Bytes) {
        self.inner().holds = held;
    }

    /// All breaches of what the ports and the engine promise.
    pub fn breaches(&self) -> Vec<String> {
        let mut all = self.fake.violations();
        all.extend(self.inner().breaches.iter().cloned());
        all
    }

    /// Sandboxes made and records forgotten, in order.
    pub fn order(&self) -> Vec<String> {
        self.inner().order.clone()
    }

    /// Variables of the newest container of the pod.
    pub fn environment(&self, pod: &str) -> BTreeMap<String, String> {
        let made = self.inner().made.get(pod).cloned();
        made.unwrap_or_default().env.into_iter().collect()
    }

    /// Arguments of the newest container of the pod.
    pub fn arguments(&self, pod: &str) -> Vec<String> {
        self.inner().made.get(pod).cloned().unwrap_or_default().args
    }

    async fn moment(&self, call: &'static str) {
        let panics = {
            let mut inner = self.inner();
            let panics = inner.panics == Some(call);
            if panics {
                inner.panics = None;
            }
            panics
        };
        assert!(!panics, "by order, at {call}");
        tokio::task::yield_now().await;
        let killed = match &mut self.inner().calls_left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if killed {
            self.killed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn name(&self, uid: &PodUid) -> String {
        match self.inner().names.get(uid) {
            Some((_, name)) => name.to_string(),
            None => uid.to_string(),
        }
    }

    /// A pod's predecessor of the same name must be gone, as far as the host can tell whose it is.
    async fn has_no_namesake(&self, uid: &PodUid, identity: &PodIdentity) {
        let name = (identity.namespace.clone(), identity.name.clone());
        self.inner().names.insert(uid.clone(), name.clone());
        for other in PodRuntime::list(&self.fake).await.unwrap() {
            let known = self.fake.stored_identity(&other).await.unwrap();
            if other != *uid && known.is_some_and(|it| (it.namespace, it.name) == name) {
                let breach = format!("{uid} starts while {other} of the same name is there");
                self.inner().breaches.push(breach);
            }
        }
    }
}

impl PodRuntime for Machine {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        self.moment("list").await;
        PodRuntime::list(&self.fake).await
    }
    async fn stored_identity(&self, uid: &PodUid) -> PortResult<Option<PodIdentity>> {
        self.moment("stored_identity").await;
        self.fake.stored_identity(uid).await
    }
    fn network_namespace(&self, uid: &PodUid) -> PathBuf {
        self.fake.network_namespace(uid)
    }
    async fn observe(&self, uid: &PodUid) -> PortResult<Observed> {
        self.moment("observe").await;
        PodRuntime::observe(&self.fake, uid).await
    }
    async fn create_sandbox(&self, pod: &PodContext, identity: &PodIdentity, attempt: u32) -> PortResult<()> {
        self.moment("create_sandbox").await;
        self.has_no_namesake(&pod.uid, identity).await;
        let done = self.fake.create_sandbox(pod, identity, attempt).await;
        self.inner().order.push(format!("make {}", identity.name));
        self.moment("create_sandbox").await;
        done
    }
    async fn create_container(&self, pod: &PodContext, request: &ContainerRequest) -> PortResult<()> {
        self.moment("create_container").await;
        let made = request.invocation.clone();
        self.inner().made.insert(pod.pod.meta.name.to_string(), made);
        let done = self.fake.create_container(pod, request).await;
        self.moment("create_container").await;
        done
    }
    async fn start_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<u32> {
        self.moment("start_container").await;
        let done = self.fake.start_container(uid, name, attempt).await;
        self.moment("start_container").await;
        done
    }
    async fn signal_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        signal: i32,
        all: bool,
    ) -> PortResult<()> {
        self.moment("signal_container").await;
        let done = self.fake.signal_container(uid, name, attempt, signal, all).await;
        self.moment("signal_container").await;
        done
    }
    async fn wait_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<Exit> {
        self.fake.wait_container(uid, name, attempt).await
    }
    async fn remove_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<()> {
        self.moment("remove_container").await;
        let done = self.fake.remove_container(uid, name, attempt).await;
        self.moment("remove_container").await;
        done
    }
    async fn kill_pod_cgroup(&self, uid: &PodUid) -> PortResult<()> {
        self.moment("kill_pod_cgroup").await;
        self.fake.kill_pod_cgroup(uid).await
    }
    async fn remove_sandbox(&self, uid: &PodUid) -> PortResult<()> {
        self.moment("remove_sandbox").await;
        let done = self.fake.remove_sandbox(uid).await;
        self.moment("remove_sandbox").await;
        done
    }
    async fn remove_logs(&self, uid: &PodUid) -> PortResult<()> {
        self.moment("remove_logs").await;
        self.fake.remove_logs(uid).await
    }
    async fn storage_use(&self, _uid: &PodUid) -> PortResult<Vec<(ContainerName, Bytes)>> {
        self.moment("storage_use").await;
        Ok(vec![(ContainerName::new("c").unwrap(), self.inner().holds)])
    }
    fn cannot_set(&self, _uid: &PodUid) -> Vec<(ContainerName, String)> {
        self.inner().wishes.clone()
    }
}

impl Network for Machine {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        self.moment("list").await;
        Network::list(&self.fake).await
    }
    async fn observe(&self, uid: &PodUid, namespace: &Path) -> PortResult<NetworkState> {
        self.moment("observe").await;
        Network::observe(&self.fake, uid, namespace).await
    }
    async fn attach(&self, pod: &PodContext, namespace: &Path) -> PortResult<PodAddresses> {
        self.moment("attach").await;
        let done = self.fake.attach(pod, namespace).await;
        self.moment("attach").await;
        done
    }
    async fn detach(&self, uid: &PodUid, namespace: &Path) -> PortResult<()> {
        self.moment("detach").await;
        let done = self.fake.detach(uid, namespace).await;
        self.moment("detach").await;
        done
    }
    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        self.moment("apply_services").await;
        self.fake.apply_services(table).await
    }
    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        self.moment("apply_policies").await;
        self.fake.apply_policies(table).await
    }
}

impl Checks for Machine {
    async fn check(
        &self,
        target: &CheckTarget,
        action: &CheckAction,
        within: Option<Duration>,
    ) -> CheckOutcome {
        self.moment("check").await;
        self.fake.check(target, action, within).await
    }
}

impl Names for Machine {
    fn publish(&self, table: NameTable) {
        self.fake.publish(table);
    }
}

impl Images for Machine {
    async fn ensure(&self, reference: &str, policy: PullPolicy) -> PortResult<ImageHandle> {
        let takes = self.inner().image_takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.moment("ensure").await;
        self.fake.ensure(reference, policy).await
    }
    async fn layers(&self, image: &ImageHandle) -> PortResult<Vec<PathBuf>> {
        self.fake.layers(image).await
    }
}

impl Volumes for Machine {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        self.moment("list").await;
        Volumes::list(&self.fake).await
    }
    async fn observe(&self, uid: &PodUid) -> PortResult<(bool, bool)> {
        self.moment("observe").await;
        Volumes::observe(&self.fake, uid).await
    }
    async fn prepare(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<()> {
        self.moment("prepare").await;
        let done = self.fake.prepare(pod, payloads).await;
        self.moment("prepare").await;
        done
    }
    async fn update(&self, pod: &PodContext, payloads: &Payloads) -> PortResult<bool> {
        self.moment("update").await;
        let done = self.fake.update(pod, payloads).await;
        self.moment("update").await;
        done
    }
    async fn mounts(
        &self,
        pod: &PodContext,
        container: &ContainerName,
        env: &[(String, String)],
        images: &ImageVolumes,
    ) -> PortResult<Vec<BindMount>> {
        self.fake.mounts(pod, container, env, images).await
    }
    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        self.moment("remove_volumes").await;
        let done = Volumes::remove(&self.fake, uid).await;
        self.moment("remove_volumes").await;
        done
    }
    async fn exceeded(&self, _pod: &PodContext) -> PortResult<Option<String>> {
        self.moment("exceeded").await;
        Ok(self.inner().exceeded.clone())
    }
}

impl Records for Machine {
    async fn load(&self) -> PortResult<Vec<Stored>> {
        self.moment("load").await;
        self.fake.load().await
    }
    async fn load_progress(&self, uid: &PodUid) -> PortResult<Option<Progress>> {
        self.moment("load_progress").await;
        self.fake.load_progress(uid).await
    }
    async fn save_identity(&self, identity: &PodIdentity) -> PortResult<()> {
        self.moment("save_identity").await;
        let done = self.fake.save_identity(identity).await;
        self.moment("save_identity").await;
        done
    }
    async fn save_progress(&self, uid: &PodUid, progress: &Progress) -> PortResult<()> {
        self.moment("save_progress").await;
        let done = self.fake.save_progress(uid, progress).await;
        self.moment("save_progress").await;
        done
    }
    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        self.moment("forget").await;
        let done = Records::remove(&self.fake, uid).await;
        let name = self.name(uid);
        self.inner().order.push(format!("forget {name}"));
        self.moment("forget").await;
        done
    }
    async fn load_node(&self) -> PortResult<StoredNode> {
        self.moment("load_node").await;
        self.fake.load_node().await
    }
    async fn save_node(&self, record: &NodeRecord) -> PortResult<()> {
        self.moment("save_node").await;
        let done = self.fake.save_node(record).await;
        self.moment("save_node").await;
        done
    }
    async fn load_services(&self) -> PortResult<StoredServices> {
        self.moment("load_services").await;
        self.fake.load_services().await
    }
    async fn save_services(&self, given: &ServiceAllocations) -> PortResult<()> {
        self.moment("save_services").await;
        let done = self.fake.save_services(given).await;
        self.moment("save_services").await;
        done
    }
}

impl Host for Machine {
    fn now(&self) -> Now {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let passed = {
            let mut inner = self.inner();
            let passed = inner.agreed.elapsed().as_millis() as u64;
            inner.agreed += Duration::from_millis(passed);
            passed
        };
        if passed > 0 {
            self.fake.pass(passed);
        }
        self.fake.now()
    }
    fn boot_id(&self) -> BootId {
        self.fake.boot_id()
    }
    fn new_pod_uid(&self) -> PodUid {
        self.fake.new_pod_uid()
    }
    fn random(&self) -> u64 {
        self.fake.random()
    }
}

impl Adapters for Machine {
    type Runtime = Self;
    type Network = Self;
    type Checks = Self;
    type Names = Self;
    type Images = Self;
    type Volumes = Self;
    type Records = Self;
    type Host = Self;
    type Telemetry = NoTelemetry;

    fn runtime(&self) -> &Self {
        self
    }
    fn network(&self) -> &Self {
        self
    }
    fn checks(&self) -> &Self {
        self
    }
    fn names(&self) -> &Self {
        self
    }
    fn images(&self) -> &Self {
        self
    }
    fn volumes(&self) -> &Self {
        self
    }
    fn records(&self) -> &Self {
        self
    }
    fn host(&self) -> &Self {
        self
    }
    fn telemetry(&self) -> &NoTelemetry {
        &NoTelemetry
    }
}
