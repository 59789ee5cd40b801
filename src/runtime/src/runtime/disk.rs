//! What containers hold on the node's disk: the writable layer of the newest instance, and the logs.
//!
//! Only walking through the trees tells, and containers fill them, so it is bounded in every way: in the
//! background and at rest half of the time, given up after a minute, and the longer one takes the longer it
//! is until the next; so it is where a container holds what it held before. Who asks for metrics gets what was
//! remembered, at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinnace_api::{Bytes, ContainerName, PodUid};
use pinnace_sys::mount::mount_table;
use pinnace_sys::usage::{TreeUse, tree_use};
use pinnace_sys::{SysError, SysResult};

use super::{Inner, Runtime};
use crate::container::Bundle;
use crate::error::chain;
use crate::rootfs::ImageRoots;

/// Between two measurements of one container, where nobody waits for them.
const INTERVAL: Duration = Duration::from_secs(60);
/// It doubles so many times while the container holds the same as before.
const MOST_DOUBLED: u32 = 2;
/// Pods whose containers are measured in one go.
const PODS_AT_ONCE: usize = 16;
/// The same for a pod with a limit, which the engine asks for every ten seconds.
const LIMITED_INTERVAL: Duration = Duration::from_secs(9);
/// A slow measurement is not repeated before so many times what it took …
const REST_FACTOR: u32 = 20;
/// … but after this at the latest.
const LONGEST_INTERVAL: Duration = Duration::from_secs(20 * 60);
/// A walk that takes longer is given up.
const WALK_LIMIT: Duration = Duration::from_secs(60);
/// The longest rest within a walk.
const REST_LIMIT: Duration = Duration::from_millis(20);
/// How often the background looks for containers that are due.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What one container holds, as it was last measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDisk {
    /// The container's id.
    pub id: String,
    /// Bytes of the writable layer and the logs.
    pub used: Bytes,
    /// Files and directories of both.
    pub inodes: u64,
    /// The device that they lie on, such as `/dev/vda1`.
    pub device: Arc<str>,
    /// What the file system there can hold.
    pub capacity: Bytes,
}

/// A measurement, remembered by container.
#[derive(Debug)]
pub(super) struct Measured {
    attempt: u32,
    ended: Instant,
    took: Duration,
    found: Found,
    /// How many measurements in a row found the same before.
    same: u32,
}

/// Who a measurement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whoever asks for metrics.
    Metrics,
    /// A limit, which is to be enforced.
    Limit,
}

/// What a measurement found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It was given up or failed, or nothing is there.
    Unknown,
    /// All of it.
    Counted(TreeUse),
    /// More entries or deeper directories than are counted, which no honest container has: past every limit.
    TooMuch,
}

impl Measured {
    /// Whether it is time for another.
    fn is_stale(&self, attempt: u32, reader: For) -> bool {
        let interval = match reader {
            For::Metrics => INTERVAL * (1 << self.same.min(MOST_DOUBLED)),
            For::Limit => LIMITED_INTERVAL,
        };
        let rest = (self.took * REST_FACTOR).clamp(interval, LONGEST_INTERVAL.max(interval));
        self.attempt != attempt || self.ended.elapsed() >= rest
    }
}

/// A container to be measured.
struct Target {
    uid: PodUid,
    name: ContainerName,
    attempt: u32,
    layer: PathBuf,
    /// All logs of the container, those of earlier instances too.
    logs: PathBuf,
}

