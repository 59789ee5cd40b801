//! Looking at a pod: its directory, then one State call for each instance.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::{ContainerSeen, Exit, InstanceState, Observed, SandboxState, ShimState};
use pinnace_core::time::WallMillis;
use pinnace_shim::protocol::task::{StateResponse, TaskStatus};
use pinnace_sys::{clock, process};

use super::{Inner, Runtime};
use crate::container::{Bundle, EndOf, exit_of};
use crate::error::{RuntimeError, chain};
use crate::launch::Shim;
use crate::records::{self, ContainerRecord, SandboxRecord, Started};
use crate::{folders, sandbox};
use pinnace_core::pod::container_id;

/// Clock ticks of `/proc/PID/stat` are hundredths of a second on every architecture that Rust knows.
const MILLIS_PER_TICK: u64 = 10;

/// An instance as its directory shows it.
struct OnDisk {
    name: ContainerName,
    attempt: u32,
    bundle: Bundle,
    record: Option<ContainerRecord>,
    started: Option<Started>,
    exit: Option<Exit>,
}

/// What the directories show.
struct Found {
    sandbox: SandboxState,
    record: Option<SandboxRecord>,
    instances: Vec<OnDisk>,
    log_attempts: BTreeMap<ContainerName, u32>,
}

impl<I: Send + Sync + 'static> Runtime<I> {
    pub(super) async fn look(&self, uid: &PodUid) -> Result<Observed, RuntimeError> {
        let (inner, of_uid) = (Arc::clone(&self.inner), uid.clone());
        let found = tokio::task::spawn_blocking(move || inner.on_disk(&of_uid)).await??;
        let shim = self.inner.shim(uid).await?;
        let mut alive = None;
        let mut containers = Vec::with_capacity(found.instances.len());
        for instance in &found.instances {
            let (state, answered) = self.inner.state_of(uid, instance, shim.as_deref()).await?;
            alive = alive.or(answered);
            containers.push(ContainerSeen {
                name: instance.name.clone(),
                attempt: instance.attempt,
                state,
            });
        }
        let shim = match (&shim, alive) {
            (None, _) => ShimState::Absent,
            (Some(_), Some(true)) => ShimState::Alive,
            (Some(_), Some(false)) => ShimState::Dead,
            (Some(shim), None) => self.inner.ask(shim, uid).await?,
        };
        self.inner.keep(uid, &found, shim == ShimState::Absent);
        Ok(Observed {
            sandbox: found.sandbox,
            shim,
            containers,
            log_attempts: found.log_attempts,
            ..Observed::default()
        })
    }
}

impl<I> Inner<I> {
    fn on_disk(&self, uid: &PodUid) -> Result<Found, RuntimeError> {
        let (sandbox, record) = sandbox::state(&self.layout, &self.cgroups, &self.boot, uid)?;
        let paths = self.paths(uid);
        let mut instances = Vec::new();
        for (name, attempt) in folders::instances(&paths)? {
            let bundle = Bundle::new(&paths, &name, attempt);
            instances.push(OnDisk {
                record: records::read(&bundle.record())?,
                started: records::read(&bundle.started())?,
                exit: records::read(&bundle.exit())?,
                name,
                attempt,
                bundle,
            });
        }
        let directories = match &record {
            Some(record) => vec![record.log_directory.clone()],
            None => sandbox::log_directories(&self.layout, uid)?,
        };
        let mut log_attempts = BTreeMap::new();
        for directory in directories {
            collect_log_attempts(&directory, &mut log_attempts)?;
        }
        Ok(Found {
            sandbox,
            record,
            instances,
            log_attempts,
        })
    }

    /// The instance's state, and whether the shim answered (`None` where it was not asked).
    async fn state_of(
        &self,
        uid: &PodUid,
        instance: &OnDisk,
        shim: Option<&Shim>,
    ) -> Result<(InstanceState, Option<bool>), RuntimeError> {
        if let Some(exit) = &instance.exit {
            return Ok((InstanceState::Exited(exit.clone()), None));
        }
        let started_at = instance.started.map(|started| started.at);
        // Never started means never ran: the marker is written before.
        let gone = match started_at {
            None => InstanceState::Claimed,
            Some(at) => InstanceState::Lost { started_at: Some(at) },
        };
        let Some(shim) = shim else { return Ok((gone, None)) };
        let id = container_id(uid, &instance.name, instance.attempt);
        match shim.client.state(&id, "").await {
            Ok(state) => Ok((self.told(instance, &state), Some(true))),
            Err(error) if error.is_not_found() => Ok((gone, Some(true))),
            Err(error) if error.is_no_shim() && !shim.is_alive() => Ok((gone, Some(false))),
            Err(error) => Err(error.into()),
        }
    }

