//! `exec`: a further process in a running container. It ends when whoever asked for it goes away.

use std::sync::Arc;

use pinnace_api::ContainerName;
use pinnace_core::ports::PortResult;
use pinnace_engine::board::PodView;
use pinnace_runtime::{Exec, ExecRequest as RuntimeRequest};
use pinnace_server::{ExecAnswer, ExecRequest, FaceError, FaceResult};

use super::adapters::NodeAdapters;

/// A command that somebody waits for: it is killed when they go away.
struct Asked {
    exec: Arc<Exec>,
    ended: bool,
}

impl Asked {
    async fn wait(&mut self) -> PortResult<i32> {
        let code = self.exec.wait().await;
        self.ended = true;
        code
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let exec = Arc::clone(&self.exec);
        tokio::spawn(async move {
            if let Err(error) = exec.kill().await {
                tracing::warn!("{}", error.chain());
            }
            // The shim forgets it when its end was read.
            let _ = exec.wait().await;
        });
    }
}

/// Runs the request's command and waits for its end.
pub async fn run(
    adapters: &NodeAdapters,
    view: &PodView,
    container: &ContainerName,
    attempt: u32,
    request: ExecRequest,
) -> FaceResult<ExecAnswer> {
    let failed = |error: pinnace_core::ports::PortError| FaceError::Failed {
        operation: error.to_string(),
        source: error.source,
    };
    let size = request.terminal_size;
    let wanted = RuntimeRequest {
        argv: request.command,
        tty: request.tty,
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        cwd: None,
        env: Vec::new(),
    };
    let uid = &view.identity.uid;
    let exec = adapters
        .runtime
        .exec_start(uid, container, attempt, &wanted)
        .await
        .map_err(failed)?;
    if let Some((columns, rows)) = size {
        exec.resize(columns, rows).await.map_err(failed)?;
    }
    let mut asked = Asked {
        exec: Arc::new(exec),
        ended: false,
    };
    let exit_code = asked.wait().await.map_err(failed)?;
    Ok(ExecAnswer { exit_code })
}
