//! What the machine in memory consists of.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use pinnace_api::{ContainerName, PodUid};

use super::Call;
use super::checks::FakeAnswer;
use super::faults::Faults;
use crate::network::{NameTable, NetworkState, PolicyTable, ServiceAllocations, ServiceTable};
use crate::node::NodeRecord;
use crate::payload::Payloads;
use crate::pod::{Exit, InstanceState, PodIdentity, Progress, SandboxState, ShimState};
use crate::time::{Now, WallMillis};

#[derive(Default)]
pub(super) struct State {
    pub now: Now,
    pub boots: u64,
    pub uids: u64,
    pub chance: u64,
    pub pods: BTreeMap<PodUid, PodOnHost>,
    pub identities: BTreeMap<PodUid, PodIdentity>,
    pub damaged: BTreeSet<PodUid>,
    pub progress: BTreeMap<PodUid, Progress>,
    pub node: Option<NodeRecord>,
    pub node_damaged: bool,
    pub missing_images: BTreeSet<String>,
    pub stubborn: BTreeSet<ContainerName>,
    pub asleep: BTreeSet<ContainerName>,
    pub starts: BTreeMap<(PodUid, ContainerName, u32), u32>,
    pub faults: Faults,
    pub answers: BTreeMap<(ContainerName, String), FakeAnswer>,
    pub asked: BTreeMap<(ContainerName, String), u32>,
    pub calls: Vec<Call>,
    pub violations: Vec<String>,
    pub wakers: Vec<Waker>,
    pub pids: u32,
    /// Addresses that were given so far; none is given twice.
    pub addresses: u32,
    pub services: Option<ServiceTable>,
    pub given: ServiceAllocations,
    pub given_damaged: bool,
    pub policies: Option<PolicyTable>,
    pub names: Option<NameTable>,
    /// What was written into pods' volumes.
    pub payloads: BTreeMap<PodUid, Payloads>,
}

/// All that one pod has on the host.
#[derive(Default)]
pub(super) struct PodOnHost {
    pub sandbox: SandboxState,
    pub shim: ShimState,
    pub identity: Option<PodIdentity>,
    pub instances: BTreeMap<(ContainerName, u32), Instance>,
    pub network: NetworkState,
    pub volumes_ready: bool,
    pub volumes_present: bool,
    pub logs: BTreeMap<ContainerName, u32>,
}

pub(super) struct Instance {
    pub state: InstanceState,
    /// A process of it lives, whoever still knows of it.
    pub lives: bool,
}

impl PodOnHost {
    pub fn is_empty(&self) -> bool {
        self.sandbox == SandboxState::Absent
            && self.shim == ShimState::Absent
            && self.instances.is_empty()
            && self.network == NetworkState::Absent
            && !self.volumes_ready
            && !self.volumes_present
            && self.logs.is_empty()
    }

    pub fn any_lives(&self) -> bool {
        self.instances.values().any(|instance| instance.lives)
    }
}

impl Instance {
    pub fn started_at(&self) -> Option<WallMillis> {
        match &self.state {
            InstanceState::Running { started_at, .. } => Some(*started_at),
            InstanceState::Lost { started_at } => *started_at,
            InstanceState::Exited(exit) => exit.started_at,
            InstanceState::Claimed | InstanceState::Created => None,
        }
    }

    /// Its process ends; a living shim learns how.
    pub fn end(&mut self, code: i32, reason: &str, shim: ShimState, now: WallMillis) {
        if !self.lives {
            return;
        }
        self.lives = false;
        if shim == ShimState::Alive {
            self.state = InstanceState::Exited(Exit {
                code,
                reason: reason.to_owned(),
                message: String::new(),
                started_at: self.started_at(),
                finished_at: now,
            });
        }
    }

    /// Whoever knew how it goes is gone.
    pub fn lose(&mut self) {
        if matches!(self.state, InstanceState::Exited(_)) {
            return;
        }
        self.state = InstanceState::Lost {
            started_at: self.started_at(),
        };
    }
}

impl State {
    pub fn pod(&mut self, uid: &PodUid) -> &mut PodOnHost {
        self.pods.entry(uid.clone()).or_default()
    }

    /// A pod that has nothing left is not on the host.
    pub fn sweep(&mut self, uid: &PodUid) {
        if self.pods.get(uid).is_some_and(PodOnHost::is_empty) {
            self.pods.remove(uid);
        }
    }

    /// Without a record and without a log nothing tells of earlier instances: their numbers begin anew.
    pub fn forget_starts(&mut self) {
        let pods = &self.pods;
        self.starts.retain(|(uid, name, _), _| {
            pods.get(uid).is_some_and(|pod| {
                pod.logs.contains_key(name) || pod.instances.keys().any(|(own, _)| own == name)
            })
        });
    }

    pub fn violation(&mut self, uid: &PodUid, what: impl Into<String>) {
        let what = what.into();
        self.violations.push(format!("pod {uid}: {what}"));
    }
}
