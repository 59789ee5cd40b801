//! What `/metrics` measures: the host, every running container, and its pod.

use std::collections::HashMap;
use std::sync::Arc;

use pinnace_engine::board::Board;
use pinnace_metrics::{ContainerDisk, ContainerTarget, Exporter, ExporterConfig, TargetSource};
use pinnace_runtime::Runtime;
use pinnace_runtime::images::ImageStore;
use pinnace_sys::Layout;
use pinnace_sys::cgroup::Cgroups;

use super::AgentError;
use super::adapters::NodeAdapters;

/// Starts the exporter of this node.
pub fn start(layout: &Layout, adapters: &NodeAdapters, board: &Arc<Board>) -> Result<Exporter, AgentError> {
    let targets = Arc::new(Targets {
        runtime: adapters.runtime.clone(),
        board: Arc::clone(board),
    });
    let mut config = ExporterConfig::default();
    // A pod's own mounts are no file systems of the node.
    config.filesystems.insides.extend([layout.run(), layout.state()]);
    let metrics = Arc::clone(&adapters.metrics);
    Ok(Exporter::start(config, Cgroups::detect()?, metrics, targets)?)
}

/// Who knows the containers.
struct Targets {
    /// Their cgroups and disks.
    runtime: Runtime<ImageStore>,
    /// Their pasts.
    board: Arc<Board>,
}

impl TargetSource for Targets {
    fn targets(&self) -> Vec<ContainerTarget> {
        of(&self.runtime, &self.board)
    }

    fn disks(&self) -> HashMap<String, ContainerDisk> {
        let disks = self.runtime.disks().into_iter();
        disks
            .map(|disk| {
                let measured = ContainerDisk {
                    device: disk.device,
                    usage_bytes: disk.used.0,
                    limit_bytes: disk.capacity.0,
                    inodes: disk.inodes,
                };
                (disk.id, measured)
            })
            .collect()
    }
}

/// Containers and pods of this moment.
fn of(runtime: &Runtime<ImageStore>, board: &Board) -> Vec<ContainerTarget> {
    let pods = runtime
        .sandboxes()
        .into_iter()
        .map(|(_, sandbox)| ContainerTarget {
            namespace: sandbox.namespace.clone(),
            pod: sandbox.name.clone(),
            container: String::new(),
            image: String::new(),
            name: String::new(),
            cgroup: sandbox.cgroup.clone(),
            started_at: None,
            earlier_oom_kills: 0,
        });
    let containers = runtime.containers().into_iter().map(|one| ContainerTarget {
        namespace: one.sandbox.namespace.clone(),
        pod: one.sandbox.name.clone(),
        container: one.container.name.to_string(),
        image: one.container.image.clone(),
        name: one.container.id.clone(),
        cgroup: one.container.cgroup.clone(),
        started_at: Some(one.container.created_at),
        earlier_oom_kills: board.oom_kills(&one.uid, &one.container.name),
    });
    pods.chain(containers).collect()
}
