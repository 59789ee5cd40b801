//! A pod with a namespace of its own, and how its network is worked on.

use std::path::PathBuf;
use std::sync::Arc;

use pinnace_api::{Pod, PodUid};
use pinnace_core::ports::PodContext;
use pinnace_core::resources::{CgroupValues, QosClass};

pub struct TestPod {
    pub uid: PodUid,
    pub namespace: PathBuf,
    pub pod: Pod,
}

impl TestPod {
    pub fn context(&self) -> PodContext {
        PodContext {
            uid: self.uid.clone(),
            pod: Arc::new(self.pod.clone()),
            qos: QosClass::BestEffort,
            pod_cgroup: CgroupValues::default(),
        }
    }
}

/// Runs to its end in this thread, whose namespace the runtime's threads share.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}
