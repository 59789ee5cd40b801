//! The engine's port.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use pinnace_api::{Bytes, ContainerName, PodUid};
use pinnace_core::network::ResolverWarning;
use pinnace_core::pod::{Exit, FailureReason, Observed, PodIdentity};
use pinnace_core::ports::{ContainerRequest, PodContext, PodRuntime, PortResult};

use pinnace_sys::namespace::NamespaceKind;

use super::{Inner, Runtime};
use crate::error::{Doing, RuntimeError};
use crate::paths::{QOS_CLASSES, qos_cgroup};
use crate::rootfs::ImageRoots;
use crate::{folders, records, sandbox};

const fn doing(operation: &'static str, reason: FailureReason) -> Doing {
    Doing { operation, reason }
}

const LIST: Doing = doing("list pods on", FailureReason::FailedCreatePodSandBox);
const IDENTITY: Doing = doing("read the identity of pod", FailureReason::FailedCreatePodSandBox);
const OBSERVE: Doing = doing("look at pod", FailureReason::FailedCreatePodSandBox);
const SANDBOX: Doing = doing("create the sandbox of pod", FailureReason::FailedCreatePodSandBox);
const REMOVE: Doing = doing("remove the container", FailureReason::CreateContainerError);
const KILL: Doing = doing("end all processes of pod", FailureReason::FailedCreatePodSandBox);
const REMOVE_SANDBOX: Doing = doing("remove the sandbox of pod", FailureReason::FailedCreatePodSandBox);
const REMOVE_LOGS: Doing = doing("remove the logs of pod", FailureReason::FailedCreatePodSandBox);

impl<I: ImageRoots> Runtime<I> {
    async fn blocking<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Inner<I>) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || step(&inner)).await?
    }
}

impl<I> Inner<I> {
    fn list(&self) -> Result<BTreeSet<PodUid>, RuntimeError> {
        let mut names = Vec::new();
        for entry in folders::entries(&self.layout.run().join("pods"))? {
            if entry.path().join("sandbox").exists() {
                names.push(entry.file_name());
            }
        }
        names.extend(
            folders::entries(&self.layout.state().join("writable"))?
                .iter()
                .map(std::fs::DirEntry::file_name),
        );
        let mut uids: BTreeSet<PodUid> = names
            .iter()
            .filter_map(|name| PodUid::new(name.to_str()?).ok())
            .collect();
        for qos in QOS_CLASSES {
            let above = self.cgroups.group(qos_cgroup(&self.layout, qos))?;
            for name in above.children()? {
                let Some(uid) = name.strip_prefix("pod").and_then(|uid| PodUid::new(uid).ok()) else {
                    continue;
                };
                let ours = |directory: PathBuf| sandbox::is_ours(&self.layout, &directory);
                if above.child(&name)?.directories().any(ours) {
                    uids.insert(uid);
                }
            }
        }
        for entry in folders::entries(&self.layout.pod_logs())? {
            let name = entry.file_name();
            let uid = name
                .to_str()
                .and_then(|name| PodUid::new(name.rsplit_once('_')?.1).ok());
            uids.extend(uid.filter(|_| sandbox::is_ours(&self.layout, &entry.path())));
        }
        Ok(uids)
    }
}

impl<I: ImageRoots> PodRuntime for Runtime<I> {
    async fn list(&self) -> PortResult<Vec<PodUid>> {
        let listed = self.blocking(|inner| inner.list()).await;
        let listed = listed.map_err(|error| LIST.failed("this node", error))?;
        Ok(listed.into_iter().collect())
    }

    async fn stored_identity(&self, uid: &PodUid) -> PortResult<Option<PodIdentity>> {
        let path = self.inner.paths(uid).file("identity.json");
        let read = self.blocking(move |_| records::read_whole(&path)).await;
        read.map_err(|error| IDENTITY.failed(uid.to_string(), error))
    }

    fn network_namespace(&self, uid: &PodUid) -> PathBuf {
        let paths = self.inner.paths(uid);
        paths.file(NamespaceKind::Network.file_name())
    }

    async fn observe(&self, uid: &PodUid) -> PortResult<Observed> {
        self.look(uid)
            .await
            .map_err(|error| OBSERVE.failed(uid.to_string(), error))
    }

    async fn create_sandbox(&self, pod: &PodContext, identity: &PodIdentity, attempt: u32) -> PortResult<()> {
        let (of_pod, identity) = (pod.clone(), identity.clone());
        let created = self.blocking(move |inner| {
            sandbox::create(&sandbox::Request {
                layout: &inner.layout,
                cgroups: &inner.cgroups,
                boot: &inner.boot,
                pod: &of_pod,
                identity: &identity,
                attempt,
                naming: &inner.config.naming,
                shim: &inner.config.logger,
            })
        });
        let (record, warnings) = created
            .await
            .map_err(|error| SANDBOX.failed(pod.uid.to_string(), error))?;
        let handle = self.inner.pod(&pod.uid);
        let mut known = handle.known();
        known.sandbox = Some(Arc::new(record));
        known.resolver_warnings = warnings;
        Ok(())
    }

    async fn create_container(&self, pod: &PodContext, request: &ContainerRequest) -> PortResult<()> {
        self.create(pod, request).await
    }

    async fn start_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<u32> {
        self.start(uid, name, attempt).await
    }

    async fn signal_container(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        signal: i32,
        all: bool,
    ) -> PortResult<()> {
        self.signal(uid, name, attempt, signal, all).await
    }

    async fn wait_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<Exit> {
        self.wait(uid, name, attempt).await
    }

    async fn remove_container(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<()> {
        let removed = self.remove_instance(uid, name, attempt).await;
        removed.map_err(|error| REMOVE.failed(format!("{name} of pod {uid}"), error))
    }

    async fn kill_pod_cgroup(&self, uid: &PodUid) -> PortResult<()> {
        self.kill_group(uid)
            .await
            .map_err(|error| KILL.failed(uid.to_string(), error))
    }

    async fn remove_sandbox(&self, uid: &PodUid) -> PortResult<()> {
        self.remove_all(uid)
            .await
            .map_err(|error| REMOVE_SANDBOX.failed(uid.to_string(), error))
    }

    async fn remove_logs(&self, uid: &PodUid) -> PortResult<()> {
        let of_uid = uid.clone();
        let removed = self
            .blocking(move |inner| sandbox::remove_logs(&inner.layout, &of_uid))
            .await;
        removed.map_err(|error| REMOVE_LOGS.failed(uid.to_string(), error))
    }

    async fn storage_use(&self, uid: &PodUid) -> PortResult<Vec<(ContainerName, Bytes)>> {
        Ok(self.storage_of(uid).await)
    }

    fn resolver_warnings(&self, uid: &PodUid) -> Vec<ResolverWarning> {
        std::mem::take(&mut self.inner.pod(uid).known().resolver_warnings)
    }

    fn cannot_set(&self, uid: &PodUid) -> Vec<(ContainerName, String)> {
        Runtime::cannot_set(self, uid)
    }
}
