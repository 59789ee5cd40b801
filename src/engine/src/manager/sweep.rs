//! What belongs to no pod is cleared, once every source has listed.

use pinnace_core::ports::{PodRuntime, Volumes};

use super::Manager;
use crate::adapters::Adapters;

impl<A: Adapters> Manager<A> {
    /// Clears what was found on the host at start and no record explains. Each step goes on past an error.
    pub(super) fn sweep(&mut self) {
        for uid in std::mem::take(&mut self.orphans) {
            let adapters = self.shared.adapters.clone();
            tokio::spawn(async move {
                tracing::info!(%uid, "clearing what an unknown pod left");
                let results = [
                    adapters.runtime().kill_pod_cgroup(&uid).await,
                    adapters.runtime().remove_sandbox(&uid).await,
                    adapters.volumes().remove(&uid).await,
                ];
                for error in results.into_iter().filter_map(Result::err) {
                    tracing::warn!(%uid, "{}", error.chain());
                }
            });
        }
    }
}