    fn told(&self, instance: &OnDisk, state: &StateResponse) -> InstanceState {
        match state.status() {
            TaskStatus::Running | TaskStatus::Paused | TaskStatus::Pausing => {
                let started_at = match instance.started {
                    Some(started) => started.at,
                    None => began(state.pid),
                };
                InstanceState::Running {
                    pid: state.pid,
                    started_at,
                }
            }
            TaskStatus::Created => InstanceState::Created,
            TaskStatus::Stopped => {
                let end = EndOf {
                    exit_status: state.exit_status,
                    exited_at: state.exited_at,
                    out_of_memory: self.out_of_memory(instance.record.as_ref()),
                    started_at: instance.started.map(|started| started.at),
                };
                let exit = exit_of(end, &instance.bundle, instance.record.as_ref());
                // A full file system must not keep the pod from being seen, and ended: the shim still knows.
                if let Err(error) = records::write(&instance.bundle.exit(), &exit) {
                    tracing::warn!(error = %chain(&error), "an exit is not recorded");
                }
                InstanceState::Exited(exit)
            }
            TaskStatus::Unknown => InstanceState::Claimed,
        }
    }

    /// The kernel killed a process of the instance for memory, by its cgroup's counter or a shim's word.
    pub(super) fn out_of_memory(&self, record: Option<&ContainerRecord>) -> bool {
        let Some(record) = record else { return false };
        let counted = self
            .cgroups
            .group(&record.cgroup)
            .and_then(|group| group.oom_kills());
        counted.ok().flatten().unwrap_or(0) > 0 || self.events.notes().out_of_memory(&record.id)
    }

    /// Asks a shim that no State call went to.
    async fn ask(&self, shim: &Shim, uid: &PodUid) -> Result<ShimState, RuntimeError> {
        match shim.client.connect(uid.as_str()).await {
            // A shim may not know the sandbox as a task; that it answers is what counts.
            Ok(_) => Ok(ShimState::Alive),
            Err(error) if error.code().is_some() => Ok(ShimState::Alive),
            Err(error) if error.is_no_shim() && !shim.is_alive() => Ok(ShimState::Dead),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps copies of the records for listings.
    fn keep(&self, uid: &PodUid, found: &Found, no_shim: bool) {
        if found.sandbox == SandboxState::Absent && no_shim {
            self.pods().remove(uid);
            return;
        }
        let pod = self.pod(uid);
        let mut known = pod.known();
        known.sandbox = found.record.clone().map(Arc::new);
        known.containers = found
            .instances
            .iter()
            .filter_map(|one| Some(((one.name.clone(), one.attempt), Arc::new(one.record.clone()?))))
            .collect();
    }
}

/// When a process began, on the wall clock.
fn began(pid: u32) -> WallMillis {
    let (wall, boot) = (clock::wall_millis(), clock::boottime_millis());
    let ticks = process::start_time(pid).unwrap_or(0);
    match ticks.checked_mul(MILLIS_PER_TICK) {
        Some(after_boot) if after_boot > 0 && after_boot <= boot => {
            WallMillis(wall - (boot - after_boot).min(wall))
        }
        _ => WallMillis(wall),
    }
}

/// The highest attempt of each container that left `<attempt>.log` or a rotated one.
fn collect_log_attempts(
    directory: &Path,
    attempts: &mut BTreeMap<ContainerName, u32>,
) -> Result<(), RuntimeError> {
    for (name, path) in folders::of_containers(directory)? {
        let numbers = folders::entries(&path)?.into_iter().filter_map(|entry| {
            let file = entry.file_name();
            let (number, _) = file.to_str()?.split_once(".log")?;
            number.parse::<u32>().ok()
        });
        if let Some(highest) = numbers.max() {
            attempts.insert(name, highest);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_logs_count_as_their_attempt() {
        let dir = tempfile::tempdir().expect("a directory");
        for (container, file) in [
            ("a", "0.log"),
            ("a", "3.log.20260101-000000"),
            ("b", "1.log"),
            ("c", "other.txt"),
        ] {
            std::fs::create_dir_all(dir.path().join(container)).expect("a directory");
            std::fs::write(dir.path().join(container).join(file), "").expect("a file");
        }
        let mut attempts = BTreeMap::new();
        collect_log_attempts(dir.path(), &mut attempts).expect("attempts");
        let seen: Vec<_> = attempts
            .iter()
            .map(|(name, attempt)| (name.as_str(), *attempt))
            .collect();
        assert_eq!(seen, [("a", 3), ("b", 1)]);
    }

    #[test]
    fn a_process_began_before_now_and_after_boot() {
        let began = began(std::process::id()).0;
        let now = clock::wall_millis();
        assert!(began <= now && now - began < clock::boottime_millis());
    }
}
