//! A further process in a running container.

use std::path::PathBuf;
use std::time::Duration;

use pinnace_api::{ContainerName, PodUid};
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::PortResult;
use pinnace_shim::protocol::Any;
use pinnace_shim::protocol::task::{ExecProcessRequest, ResizePtyRequest};
use pinnace_sys::random;
use tokio::time::timeout;

use super::Runtime;
use crate::container::Bundle;
use crate::error::{Doing, RuntimeError};
use crate::launch::Shim;
use crate::records;
use crate::spec::oci;
use crate::task::CallError;
use pinnace_core::pod::container_id;

const EXEC: Doing = Doing {
    operation: "execute in the container",
    reason: FailureReason::RunContainerError,
};
const PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const SIGKILL: u32 = 9;
/// What got SIGKILL ends within this time, unless the kernel itself hangs.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What to execute, and where its streams go.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// With a terminal, to which both outputs go.
    pub tty: bool,
    /// Columns and rows that the terminal has when the program begins; unused without a terminal.
    pub terminal_size: Option<(u16, u16)>,
    /// Fifos; `None` means nothing to read, or thrown away.
    pub stdin: Option<PathBuf>,
    /// Likewise.
    pub stdout: Option<PathBuf>,
    /// Likewise; unused with a terminal.
    pub stderr: Option<PathBuf>,
    /// Instead of the container's working directory.
    pub cwd: Option<String>,
    /// Further variables, `NAME=value`.
    pub env: Vec<String>,
}

/// A process that was executed; it runs on when this value is dropped.
#[derive(Debug)]
pub struct Exec {
    shim: std::sync::Arc<Shim>,
    container: String,
    id: String,
    pid: u32,
}

#[derive(serde::Deserialize)]
struct Config {
    process: oci::Process,
}

impl<I: Send + Sync + 'static> Runtime<I> {
    /// Executes a program and waits for its end; answers its exit code.
    pub async fn exec(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        request: &ExecRequest,
    ) -> PortResult<i32> {
        self.exec_start(uid, name, attempt, request).await?.wait().await
    }

    /// Executes a program.
    pub async fn exec_start(
        &self,
        uid: &PodUid,
        name: &ContainerName,
        attempt: u32,
        request: &ExecRequest,
    ) -> PortResult<Exec> {
        let fail = |error: RuntimeError| EXEC.failed(format!("{name} of pod {uid}"), error);
        let bundle = Bundle::new(&self.inner.paths(uid), name, attempt);
        let config = records::read::<Config>(&bundle.path.join("config.json")).map_err(fail)?;
        let config = config
            .ok_or(RuntimeError::Missing("bundle of the container"))
            .map_err(fail)?;
        let process = process(config.process, request);
        let text = serde_json::to_vec(&process).map_err(|source| {
            fail(RuntimeError::Record {
                path: bundle.path.clone(),
                source,
            })
        })?;
        let shim = self.inner.needed_shim(uid).await.map_err(fail)?;
        let id = format!("exec-{}", random::uuid().map_err(|error| fail(error.into()))?);
        let container = container_id(uid, name, attempt);
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let message = ExecProcessRequest {
            id: container.clone(),
            exec_id: id.clone(),
            terminal: request.tty,
            stdin: path(&request.stdin),
            stdout: path(&request.stdout),
            stderr: if request.tty {
                String::new()
            } else {
                path(&request.stderr)
            },
            spec: Some(Any::json(PROCESS, text)),
        };
        shim.client
            .exec(&message)
            .await
            .map_err(|error| fail(error.into()))?;
        let pid = match shim.client.start(&container, &id).await {
            Ok(started) => started.pid,
            Err(error) => {
                // Otherwise the shim keeps what could not be started.
                let _ = shim.client.delete(&container, &id).await;
                return Err(fail(error.into()));
            }
        };
        let exec = Exec {
            shim,
            container,
            id,
            pid,
        };
        if let Err(error) = exec.begun(request).await {
            // Nobody will wait for it.
            exec.end().await;
            return Err(fail(error.into()));
        }
        Ok(exec)
    }
}

