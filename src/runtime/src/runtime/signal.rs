//! Signals, and waiting for the end.

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::{Exit, FailureReason};
use pinnace_core::ports::PortResult;
use pinnace_shim::protocol::Code;

use super::Runtime;
use crate::container::{Bundle, EndOf, exit_of};
use crate::error::{Doing, RuntimeError};
use crate::records::{self, ContainerRecord, Started};
use pinnace_core::pod::container_id;

const SIGNAL: Doing = Doing {
    operation: "signal the container",
    reason: FailureReason::RunContainerError,
};
const WAIT: Doing = Doing {
    operation: "wait for the container",
    reason: FailureReason::RunContainerError,
};
const SIGTERM: i32 = 15;

impl<I: Send + Sync + 'static> Runtime<I> {
    pub(super) async fn signal(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        signal: i32,
        all: bool,
    ) -> PortResult<()> {
        let fail = |error: RuntimeError| SIGNAL.failed(format!("{name} of pod {uid}"), error);
        let bundle = Bundle::new(&self.inner.paths(uid), name, attempt);
        let mut number = signal;
        // The image may want another signal to be asked to end.
        if signal == SIGTERM
            && !all
            && let Some(record) = records::read::<ContainerRecord>(&bundle.record()).map_err(fail)?
        {
            number = record.stop_signal.unwrap_or(signal);
        }
        let number = u32::try_from(number).unwrap_or(0);
        let shim = self.inner.needed_shim(uid).await.map_err(fail)?;
        match shim
            .client
            .kill(&container_id(uid, name, attempt), "", number, all)
            .await
        {
            // It ended meanwhile, which is what was wanted.
            Err(error) if error.is_not_found() || already_ended(error.code()) => Ok(()),
            Err(error) => Err(fail(error.into())),
            Ok(()) => Ok(()),
        }
    }

    pub(super) async fn wait(&self, uid: &PodUid, name: &ContainerName, attempt: u32) -> PortResult<Exit> {
        let fail = |error: RuntimeError| WAIT.failed(format!("{name} of pod {uid}"), error);
        let bundle = Bundle::new(&self.inner.paths(uid), name, attempt);
        if let Some(exit) = records::read::<Exit>(&bundle.exit()).map_err(fail)? {
            return Ok(exit);
        }
        let shim = self.inner.needed_shim(uid).await.map_err(fail)?;
        let end = shim
            .client
            .wait(&container_id(uid, name, attempt), "")
            .await
            .map_err(|error| fail(error.into()))?;
        let record = records::read::<ContainerRecord>(&bundle.record()).map_err(fail)?;
        let started = records::read::<Started>(&bundle.started()).map_err(fail)?;
        let end = EndOf {
            exit_status: end.exit_status,
            exited_at: end.exited_at,
            out_of_memory: self.inner.out_of_memory(record.as_ref()),
            started_at: started.map(|started| started.at),
        };
        // Whoever looked meanwhile may have recorded it; both saw the same.
        if let Some(exit) = records::read::<Exit>(&bundle.exit()).map_err(fail)? {
            return Ok(exit);
        }
        let exit = exit_of(end, &bundle, record.as_ref());
        if bundle.path.exists() {
            records::write(&bundle.exit(), &exit).map_err(fail)?;
        }
        Ok(exit)
    }
}

/// What shims say of a process that has ended: runc's of containerd answer FAILED_PRECONDITION or NOT_FOUND.
fn already_ended(code: Option<Code>) -> bool {
    matches!(code, Some(Code::NotFound | Code::FailedPrecondition))
}
