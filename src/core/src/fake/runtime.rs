//! Sandboxes, shims and containers in memory.

use std::future::poll_fn;
use std::path::PathBuf;
use std::task::Poll;

use pinnace_api::{ContainerName, PodUid};

use super::faults::{Extent, Op, refused};
use super::state::{Instance, State};
use super::{Call, FakeHost};
use crate::network::NetworkState;
use crate::pod::{
    ContainerSeen, Exit, FailureReason, InstanceState, Observed, PodIdentity, SandboxState, ShimState,
};
use crate::ports::{ContainerRequest, PodContext, PodRuntime, PortResult};

const SIGKILL: i32 = 9;

fn on_pod(op: Op, uid: &PodUid) -> Call {
    Call {
        op,
        uid: Some(uid.clone()),
        container: None,
    }
}

fn on_container(op: Op, uid: &PodUid, name: &ContainerName, attempt: u32) -> Call {
    Call {
        op,
        uid: Some(uid.clone()),
        container: Some((name.clone(), attempt)),
    }
}

impl State {
    /// A breach of the contract, which fails as well.
    fn breach<T>(&mut self, op: Op, uid: &PodUid, what: &'static str) -> PortResult<T> {
        self.violation(uid, format!("{op:?}: {what}"));
        Err(refused(
            op,
            uid.to_string(),
            FailureReason::CreateContainerError,
            what,
        ))
    }

    fn create_sandbox(
        &mut self,
        uid: &PodUid,
        identity: &PodIdentity,
        attempt: u32,
        extent: Extent,
    ) -> PortResult<()> {
        let pod = self.pod(uid);
        match pod.sandbox {
            SandboxState::Ready { attempt: there } if there == attempt => return Ok(()),
            SandboxState::Absent
                if pod.instances.is_empty()
                    && pod.shim == ShimState::Absent
                    && pod.network == NetworkState::Absent => {}
            _ => return self.breach(Op::CreateSandbox, uid, "something of another sandbox is there"),
        }
        pod.sandbox = SandboxState::Broken;
        if extent == Extent::Whole {
            pod.sandbox = SandboxState::Ready { attempt };
            pod.identity = Some(identity.clone());
        }
        Ok(())
    }

    fn create_container(
        &mut self,
        context: &PodContext,
        request: &ContainerRequest,
        extent: Extent,
    ) -> PortResult<()> {
        let op = Op::CreateContainer;
        let (uid, name, attempt) = (&context.uid, &request.name, request.attempt);
        let pod = self.pod(uid);
        if !matches!(pod.sandbox, SandboxState::Ready { .. }) || pod.shim == ShimState::Dead {
            return self.breach(op, uid, "no whole sandbox is there");
        }
        if !pod.volumes_ready {
            return self.breach(op, uid, "its volumes are not prepared");
        }
        if !context.pod.spec.host_network && pod.network.addresses() != Some(request.addresses) {
            return self.breach(op, uid, "it has not the addresses that its container is told");
        }
        let of_it = |(own, number): &(ContainerName, u32)| own == name && *number != attempt;
        if pod.instances.keys().any(of_it) {
            return self.breach(op, uid, "another instance of the container is there");
        }
        let key = (name.clone(), attempt);
        if let Some(there) = pod.instances.get(&key) {
            match there.state {
                InstanceState::Created => return Ok(()),
                InstanceState::Claimed => {}
                _ => return self.breach(op, uid, "the instance has been started already"),
            }
        }
        let mut state = InstanceState::Claimed;
        if extent == Extent::Whole {
            pod.shim = ShimState::Alive;
            let log = pod.logs.entry(name.clone()).or_default();
            *log = attempt.max(*log);
            state = InstanceState::Created;
        }
        pod.instances.insert(key, Instance { state, lives: false });
        Ok(())
    }

    fn start_container(&mut self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<u32> {
        let key = (name.clone(), attempt);
        self.pids += 1;
        let (pid, started_at) = (self.pids, self.now.wall);
        let pod = self.pod(uid);
        let alive = pod.shim == ShimState::Alive;
        match pod.instances.get_mut(&key) {
            Some(instance) if alive && instance.state == InstanceState::Created => {
                *instance = Instance {
                    state: InstanceState::Running { pid, started_at },
                    lives: true,
                };
            }
            _ => return self.breach(Op::StartContainer, uid, "the instance is not there to be started"),
        }
        let counted = self.starts.entry((uid.clone(), key.0, attempt)).or_default();
        *counted += 1;
        let times = *counted;
        if times > 1 {
            self.violation(
                uid,
                format!("instance {attempt} of {name} was started {times} times"),
            );
        }
        Ok(pid)
    }

    fn signal_container(&mut self, uid: &PodUid, name: &ContainerName, attempt: u32, signal: i32) {
        let now = self.now.wall;
        let deaf = if signal == SIGKILL {
            &self.asleep
        } else {
            &self.stubborn
        };
        let ignores = deaf.contains(name);
        if let Some(pod) = self.pods.get_mut(uid)
            && let Some(instance) = pod.instances.get_mut(&(name.clone(), attempt))
            && !ignores
            && pod.shim == ShimState::Alive
        {
            instance.end(128 + signal, "Error", pod.shim, now);
        }
    }

    fn remove_container(
        &mut self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        extent: Extent,
    ) -> PortResult<()> {
        let key = (name.clone(), attempt);
        let Some(pod) = self.pods.get_mut(uid) else {
            return Ok(());
        };
        if pod.instances.get(&key).is_some_and(|instance| instance.lives) {
            return self.breach(Op::RemoveContainer, uid, "a process of it lives");
        }
        if extent == Extent::Whole {
            pod.instances.remove(&key);
        } else if let Some(instance) = pod.instances.get_mut(&key)
            && pod.shim != ShimState::Dead
        {
            // The task is gone, the bundle is not.
            instance.state = InstanceState::Claimed;
        }
        self.sweep(uid);
        Ok(())
    }

    fn kill_pod_cgroup(&mut self, uid: &PodUid, extent: Extent) {
        let now = self.now.wall;
        if let Some(pod) = self.pods.get_mut(uid) {
            let shim = pod.shim;
            let count = if extent == Extent::Whole { usize::MAX } else { 1 };
            let living = pod.instances.values_mut().filter(|instance| instance.lives);
            for instance in living.take(count) {
                instance.end(128 + SIGKILL, "Error", shim, now);
            }
        }
    }

    fn remove_sandbox(&mut self, uid: &PodUid, extent: Extent) -> PortResult<()> {
        let Some(pod) = self.pods.get_mut(uid) else {
            return Ok(());
        };
        if pod.any_lives() {
            return self.breach(Op::RemoveSandbox, uid, "a process of the pod lives");
        }
        if !pod.instances.is_empty() {
            return self.breach(Op::RemoveSandbox, uid, "an instance is there");
        }
        pod.shim = ShimState::Absent;
        if pod.network != NetworkState::Absent {
            // The link goes with its namespace; lease and rules stay.
            pod.network = NetworkState::Partial;
        }
        pod.sandbox = if extent == Extent::Whole {
            SandboxState::Absent
        } else {
            SandboxState::Broken
        };
        self.sweep(uid);
        Ok(())
    }
}

impl PodRuntime for FakeHost {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        Ok(self.lock().pods.keys().cloned().collect())
    }