/// The container's own process with another program.
fn process(mut process: oci::Process, request: &ExecRequest) -> oci::Process {
    process.args = request.argv.clone();
    process.terminal = request.tty;
    process.console_size = request
        .terminal_size
        .filter(|_| request.tty)
        .map(|(width, height)| oci::ConsoleSize { height, width });
    if let Some(cwd) = &request.cwd {
        process.cwd.clone_from(cwd);
    }
    let name = |variable: &str| {
        variable
            .split_once('=')
            .map_or(variable, |(name, _)| name)
            .to_owned()
    };
    for variable in &request.env {
        let wanted = name(variable);
        process.env.retain(|known| name(known) != wanted);
        process.env.push(variable.clone());
    }
    if request.tty && !process.env.iter().any(|known| known.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    process
}

impl Exec {
    /// The process on the host.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What is left to be said to the shim of a process that runs.
    async fn begun(&self, request: &ExecRequest) -> Result<(), CallError> {
        if request.stdin.is_some() {
            // The shim holds a writer too, for clients that come later; whoever asked holds its own.
            self.shim.client.close_stdin(&self.container, &self.id).await?;
        }
        Ok(())
    }

    /// Ends it and lets the shim forget it, as far as that can be done.
    async fn end(&self) {
        if let Err(error) = self.kill().await {
            tracing::warn!("{}", error.chain());
        }
        if timeout(END_LIMIT, self.wait()).await.is_err() {
            tracing::warn!(container = %self.container, pid = self.pid, "an executed process does not end");
        }
    }

    /// Waits for its end, and lets the shim forget it; answers its exit code.
    pub async fn wait(&self) -> PortResult<i32> {
        let fail = |error: RuntimeError| EXEC.failed(self.container.clone(), error);
        let ended = self.shim.client.wait(&self.container, &self.id).await;
        let status = ended.map_err(|error| fail(error.into()))?.exit_status;
        if let Err(error) = self.shim.client.delete(&self.container, &self.id).await {
            tracing::debug!(%error, "an executed process is not forgotten");
        }
        Ok(i32::try_from(status).unwrap_or(255))
    }

    /// Sets its terminal's size.
    pub async fn resize(&self, width: u16, height: u16) -> PortResult<()> {
        let message = ResizePtyRequest {
            id: self.container.clone(),
            exec_id: self.id.clone(),
            width: width.into(),
            height: height.into(),
        };
        let resized = self.shim.client.resize(&message).await;
        resized.map_err(|error| EXEC.failed(self.container.clone(), error))
    }

    /// Ends it by SIGKILL.
    pub async fn kill(&self) -> PortResult<()> {
        match self
            .shim
            .client
            .kill(&self.container, &self.id, SIGKILL, false)
            .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map_err(|error| EXEC.failed(self.container.clone(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_is_the_containers_process_with_another_program() {
        let own = oci::Process {
            terminal: false,
            console_size: None,
            user: oci::User {
                uid: 7,
                gid: 8,
                additional_gids: Vec::new(),
            },
            args: vec!["/main".to_owned()],
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            cwd: "/srv".to_owned(),
            capabilities: oci::Capabilities::default(),
            no_new_privileges: true,
            oom_score_adj: Some(5),
        };
        let request = ExecRequest {
            argv: vec!["sh".to_owned()],
            tty: true,
            terminal_size: Some((101, 33)),
            env: vec!["A=3".to_owned()],
            ..ExecRequest::default()
        };
        let made = process(own, &request);
        assert_eq!(
            (made.user.uid, made.cwd.as_str(), made.terminal),
            (7, "/srv", true)
        );
        assert_eq!(made.args, ["sh"]);
        let json = serde_json::to_value(&made).expect("json");
        assert_eq!(
            json["consoleSize"],
            serde_json::json!({"height": 33, "width": 101})
        );
        assert_eq!(made.env, ["B=2", "A=3", "TERM=xterm"]);
        assert!(made.no_new_privileges);
    }
}