impl<I: ImageRoots> Runtime<I> {
    /// Measures all containers again and again, one at a time; never ends.
    pub async fn measure_disks(&self) {
        loop {
            let uids: Vec<PodUid> = self.inner.pods().keys().cloned().collect();
            for uids in uids.chunks(PODS_AT_ONCE) {
                self.measure_pods(uids, For::Metrics).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What each container of the pod holds, measured now unless it was lately.
    pub(super) async fn storage_of(&self, uid: &PodUid) -> Vec<(ContainerName, Bytes)> {
        self.measure_pods(std::slice::from_ref(uid), For::Limit).await;
        let pod = self.inner.pod(uid);
        let known = pod.known();
        let measured = known.disks.iter();
        measured
            .filter_map(|(name, disk)| match disk.found {
                Found::Unknown => None,
                Found::Counted(found) => Some((name.clone(), Bytes(found.bytes))),
                Found::TooMuch => Some((name.clone(), Bytes(u64::MAX))),
            })
            .collect()
    }

    async fn measure_pods(&self, uids: &[PodUid], reader: For) {
        let due: Vec<Target> = uids.iter().flat_map(|uid| self.inner.due(uid, reader)).collect();
        if due.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        let measure = move || due.iter().for_each(|target| inner.measure(target));
        if let Err(error) = tokio::task::spawn_blocking(measure).await {
            tracing::warn!(%error, "measuring containers' disks was cut short");
        }
    }
}

impl<I> Runtime<I> {
    /// What all containers hold, as far as they were measured; reads nothing but the file system's size.
    pub fn disks(&self) -> Vec<ContainerDisk> {
        let state = self.inner.layout.state();
        let capacity = match capacity(&state) {
            Ok(capacity) => capacity,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the file system's size is not known");
                return Vec::new();
            }
        };
        let device = self.inner.device.get_or_init(|| device_of(&state));
        let mut all = Vec::new();
        for running in self.containers() {
            let pod = self.inner.pod(&running.uid);
            let known = pod.known();
            let measured = known.disks.get(&running.container.name);
            let of_this = measured.filter(|measured| measured.attempt == running.container.attempt);
            if let Some(Found::Counted(found)) = of_this.map(|measured| measured.found) {
                all.push(ContainerDisk {
                    id: running.container.id.clone(),
                    used: Bytes(found.bytes),
                    inodes: found.inodes,
                    device: Arc::clone(device),
                    capacity,
                });
            }
        }
        all
    }
}

impl<I> Inner<I> {
    /// The newest instances of a pod's containers whose measurement is too old for its reader.
    fn due(&self, uid: &PodUid, reader: For) -> Vec<Target> {
        let (pod, paths) = (self.pod(uid), self.paths(uid));
        let known = pod.known();
        let mut newest = std::collections::BTreeMap::new();
        for ((name, attempt), record) in &known.containers {
            // In order of their attempts, so the last one stays.
            newest.insert(name.clone(), (*attempt, record.log.parent().map(Path::to_owned)));
        }
        let due = newest.into_iter().filter(|(name, (attempt, _))| {
            let measured = known.disks.get(name);
            measured.is_none_or(|measured| measured.is_stale(*attempt, reader))
        });
        due.filter_map(|(name, (attempt, logs))| {
            Some(Target {
                uid: uid.clone(),
                layer: Bundle::new(&paths, &name, attempt).writable_layer(),
                logs: logs?,
                name,
                attempt,
            })
        })
        .collect()
    }

    fn measure(&self, target: &Target) {
        let began = Instant::now();
        let found = measure(&target.layer, &target.logs).unwrap_or_else(|error| {
            let found = match error.kind() {
                std::io::ErrorKind::FileTooLarge => Found::TooMuch,
                _ => Found::Unknown,
            };
            let error = chain(&error);
            tracing::debug!(uid = %target.uid, container = %target.name, error, "a container's disk was not measured");
            found
        });
        let pod = self.pod(&target.uid);
        let mut known = pod.known();
        let before = known.disks.get(&target.name);
        let same = before.filter(|before| before.attempt == target.attempt && before.found == found);
        let measured = Measured {
            attempt: target.attempt,
            ended: Instant::now(),
            took: began.elapsed(),
            found,
            same: same.map_or(0, |before| before.same.saturating_add(1)),
        };
        // It may have been removed meanwhile, and is not to be remembered for ever.
        if known
            .containers
            .contains_key(&(target.name.clone(), target.attempt))
        {
            known.disks.insert(target.name.clone(), measured);
        }
    }
}

/// Measures a layer and its logs; unknown where the layer is not there.
fn measure(layer: &Path, logs: &Path) -> SysResult<Found> {
    let began = Instant::now();
    let mut last = began;
    let mut pace = || {
        std::thread::sleep(last.elapsed().min(REST_LIMIT));
        last = Instant::now();
        began.elapsed() < WALK_LIMIT
    };
    let Some(layer) = unless_absent(tree_use(layer, &mut pace))? else {
        return Ok(Found::Unknown);
    };
    let logs = unless_absent(tree_use(logs, &mut pace))?.unwrap_or_default();
    Ok(Found::Counted(TreeUse {
        bytes: layer.bytes.saturating_add(logs.bytes),
        inodes: layer.inodes.saturating_add(logs.inodes),
    }))
}

fn unless_absent(found: SysResult<TreeUse>) -> SysResult<Option<TreeUse>> {
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

fn capacity(path: &Path) -> SysResult<Bytes> {
    let found = rustix::fs::statvfs(path)
        .map_err(|errno| SysError::new("measure the file system of", path.display(), errno.into()))?;
    Ok(Bytes(found.f_blocks.saturating_mul(found.f_frsize)))
}

/// What the file system of a path is mounted from; empty where the kernel does not tell.
fn device_of(path: &Path) -> Arc<str> {
    // The kernel's list holds no links.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mounts = mount_table().unwrap_or_default();
    let beneath = mounts.iter().filter(|mount| path.starts_with(&mount.mount_point));
    // Of several on one place the last one is seen.
    let nearest = beneath.max_by_key(|mount| mount.mount_point.components().count());
    nearest.map_or("", |mount| mount.source.as_str()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(layer: &Path, logs: &Path) -> TreeUse {
        match measure(layer, logs).unwrap() {
            Found::Counted(found) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn layer_and_logs_are_counted_together_and_absent_ones_are_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, logs) = (dir.path().join("upper"), dir.path().join("logs"));
        assert_eq!(measure(&layer, &logs).unwrap(), Found::Unknown);
        std::fs::create_dir(&layer).unwrap();
        std::fs::write(layer.join("file"), vec![1; 100_000]).unwrap();
        let alone = counted(&layer, &logs);
        assert_eq!(alone.inodes, 2);
        assert!((100_000..300_000).contains(&alone.bytes), "{alone:?}");
        std::fs::create_dir(&logs).unwrap();
        std::fs::write(logs.join("0.log"), vec![1; 100_000]).unwrap();
        let both = counted(&layer, &logs);
        assert_eq!(both.inodes, 4);
        assert!(both.bytes >= alone.bytes + 100_000, "{both:?}");
    }

    #[test]
    fn a_slow_walk_rests_longer_and_a_new_instance_is_measured_at_once() {
        let measured = |ago: u64, took: u64| Measured {
            attempt: 0,
            ended: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(),
            took: Duration::from_secs(took),
            found: Found::Unknown,
            same: 0,
        };
        assert!(!measured(59, 0).is_stale(0, For::Metrics));
        assert!(measured(61, 0).is_stale(0, For::Metrics));
        assert!(measured(0, 0).is_stale(1, For::Metrics));
        assert!(!measured(199, 10).is_stale(0, For::Metrics));
        assert!(measured(201, 10).is_stale(0, For::Metrics));
        assert!(measured(1201, 90).is_stale(0, For::Metrics));
    }

    #[test]
    fn what_stays_the_same_is_measured_less_often_but_for_a_limit() {
        let measured = |ago: u64, same: u32| Measured {
            attempt: 0,
            ended: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(),
            took: Duration::ZERO,
            found: Found::Unknown,
            same,
        };
        assert!(!measured(119, 1).is_stale(0, For::Metrics) && measured(121, 1).is_stale(0, For::Metrics));
        for same in [2, 3, u32::MAX] {
            assert!(!measured(239, same).is_stale(0, For::Metrics));
            assert!(measured(241, same).is_stale(0, For::Metrics));
            assert!(measured(10, same).is_stale(0, For::Limit));
        }
    }

    #[test]
    fn every_path_lies_on_something() {
        assert!(!device_of(Path::new("/")).is_empty());
        assert!(capacity(Path::new("/")).unwrap().0 > 0);
    }
}