    async fn stored_identity(&self, uid: &PodUid) -> PortResult<Option<PodIdentity>> {
        Ok(self.lock().pods.get(uid).and_then(|pod| pod.identity.clone()))
    }

    fn network_namespace(&self, uid: &PodUid) -> PathBuf {
        PathBuf::from(format!("/run/pinnace/pods/{uid}/sandbox/net"))
    }

    async fn observe(&self, uid: &PodUid) -> PortResult<Observed> {
        let state = self.lock();
        let Some(pod) = state.pods.get(uid) else {
            return Ok(Observed::default());
        };
        let containers = pod
            .instances
            .iter()
            .map(|((name, attempt), instance)| ContainerSeen {
                name: name.clone(),
                attempt: *attempt,
                state: instance.state.clone(),
            });
        Ok(Observed {
            sandbox: pod.sandbox,
            shim: pod.shim,
            containers: containers.collect(),
            log_attempts: pod.logs.clone(),
            ..Observed::default()
        })
    }

    async fn create_sandbox(&self, pod: &PodContext, identity: &PodIdentity, attempt: u32) -> PortResult<()> {
        self.call(on_pod(Op::CreateSandbox, &pod.uid), |state, extent| {
            state.create_sandbox(&pod.uid, identity, attempt, extent)
        })
    }

    async fn create_container(&self, pod: &PodContext, request: &ContainerRequest) -> PortResult<()> {
        let (name, attempt) = (&request.name, request.attempt);
        self.call(
            on_container(Op::CreateContainer, &pod.uid, name, attempt),
            |state, extent| state.create_container(pod, request, extent),
        )
    }

    async fn start_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<u32> {
        self.call(
            on_container(Op::StartContainer, uid, name, attempt),
            |state, _| state.start_container(uid, name, attempt),
        )
    }

    async fn signal_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        signal: i32,
        _all: bool,
    ) -> PortResult<()> {
        self.call(
            on_container(Op::SignalContainer, uid, name, attempt),
            |state, _| {
                state.signal_container(uid, name, attempt, signal);
                Ok(())
            },
        )
    }

    async fn wait_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<Exit> {
        let key = (name.clone(), attempt);
        poll_fn(|context| {
            let mut state = self.lock();
            let pod = state.pods.get(uid);
            let seen = pod.filter(|pod| pod.shim == ShimState::Alive);
            match seen.and_then(|pod| pod.instances.get(&key)).map(|one| &one.state) {
                Some(InstanceState::Exited(exit)) => Poll::Ready(Ok(exit.clone())),
                Some(InstanceState::Created | InstanceState::Running { .. }) => {
                    state.wakers.push(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(Err(refused(
                    Op::StartContainer,
                    uid.to_string(),
                    FailureReason::RunContainerError,
                    "no shim knows the instance",
                ))),
            }
        })
        .await
    }

    async fn remove_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<()> {
        self.call(
            on_container(Op::RemoveContainer, uid, name, attempt),
            |state, extent| state.remove_container(uid, name, attempt, extent),
        )
    }

    async fn kill_pod_cgroup(&self, uid: &PodUid) -> PortResult<()> {
        self.call(on_pod(Op::KillPodCgroup, uid), |state, extent| {
            state.kill_pod_cgroup(uid, extent);
            Ok(())
        })
    }

    async fn remove_sandbox(&self, uid: &PodUid) -> PortResult<()> {
        self.call(on_pod(Op::RemoveSandbox, uid), |state, extent| {
            state.remove_sandbox(uid, extent)
        })
    }

    async fn remove_logs(&self, uid: &PodUid) -> PortResult<()> {
        self.call(on_pod(Op::RemoveLogs, uid), |state, extent| {
            if let Some(pod) = state.pods.get_mut(uid) {
                if extent == Extent::Whole {
                    pod.logs.clear();
                } else {
                    pod.logs.pop_first();
                }
            }
            state.sweep(uid);
            Ok(())
        })
    }
}
