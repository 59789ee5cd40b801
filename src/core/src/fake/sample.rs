//! Records to test with; the pods and names beside them are those of every crate's tests.

use pinnace_api::{Pod, PodUid};

use crate::pod::{Origin, PodIdentity};
use crate::time::WallMillis;

pub use pinnace_api::testing::{document, name, uid};

/// The identity of a pod from the directory.
pub fn identity(uid: PodUid, pod: &Pod, created_at: WallMillis) -> PodIdentity {
    PodIdentity {
        version: 1,
        uid,
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
        origin: Origin {
            source: "directory".to_owned(),
            owner: None,
            revision: None,
        },
        document: pod.document.clone(),
        created_at,
        created_boot: None,
        finished: None,
    }
}
