//! A worker without threads: looks, asks, acts, records, and can crash at any point of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pinnace_api::pod::RestartPolicy;
use pinnace_api::{ContainerName, Pod, PodUid, testing};
use serde_json::json;

use super::rules::Rules;
use super::shape::Shape;
use crate::environment::Invocation;
use crate::fake::{Break, Extent, FakeHost, sample};
use crate::host::Host;
use crate::network::PodAddresses;
use crate::pod::{
    Action, ContainerSeen, Desired, FailureReason, HookPoint, HookState, InstanceState, Observed, Plan,
    PodIdentity, PodStatus, Policy, Progress, Record, StatusContext, Verdicts, plan, status,
};
use crate::ports::{
    ContainerRequest, ImageHandle, LogLimits, Network, PodContext, PodRuntime, PortResult, Records, Stored,
    Volumes,
};
use crate::resources::{CgroupValues, QosClass};

/// The fake's futures never wait.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fake waits"),
    }
}

/// Where a crash of the agent strikes: after so many actions of the plan, the next one getting that far.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub after: usize,
    pub extent: Extent,
}

pub struct Worker {
    pub host: FakeHost,
    pub policy: Policy,
    pub desired: Desired,
    pub record: Record,
    pub rules: Rules,
    /// Images that are known, for statuses.
    pub images: BTreeMap<ContainerName, ImageHandle>,
    /// `ForgetRecord` went through.
    pub forgotten: bool,
}

impl Worker {
    /// One for a pod `web` with containers of these names.
    pub fn of(restart_policy: RestartPolicy, names: &[&str]) -> Self {
        Self::with(restart_policy, names, false)
    }

    /// The same, in the host's network or not.
    pub fn with(restart_policy: RestartPolicy, names: &[&str], host_network: bool) -> Self {
        let containers = testing::containers(names);
        let spec =
            json!({"restartPolicy": restart_policy, "containers": containers, "hostNetwork": host_network});
        Self::new(testing::pod("web", spec), Policy::default())
    }

    pub fn new(pod: Pod, policy: Policy) -> Self {
        let host = FakeHost::new();
        let uid = host.new_pod_uid();
        let identity = sample::identity(uid, &pod, host.now().wall);
        now(host.save_identity(&identity)).unwrap();
        let record = fresh(identity, &host);
        let rules = Rules::new(policy);
        let desired = Desired::Run(Arc::new(pod));
        Self {
            host,
            policy,
            desired,
            record,
            rules,
            images: BTreeMap::new(),
            forgotten: false,
        }
    }

    /// One for a pod of this shape.
    pub fn shaped(shape: &Shape) -> Self {
        Self::new(shape.pod(), Policy::default())
    }

    /// The instances that run: container and attempt.
    pub fn running(&self) -> Vec<(ContainerName, u32)> {
        let seen = self.observe().containers;
        let runs = |one: &ContainerSeen| matches!(one.state, InstanceState::Running { .. });
        let running = seen.into_iter().filter(runs);
        running.map(|one| (one.name, one.attempt)).collect()
    }

    /// The container's hook that is under way ends so; false where none is.
    pub fn end_hook(&mut self, name: &ContainerName, ends: &HookState) -> bool {
        let mut any = false;
        for (running, attempt) in self.running() {
            for point in [HookPoint::PostStart, HookPoint::PreStop] {
                let live = &mut self.record.live;
                let under_way = live.hook(&running, attempt, point) == Some(&HookState::Running);
                if running == *name && under_way {
                    live.set_hook(name, attempt, point, ends.clone());
                    any = true;
                }
            }
        }
        any
    }

    /// The probes of the container find this out now, of the instance that runs.
    pub fn find(&mut self, name: &ContainerName, verdicts: Verdicts) {
        for (running, attempt) in self.running() {
            if running == *name {
                self.record.live.set_verdicts(name, attempt, verdicts);
            }
        }
    }

    pub fn uid(&self) -> &PodUid {
        &self.record.identity.uid
    }

