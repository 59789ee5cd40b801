//! Records in memory.

use std::path::PathBuf;

use pinnace_api::PodUid;

use super::faults::{Extent, Op};
use super::{Call, FakeHost};
use crate::network::ServiceAllocations;
use crate::node::NodeRecord;
use crate::pod::{PodIdentity, Progress};
use crate::ports::{PortResult, Records, Stored, StoredNode, StoredServices};

fn on_pod(op: Op, uid: &PodUid) -> Call {
    Call {
        op,
        uid: Some(uid.clone()),
        container: None,
    }
}

impl Records for FakeHost {
    async fn load(&self) -> PortResult<Vec<Stored>> {
        let mut state = self.lock();
        let mut found = Vec::new();
        for uid in std::mem::take(&mut state.damaged) {
            if state.identities.remove(&uid).is_some() {
                found.push(Stored::Damaged {
                    set_aside: PathBuf::from(format!("/set-aside/{uid}")),
                    uid: Some(uid),
                    why: "damaged by order".to_owned(),
                });
            }
        }
        for (uid, identity) in &state.identities {
            found.push(Stored::Whole(identity.clone(), state.progress.get(uid).cloned()));
        }
        Ok(found)
    }

    async fn load_progress(&self, uid: &PodUid) -> PortResult<Option<Progress>> {
        Ok(self.lock().progress.get(uid).cloned())
    }

    async fn save_identity(&self, identity: &PodIdentity) -> PortResult<()> {
        self.call(on_pod(Op::SaveIdentity, &identity.uid), |state, extent| {
            if extent == Extent::Whole {
                state.identities.insert(identity.uid.clone(), identity.clone());
            }
            Ok(())
        })
    }

    async fn save_progress(&self, uid: &PodUid, progress: &Progress) -> PortResult<()> {
        self.call(on_pod(Op::SaveProgress, uid), |state, extent| {
            if extent == Extent::Whole {
                state.progress.insert(uid.clone(), progress.clone());
            }
            Ok(())
        })
    }

    async fn remove(&self, uid: &PodUid) -> PortResult<()> {
        self.call(on_pod(Op::RemoveRecords, uid), |state, extent| {
            state.identities.remove(uid);
            if extent == Extent::Whole {
                state.progress.remove(uid);
            }
            Ok(())
        })
    }

    async fn load_node(&self) -> PortResult<StoredNode> {
        let mut state = self.lock();
        if std::mem::take(&mut state.node_damaged) {
            state.node = None;
            return Ok(StoredNode::Damaged {
                set_aside: PathBuf::from("/set-aside/node"),
                why: "damaged by order".to_owned(),
            });
        }
        Ok(state.node.clone().map_or(StoredNode::Absent, StoredNode::Whole))
    }

    async fn save_node(&self, record: &NodeRecord) -> PortResult<()> {
        let call = Call {
            op: Op::SaveNode,
            uid: None,
            container: None,
        };
        self.call(call, |state, extent| {
            if extent == Extent::Whole {
                state.node = Some(record.clone());
            }
            Ok(())
        })
    }

    async fn load_services(&self) -> PortResult<StoredServices> {
        let mut state = self.lock();
        if std::mem::take(&mut state.given_damaged) {
            state.given.clear();
            return Ok(StoredServices::Damaged {
                set_aside: PathBuf::from("/set-aside/services"),
                why: "damaged by order".to_owned(),
            });
        }
        Ok(StoredServices::Whole(state.given.clone()))
    }

    async fn save_services(&self, given: &ServiceAllocations) -> PortResult<()> {
        let call = Call {
            op: Op::SaveServices,
            uid: None,
            container: None,
        };
        self.call(call, |state, extent| {
            if extent == Extent::Whole {
                state.given = given.clone();
            }
            Ok(())
        })
    }
}
