//! Removing instances, and all of a pod.

use std::sync::Arc;
use std::time::Duration;

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::resources::QosClass;
use pinnace_shim::protocol::task::TaskStatus;
use pinnace_sys::file;
use pinnace_sys::process::Pidfd;
use tokio::time::timeout;

use super::{Inner, Runtime};
use crate::container::{self, Bundle};
use crate::error::{Collected, RuntimeError};
use crate::launch::Shim;
use crate::paths::{QOS_CLASSES, pod_cgroup, qos_cgroup};
use crate::records::{self, ContainerRecord};
use crate::{folders, sandbox};
use pinnace_core::pod::container_id;

const SIGKILL: u32 = 9;
/// An instance that got SIGKILL ends within this time, unless the kernel itself hangs.
const END_LIMIT: Duration = Duration::from_secs(10);
/// A shim that was asked to end gets this long before it is killed.
const SHIM_LIMIT: Duration = Duration::from_secs(3);
const KILL_LIMIT: Duration = Duration::from_secs(10);

impl<I: Send + Sync + 'static> Runtime<I> {
    /// Deletes the task where a shim knows it, then what it left on the host.
    pub(super) async fn remove_instance(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
    ) -> Result<(), RuntimeError> {
        let id = container_id(uid, name, attempt);
        let mut failed = Collected::default();
        if let Some(shim) = failed.note(self.inner.shim(uid).await).flatten() {
            match delete_task(&shim, &id).await {
                Err(RuntimeError::Call(error)) if error.is_no_shim() && !shim.is_alive() => {}
                other => drop(failed.note(other)),
            }
        }
        let (inner, bundle) = (
            Arc::clone(&self.inner),
            Bundle::new(&self.inner.paths(uid), name, attempt),
        );
        let state = self.inner.paths(uid).file("oci").join(&self.inner.namespace);
        let removed = tokio::task::spawn_blocking(move || {
            let record = records::read::<ContainerRecord>(&bundle.record())?;
            container::remove(&inner.cgroups, &bundle, record.as_ref(), &state)
        });
        if failed.note(removed.await?).is_some() {
            self.inner.forget(uid, name, attempt);
            self.inner.events.notes().forget(&id);
        }
        failed.finish()
    }

    /// Ends all processes of the pod; its shim is no part of its cgroup.
    pub(super) async fn kill_group(&self, uid: &PodUid) -> Result<(), RuntimeError> {
        let (inner, uid) = (Arc::clone(&self.inner), uid.clone());
        tokio::task::spawn_blocking(move || inner.kill_group(&uid)).await?
    }

    /// Ends all that runs, the shim last, and removes all but the logs.
    pub(super) async fn remove_all(&self, uid: &PodUid) -> Result<(), RuntimeError> {
        let mut failed = Collected::default();
        failed.note(self.kill_group(uid).await);
        let ended = match self.inner.shim(uid).await {
            Ok(Some(shim)) => self.end_shim(uid, &shim).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if failed.note(ended).is_none() {
            // What tells of the shim must stay until it is gone, or it would be left for ever.
            return failed.finish();
        }
        // The connection and the log's reader end with it.
        *self.inner.pod(uid).shim.lock().await = None;
        let (inner, of_uid) = (Arc::clone(&self.inner), uid.clone());
        let removed =
            tokio::task::spawn_blocking(move || sandbox::remove(&inner.layout, &inner.cgroups, &of_uid));
        failed.note(removed.await?);
        let outcome = failed.finish();
        if outcome.is_ok() {
            self.inner.pods().remove(uid);
        }
        outcome
    }

    /// Deletes the tasks, asks the shim to end, and ends it where it does not.
    async fn end_shim(&self, uid: &PodUid, shim: &Shim) -> Result<(), RuntimeError> {
        if shim.is_alive() {
            // What is not deleted in order goes with the shim; its remains are removed by us.
            for (name, attempt) in folders::instances(&self.inner.paths(uid)).unwrap_or_default() {
                if let Err(error) = delete_task(shim, &container_id(uid, &name, attempt)).await {
                    tracing::debug!(%uid, container = %name, %error, "task not deleted in order");
                }
            }
            if let Err(error) = shim.client.shutdown(uid.as_str(), true).await {
                tracing::debug!(%uid, %error, "shim does not shut down in order");
            }
        }
        let (pid, started) = (shim.record.pid, shim.record.start_time);
        let socket = shim.client.address().socket.clone();
        tokio::task::spawn_blocking(move || {
            end_process(pid, started)?;
            remove_socket(&socket)
        })
        .await?
    }

    /// Removes the node's own cgroups where no pod uses them any more; for the end of a node.
    pub fn remove_empty_groups(&self) -> Result<(), RuntimeError> {
        let mut failed = Collected::default();
        let layout = &self.inner.layout;
        let mut paths = vec![
            qos_cgroup(layout, QosClass::BestEffort),
            qos_cgroup(layout, QosClass::Burstable),
            layout.cgroup_root(),
        ];
        paths.extend(
            layout
                .cgroup_root()
                .split_once('/')
                .map(|(above, _)| above.to_owned()),
        );
        for path in paths {
            let Some(group) = failed.note(self.inner.cgroups.group(&path)) else {
                continue;
            };
            if group.exists()
                && failed
                    .note(group.children())
                    .is_some_and(|children| children.is_empty())
            {
                failed.note(group.remove(Duration::from_secs(1)));
            }
        }
        failed.finish()
    }
}

impl<I> Inner<I> {
    fn kill_group(&self, uid: &PodUid) -> Result<(), RuntimeError> {
        let mut failed = Collected::default();
        for qos in QOS_CLASSES {
            let group = self.cgroups.group(pod_cgroup(&self.layout, qos, uid))?;
            if group.exists() {
                failed.note(group.kill(KILL_LIMIT));
            }
        }
        failed.finish()
    }
}

/// Ends a task that still runs, and makes the shim forget it; one that it does not know is fine.
async fn delete_task(shim: &Shim, id: &str) -> Result<(), RuntimeError> {
    let state = match shim.client.state(id, "").await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if state.status() != TaskStatus::Stopped {
        // It may end by itself meanwhile: whether it has ended is what Wait says.
        let killed = shim.client.kill(id, "", SIGKILL, true).await;
        if timeout(END_LIMIT, shim.client.wait(id, "")).await.is_err() {
            killed?;
        }
    }
    match shim.client.delete(id, "").await {
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Waits for a process that was asked to end, and kills it where it does not.
fn end_process(pid: u32, started: u64) -> Result<(), RuntimeError> {
    let process = match Pidfd::open_started(pid, started) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if process.wait_exit(Some(SHIM_LIMIT))? {
        return Ok(());
    }
    process.signal(9)?;
    match process.wait_exit(Some(SHIM_LIMIT))? {
        true => Ok(()),
        false => Err(RuntimeError::DoesNotEnd { pid }),
    }
}

/// A shim that was killed leaves its socket.
fn remove_socket(address: &str) -> Result<(), RuntimeError> {
    use std::os::unix::fs::FileTypeExt;
    let path = std::path::Path::new(address);
    if !path.is_absolute() {
        return Ok(());
    }
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        file::remove_file(path)?;
    }
    Ok(())
}
