//! The cgroups that `/metrics` measures: every running container, and its pod.

use pinnace_engine::board::Board;
use pinnace_metrics::ContainerTarget;
use pinnace_runtime::Runtime;
use pinnace_runtime::images::ImageStore;

/// Containers and pods of this moment.
pub fn of(runtime: &Runtime<ImageStore>, board: &Board) -> Vec<ContainerTarget> {
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
