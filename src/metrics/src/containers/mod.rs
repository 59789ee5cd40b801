//! Families of each container and pod, under cAdvisor's names and labels as the kubelet shows them.
//!
//! The caller names the cgroups ([`ContainerTarget`]): one for each container, and one for each pod, whose
//! label `container` is empty. One that is gone by the time it is read is left out.

mod cgroup;
mod disk;
mod families;
mod held;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pinnace_core::time::WallMillis;
use pinnace_sys::cgroup::Cgroups;

use crate::encode::{Encoder, Labels};

use cgroup::Usage;
pub use disk::ContainerDisk;
use held::HeldGroups;

/// A cgroup to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerTarget {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; empty for the cgroup of the whole pod.
    pub container: String,
    /// The image's reference; empty for a pod.
    pub image: String,
    /// The container's ID; empty for a pod.
    pub name: String,
    /// The cgroup's path beneath each hierarchy, such as `kubepods/burstable/pod…/…`.
    pub cgroup: String,
    /// When it was started.
    pub started_at: Option<WallMillis>,
    /// Kills for want of memory in this container's earlier instances: the kernel forgets them with their
    /// cgroups, so whoever took note of the exits adds them here.
    pub earlier_oom_kills: u64,
}

/// Whoever knows the containers of this moment. Asked once in a scrape, on the scrape's thread.
pub trait TargetSource: Send + Sync + 'static {
    /// Running containers and their pods.
    fn targets(&self) -> Vec<ContainerTarget>;

    /// What containers hold of the disk, by ID, as far as it was measured: a scrape does not measure it.
    fn disks(&self) -> HashMap<String, ContainerDisk> {
        HashMap::new()
    }
}

impl<F: Fn() -> Vec<ContainerTarget> + Send + Sync + 'static> TargetSource for F {
    fn targets(&self) -> Vec<ContainerTarget> {
        self()
    }
}

/// One cgroup as it was found.
struct Row {
    labels: Labels,
    target: ContainerTarget,
    usage: Usage,
}

/// Measures cgroups.
pub struct ContainerCollector {
    targets: Arc<dyn TargetSource>,
    held: HeldGroups,
}

impl ContainerCollector {
    /// Measures what `targets` names, in the hierarchies of `cgroups`.
    pub fn new(cgroups: Cgroups, targets: Arc<dyn TargetSource>) -> Self {
        Self {
            held: HeldGroups::new(cgroups),
            targets,
        }
    }

    /// Measures all targets; how many were read and how many were gone. `host_kills` is how many processes the
    /// kernel has killed for want of memory, on the whole host, as it was just before.
    pub fn collect(&mut self, host_kills: Option<u64>, out: &mut Encoder) -> (usize, usize) {
        let mut targets = self.targets.targets();
        // Two sorted scrapes of the same pods differ in their values alone.
        targets.sort_unstable_by(|a, b| {
            (&a.namespace, &a.pod, &a.container, &a.name).cmp(&(&b.namespace, &b.pod, &b.container, &b.name))
        });
        let all = targets.len();
        self.held.begin(host_kills);
        let rows: Vec<Row> = targets
            .into_iter()
            .filter_map(|target| self.row(target))
            .collect();
        self.held.end();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        families::write(&rows, now, out);
        disk::write(&rows, &self.targets.disks(), out);
        (rows.len(), all - rows.len())
    }

    fn row(&mut self, target: ContainerTarget) -> Option<Row> {
        let usage = match self.held.read(&target.cgroup) {
            Ok(usage) => usage?,
            Err(error) => {
                tracing::debug!(cgroup = target.cgroup, %error, "read what a cgroup used");
                return None;
            }
        };
        let id = format!("/{}", target.cgroup.trim_start_matches('/'));
        let labels = Labels::new(&[
            ("container", &target.container),
            ("id", &id),
            ("image", &target.image),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("pod", &target.pod),
        ]);
        Some(Row {
            labels,
            target,
            usage,
        })
    }
}
