//! `exec`: a further process in a running container. It ends when whoever asked for it goes away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinnace_api::ContainerName;
use pinnace_core::ports::PortResult;
use pinnace_engine::board::PodView;
use pinnace_runtime::{Exec, ExecRequest as RuntimeRequest};
use pinnace_server::{ExecAnswer, ExecRequest, FaceError, FaceResult};

use super::adapters::NodeAdapters;
use crate::commands::exec::STREAMS_PREFIX;

/// A command that somebody waits for: it is killed when they go away.
pub(super) struct Asked {
    exec: Arc<Exec>,
    /// The fifos of `pinnace exec`, which can remove them no more if it was killed.
    streams: Vec<PathBuf>,
    ended: bool,
}

impl Asked {
    /// A command whose fifos are these.
    pub(super) fn new(exec: Exec, streams: Vec<PathBuf>) -> Self {
        Self {
            exec: Arc::new(exec),
            streams,
            ended: false,
        }
    }

    /// Waits for its end; answers its exit code.
    pub(super) async fn wait(&mut self) -> PortResult<i32> {
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
        let streams = std::mem::take(&mut self.streams);
        tokio::spawn(async move {
            if let Err(error) = exec.kill().await {
                tracing::warn!("{}", error.chain());
            }
            // The shim forgets it when its end was read.
            let _ = exec.wait().await;
            remove_streams(&streams);
        });
    }
}

/// Removes what `pinnace exec` made for its streams; another client's are its own.
fn remove_streams(streams: &[PathBuf]) {
    for stream in streams {
        let Some(directory) = stream.parent().filter(|parent| is_made_for_streams(parent)) else {
            continue;
        };
        // Whatever is left is gone with the next boot at the latest.
        let _ = std::fs::remove_file(stream);
        let _ = std::fs::remove_dir(directory);
    }
}

fn is_made_for_streams(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(STREAMS_PREFIX))
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
    let wanted = RuntimeRequest {
        argv: request.command,
        tty: request.tty,
        terminal_size: request.terminal_size,
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        cwd: None,
        env: Vec::new(),
    };
    let uid = &view.identity.uid;
    let streams = [&wanted.stdin, &wanted.stdout, &wanted.stderr];
    let streams = streams.into_iter().flatten().cloned().collect();
    let exec = adapters
        .runtime
        .exec_start(uid, container, attempt, &wanted)
        .await
        .map_err(failed)?;
    let mut asked = Asked::new(exec, streams);
    let exit_code = asked.wait().await.map_err(failed)?;
    Ok(ExecAnswer { exit_code })
}
