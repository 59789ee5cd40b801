//! Pods' networks, rules and names in memory.

use std::net::Ipv4Addr;
use std::path::Path;

use pinnace_api::PodUid;

use super::faults::{Extent, Op, refused};
use super::state::State;
use super::{Call, FakeHost};
use crate::network::{NameTable, NetworkState, PodAddresses, PolicyTable, ServiceTable};
use crate::pod::{FailureReason, SandboxState};
use crate::ports::{Names, Network, PodContext, PortResult};

fn on_pod(op: Op, uid: &PodUid) -> Call {
    Call {
        op,
        uid: Some(uid.clone()),
        container: None,
    }
}

fn on_node(op: Op) -> Call {
    Call {
        op,
        uid: None,
        container: None,
    }
}

impl State {
    fn attach(&mut self, context: &PodContext, extent: Extent) -> PortResult<PodAddresses> {
        let uid = &context.uid;
        let whole = matches!(self.pod(uid).sandbox, SandboxState::Ready { .. });
        if context.pod.spec.host_network || !whole {
            let what = "there is no namespace of its own";
            self.violation(uid, format!("AttachNetwork: {what}"));
            let reason = FailureReason::FailedCreatePodSandBox;
            return Err(refused(Op::AttachNetwork, uid.to_string(), reason, what));
        }
        if let Some(addresses) = self.pod(uid).network.addresses() {
            return Ok(addresses);
        }
        self.addresses += 1;
        let base = u32::from(Ipv4Addr::new(10, 244, 0, 0));
        let addresses = PodAddresses {
            v4: Some(Ipv4Addr::from(base + self.addresses)),
            ..PodAddresses::default()
        };
        self.pod(uid).network = match extent {
            Extent::Whole => NetworkState::Attached(addresses),
            Extent::Nothing | Extent::Half => NetworkState::Partial,
        };
        Ok(addresses)
    }

    fn detach(&mut self, uid: &PodUid, extent: Extent) {
        let Some(pod) = self.pods.get_mut(uid) else {
            return;
        };
        let lives = pod.any_lives();
        pod.network = match (extent, pod.network) {
            (Extent::Whole, _) | (_, NetworkState::Absent) => NetworkState::Absent,
            _ => NetworkState::Partial,
        };
        if lives {
            self.violation(uid, "DetachNetwork: a process of the pod lives");
        }
        self.sweep(uid);
    }
}

impl FakeHost {
    /// The table of Services that was applied last.
    pub fn services(&self) -> Option<ServiceTable> {
        self.lock().services.clone()
    }

    /// The table of policies that was applied last.
    pub fn policies(&self) -> Option<PolicyTable> {
        self.lock().policies.clone()
    }

    /// The names that were published last.
    pub fn names(&self) -> Option<NameTable> {
        self.lock().names.clone()
    }
}

impl Network for FakeHost {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let state = self.lock();
        let with_network = state
            .pods
            .iter()
            .filter(|(_, pod)| pod.network != NetworkState::Absent);
        Ok(with_network.map(|(uid, _)| uid.clone()).collect())
    }

    async fn observe(&self, uid: &PodUid, _namespace: &Path) -> PortResult<NetworkState> {
        let state = self.lock();
        Ok(state.pods.get(uid).map(|pod| pod.network).unwrap_or_default())
    }

    async fn attach(&self, pod: &PodContext, _namespace: &Path) -> PortResult<PodAddresses> {
        self.call(on_pod(Op::AttachNetwork, &pod.uid), |state, extent| {
            state.attach(pod, extent)
        })
    }

    async fn detach(&self, uid: &PodUid, _namespace: &Path) -> PortResult<()> {
        self.call(on_pod(Op::DetachNetwork, uid), |state, extent| {
            state.detach(uid, extent);
            Ok(())
        })
    }

    async fn apply_services(&self, table: &ServiceTable) -> PortResult<()> {
        self.call(on_node(Op::ApplyServices), |state, extent| {
            if extent == Extent::Whole {
                state.services = Some(table.clone());
            }
            Ok(())
        })
    }

    async fn apply_policies(&self, table: &PolicyTable) -> PortResult<()> {
        self.call(on_node(Op::ApplyPolicies), |state, extent| {
            if extent == Extent::Whole {
                state.policies = Some(table.clone());
            }
            Ok(())
        })
    }
}

impl Names for FakeHost {
    fn publish(&self, table: NameTable) {
        self.change(|state| state.names = Some(table));
    }
}