    pub fn observe(&self) -> Observed {
        let mut observed = now(PodRuntime::observe(&self.host, self.uid())).unwrap();
        (observed.volumes_ready, observed.volumes_present) =
            now(Volumes::observe(&self.host, self.uid())).unwrap();
        if !self.desired.pod().spec.host_network {
            observed.network = now(Network::observe(&self.host, self.uid(), &self.namespace())).unwrap();
        }
        observed
    }

    fn namespace(&self) -> PathBuf {
        self.host.network_namespace(self.uid())
    }

    /// The pod's status, as it follows the one given.
    pub fn status(&self, previous: Option<&PodStatus>) -> PodStatus {
        let context = StatusContext {
            qos: QosClass::BestEffort,
            host_ips: &[IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))],
            pod_ips: &[],
            images: &self.images,
            previous,
            now: self.host.now().wall,
        };
        status(&self.desired, &self.observe(), &self.record, &context)
    }

    /// Looks, and asks what next.
    pub fn ask(&mut self) -> Plan {
        let observed = self.observe();
        let answer = plan(
            &self.desired,
            &observed,
            &self.record,
            &self.policy,
            self.host.now(),
        );
        let again = plan(
            &self.desired,
            &observed,
            &self.record,
            &self.policy,
            self.host.now(),
        );
        assert_eq!(answer, again, "the plan is not pure");
        let status = self.status(self.rules.status.as_ref());
        self.rules.asked(status);
        answer
    }

    /// One round: asks and carries the answer out up to its first failure; true if there was anything to do.
    pub fn round(&mut self) -> bool {
        if self.forgotten {
            return false;
        }
        let answer = self.ask();
        for action in &answer.actions {
            if !self.carry_out(action) {
                break;
            }
        }
        !answer.actions.is_empty()
    }

    /// A round that the agent does not survive; then it is started again.
    pub fn crash(&mut self, crash: Crash) {
        if !self.forgotten {
            let answer = self.ask();
            let came_so_far = answer
                .actions
                .iter()
                .take(crash.after)
                .all(|action| self.carry_out(action));
            if let Some(action) = answer.actions.get(crash.after).filter(|_| came_so_far) {
                self.host.mend();
                self.host.break_next(Break {
                    op: None,
                    times: 1,
                    extent: crash.extent,
                    reason: FailureReason::CreateContainerError,
                });
                self.carry_out(action);
                self.host.mend();
            }
        }
        self.start_again();
    }

    /// The agent starts anew: memory is lost, records are read.
    pub fn start_again(&mut self) {
        match now(Records::load(&self.host)).unwrap().pop() {
            Some(Stored::Whole(identity, progress)) => {
                self.record = fresh(identity, &self.host);
                match progress.filter(|progress| progress.boot == self.host.boot_id()) {
                    Some(progress) => self.record.progress = progress,
                    None => {
                        let observed = self.observe();
                        self.rules.progress_lost(&observed);
                    }
                }
                self.rules.order.memory_lost();
                self.rules.memory_lost(&self.record);
                self.rules.recorded(&self.record);
            }
            Some(damaged) => panic!("{damaged:?}"),
            // The identity went first: no worker is made for what is left.
            None => self.forgotten = true,
        }
    }

    /// Rounds until the plan is empty; panics if that takes more than `most`.
    pub fn settle(&mut self, most: usize) -> Option<u64> {
        for _ in 0..most {
            if !self.round() {
                return self.ask_when();
            }
        }
        let next = self.ask();
        panic!(
            "not settled after {most} rounds: {next:?}\nseen {:?}\nrecord {:?}",
            self.observe(),
            self.record
        );
    }

    fn ask_when(&mut self) -> Option<u64> {
        if self.forgotten {
            return None;
        }
        self.ask().wake_at.map(|at| at.since(self.host.now().boot))
    }

    /// Carries one action out as a worker does; false if it failed.
    fn carry_out(&mut self, action: &Action) -> bool {
        let running: Vec<ContainerName> = self.running().into_iter().map(|(name, _)| name).collect();
        let spec = &self.desired.pod().spec;
        self.rules
            .order
            .before(action, spec, &running, &self.record, self.host.now());
        self.rules.before(action, &self.record, self.host.now());
        let outcome = self.act(action);
        match outcome {
            Ok(()) => {
                self.record.succeeded(action);
                self.remember(action);
                true
            }
            Err(error) => {
                let message = error.chain();
                self.record
                    .failed(action, error.reason, message, &self.policy, self.host.now());
                false
            }
        }
    }

    fn remember(&mut self, action: &Action) {
        match action {
            Action::SaveProgress(progress) => self.record.progress = progress.clone(),
            Action::SaveFinished(finished) => self.record.identity.finished = Some(finished.clone()),
            Action::ForgetRecord => self.forgotten = true,
            _ => {}
        }
        self.rules.recorded(&self.record);
    }

    fn request(&self, name: &ContainerName, attempt: u32) -> ContainerRequest {
        let network = self.observe().network;
        request(name, attempt, network.addresses().unwrap_or_default())
    }

    fn act(&self, action: &Action) -> PortResult<()> {
        let (host, uid) = (&self.host, self.uid());
        match action {
            Action::SaveProgress(progress) => now(host.save_progress(uid, progress)),
            Action::SaveFinished(finished) => {
                let mut identity = self.record.identity.clone();
                identity.finished = Some(finished.clone());
                now(host.save_identity(&identity))
            }
            Action::CreateSandbox { attempt } => {
                now(host.create_sandbox(&self.context(), &self.record.identity, *attempt))
            }
            Action::AttachNetwork => now(host.attach(&self.context(), &self.namespace())).map(|_| ()),
            Action::DetachNetwork => now(host.detach(uid, &self.namespace())),
            Action::PrepareVolumes => now(host.prepare(&self.context(), &Default::default())),
            Action::CreateContainer { name, attempt } => {
                now(host.create_container(&self.context(), &self.request(name, *attempt)))
            }
            Action::StartContainer { name, attempt } => {
                now(host.start_container(uid, name, *attempt)).map(|_| ())
            }
            Action::StopContainer { name, attempt } => {
                now(host.signal_container(uid, name, *attempt, 15, false))
            }
            Action::KillContainer { name, attempt } => {
                now(host.signal_container(uid, name, *attempt, 9, true))
            }
            Action::KillPodCgroup => now(host.kill_pod_cgroup(uid)),
            Action::RemoveContainer { name, attempt } => now(host.remove_container(uid, name, *attempt)),
            Action::NoteExit { .. } | Action::NoteStop { .. } => Ok(()),
            // How it goes is up to the history.
            Action::RunHook { .. } => Ok(()),
            Action::RemoveSandbox => now(host.remove_sandbox(uid)),
            Action::RemoveVolumes => now(Volumes::remove(host, uid)),
            Action::RemoveLogs => now(host.remove_logs(uid)),
            Action::ForgetRecord => now(Records::remove(host, uid)),
        }
    }

    fn context(&self) -> PodContext {
        PodContext {
            uid: self.uid().clone(),
            pod: self.desired.pod().clone(),
            qos: QosClass::BestEffort,
            pod_cgroup: CgroupValues::default(),
        }
    }
}

fn fresh(identity: PodIdentity, host: &FakeHost) -> Record {
    Record {
        identity,
        progress: Progress::new(host.boot_id()),
        failures: Default::default(),
        pod_failure: None,
        live: Default::default(),
    }
}

fn request(name: &ContainerName, attempt: u32, addresses: PodAddresses) -> ContainerRequest {
    ContainerRequest {
        name: name.clone(),
        attempt,
        image: ImageHandle {
            id: "sha256:0".to_owned(),
            manifest_digest: "sha256:1".to_owned(),
            reference: "example.com/a:1".to_owned(),
        },
        mounts: Vec::new(),
        cgroup: CgroupValues::default(),
        oom_score_adj: 0,
        log: LogLimits {
            max_size_bytes: 1 << 20,
            max_files: 2,
        },
        invocation: Invocation::default(),
        addresses,
    }
}
