//! Creating and starting an instance: the way of which each millisecond counts.
//!
//! ```text
//! image ─▶ root file system, specification (blocking thread) ─┐
//!                                                             ├─▶ Create ─▶ … ─▶ Start
//! shim, where the pod has none yet ───────────────────────────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{ContainerRequest, LogLimits, PodContext, PortError, PortResult};
use pinnace_core::time::WallMillis;
use pinnace_shim::logs::LogTarget;
use pinnace_shim::protocol::Any;
use pinnace_shim::protocol::options::RuncOptions;
use pinnace_shim::protocol::task::{CreateTaskRequest, TaskStatus};
use pinnace_sys::clock;

use super::{Inner, Runtime};
use crate::container::{self, Bundle, Prepared, annotations, start_error};
use crate::error::{Doing, RuntimeError};
use crate::launch::{Launch, Shim};
use crate::records::{self, Started};
use crate::rootfs::ImageRoots;
use crate::sandbox;
use crate::task::CallError;

const CREATE: Doing = Doing {
    operation: "create the container",
    reason: FailureReason::CreateContainerError,
};
const RUN: Doing = Doing {
    operation: "run the container",
    reason: FailureReason::RunContainerError,
};
const SHIM: Doing = Doing {
    operation: "start the shim of",
    reason: FailureReason::FailedCreatePodSandBox,
};
const OPTIONS: &str = "containerd.runc.v1.Options";

impl<I: ImageRoots> Runtime<I> {
    pub(super) async fn create(&self, pod: &PodContext, request: &ContainerRequest) -> PortResult<()> {
        let inner = &self.inner;
        let object = format!(
            "{} of {}/{}",
            request.name, pod.pod.meta.namespace, pod.pod.meta.name
        );
        let fail = |error: RuntimeError| CREATE.failed(object.clone(), error);
        if self.is_created(pod, request).await.map_err(fail)? {
            return Ok(());
        }
        let began = Instant::now();
        let (prepared, shim) = tokio::join!(self.prepare(pod, request, &object), async {
            let shim = inner.ensure_shim(pod).await;
            (
                shim.map_err(|error| SHIM.failed(object.clone(), error)),
                began.elapsed(),
            )
        });
        let (prepared, (shim, shim_took)) = (prepared?, shim);
        let shim = shim?;
        let asked = Instant::now();
        let message = inner.create_message(pod, request, &prepared);
        let created = shim.client.create(&message).await;
        self.report(
            pod,
            request,
            &prepared,
            [shim_took, asked.elapsed(), began.elapsed()],
        );
        match created {
            Ok(_) => Ok(()),
            Err(error) => Err(inner.not_started(&prepared.bundle, CREATE, object, error)),
        }
    }

    async fn prepare(
        &self,
        pod: &PodContext,
        request: &ContainerRequest,
        object: &str,
    ) -> PortResult<Prepared> {
        let image = self.inner.images.root(&request.image).await?;
        let (inner, of_pod, wanted) = (Arc::clone(&self.inner), pod.clone(), request.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let paths = inner.paths(&of_pod.uid);
            sandbox::refresh_hosts(&paths, &of_pod.pod, &inner.config.naming, &wanted.addresses)?;
            container::prepare(&inner.layout, &inner.host, &of_pod, &wanted, &image)
        })
        .await
        .map_err(RuntimeError::from)
        .and_then(|prepared| prepared)
        .map_err(|error| CREATE.failed(object, error))?;
        self.inner.remember(&pod.uid, prepared.record.clone());
        Ok(prepared)
    }

    /// An earlier call went through; what one that broke off left is removed.
    async fn is_created(&self, pod: &PodContext, request: &ContainerRequest) -> Result<bool, RuntimeError> {
        let bundle = Bundle::new(&self.inner.paths(&pod.uid), &request.name, request.attempt);
        if !bundle.record().exists() {
            return Ok(false);
        }
        let id = pinnace_core::pod::container_id(&pod.uid, &request.name, request.attempt);
        if let Some(shim) = self.inner.shim(&pod.uid).await? {
            match shim.client.state(&id, "").await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.remove_instance(&pod.uid, &request.name, request.attempt)
            .await?;
        Ok(false)
    }

    pub(super) async fn start(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<u32> {
        let object = format!("{name} of pod {uid}");
        let fail = |error: RuntimeError| RUN.failed(object.clone(), error);
        let bundle = Bundle::new(&self.inner.paths(uid), name, attempt);
        let id = pinnace_core::pod::container_id(uid, name, attempt);
        let shim = self.inner.needed_shim(uid).await.map_err(fail)?;
        let before = records::read::<Started>(&bundle.started()).map_err(fail)?;
        if before.is_none() {
            let started = Started {
                at: WallMillis(clock::wall_millis()),
            };
            records::write(&bundle.started(), &started).map_err(fail)?;
        }
        let began = Instant::now();
        let answer = shim.client.start(&id, "").await;
        tracing::debug!(%uid, container = %name, attempt, start_us = micros(began.elapsed()), "container started");
        match answer {
            Ok(started) => Ok(started.pid),
            Err(error) => match shim.client.state(&id, "").await {
                // Started by an earlier call, whose answer was lost.
                Ok(state) if state.status() == TaskStatus::Running => Ok(state.pid),
                // It ran and ended already: that end is what is to be seen.
                Ok(state) if state.status() == TaskStatus::Stopped && before.is_some() => Ok(state.pid),
                _ => Err(self.inner.not_started(&bundle, RUN, object, error)),
            },
        }
    }

    fn report(&self, pod: &PodContext, request: &ContainerRequest, prepared: &Prepared, took: [Duration; 3]) {
        let [shim, create, whole] = took.map(micros);
        tracing::debug!(
            namespace = %pod.pod.meta.namespace, pod = %pod.pod.meta.name, uid = %pod.uid,
            container = %request.name, attempt = request.attempt,
            rootfs_us = micros(prepared.rootfs_took), spec_us = micros(prepared.spec_took),
            shim_us = shim, create_us = create, whole_us = whole, "container created"
        );
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl<I> Inner<I> {
    /// What the OCI runtime refuses is an end of the instance, as on any cluster: code 128, StartError.
    fn not_started(&self, bundle: &Bundle, doing: Doing, object: String, error: CallError) -> PortError {
        if let CallError::Refused { source, .. } = &error {
            let exit = start_error(source.message.clone());
            if let Err(error) = records::write(&bundle.exit(), &exit) {
                return doing.failed(object, error);
            }
            return RUN.failed(object, error);
        }
        doing.failed(object, error)
    }

    /// The pod's shim, started where there is none. A dead one is not replaced: its sandbox is.
    async fn ensure_shim(&self, pod: &PodContext) -> Result<Arc<Shim>, RuntimeError> {
        let handle = self.pod(&pod.uid);
        let mut slot = handle.shim.lock().await;
        if let Some(shim) = self.found(&pod.uid, &mut slot).await? {
            return Ok(shim);
        }
        let bundle = self.paths(&pod.uid).shim();
        let config = serde_json::json!({
            "ociVersion": crate::spec::oci::OCI_VERSION,
            "annotations": annotations(pod, None),
        });
        records::write(&bundle.join("config.json"), &config)?;
        let launch = Launch {
            program: &self.config.shim,
            publisher: &self.config.logger,
            namespace: &self.namespace,
            id: pod.uid.as_str(),
            bundle: &bundle,
            events: self.events.path(),
            root: self.config.shim_is_ours().then(|| self.layout.root()),
        };
        Ok(Arc::clone(slot.insert(Arc::new(launch.start().await?))))
    }

    fn create_message(
        &self,
        pod: &PodContext,
        request: &ContainerRequest,
        prepared: &Prepared,
    ) -> CreateTaskRequest {
        let bundle = &prepared.bundle;
        let stdin = bundle.stdin();
        let log = self.log_address(request.log, prepared);
        CreateTaskRequest {
            id: prepared.record.id.clone(),
            bundle: bundle.path.to_string_lossy().into_owned(),
            terminal: prepared.record.tty,
            stdin: if stdin.exists() {
                stdin.to_string_lossy().into_owned()
            } else {
                String::new()
            },
            stderr: if prepared.record.tty {
                String::new()
            } else {
                log.clone()
            },
            stdout: log,
            options: self.options(&pod.uid),
            ..CreateTaskRequest::default()
        }
    }

    fn log_address(&self, limits: LogLimits, prepared: &Prepared) -> String {
        let target = LogTarget {
            path: prepared.record.log.clone(),
            max_size_bytes: limits.max_size_bytes.max(1),
            max_files: limits.max_files.clamp(2, 1000),
        };
        match self.config.shim_is_ours() {
            true => target.to_string(),
            false => target.binary_uri(&self.config.logger),
        }
    }

    /// Names the OCI runtime to shims that run one; others have options of their own.
    fn options(&self, uid: &PodUid) -> Option<Any> {
        let name = self.config.shim.file_name()?.to_string_lossy().into_owned();
        if !self.config.shim_is_ours() && !name.contains("runc") {
            return None;
        }
        let options = RuncOptions {
            binary_name: self.oci.path.to_string_lossy().into_owned(),
            root: self.paths(uid).text("oci"),
            ..RuncOptions::default()
        };
        Some(Any::pack(OPTIONS, &options))
    }
}
