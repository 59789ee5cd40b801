//! A program in a container, its output read through a fifo so that nothing of it is stored.
//!
//! What it writes beyond a little is thrown away. It is killed when its time is over, or when nobody waits for it.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pinnace_core::ports::{CheckOutcome, CheckTarget, PortResult};
use pinnace_runtime::images::ImageStore;
use pinnace_runtime::{ExecRequest, Runtime};
use pinnace_sys::Layout;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::{MOST_BYTES, connect};
use crate::agent::exec::Asked;
use crate::commands::exec::STREAMS_PREFIX;

#[derive(Debug, thiserror::Error)]
#[error("make a fifo for the program's output")]
struct OutputError(#[source] io::Error);

/// Where the program's output comes from; removed with its directory.
struct Output {
    directory: tempfile::TempDir,
    reader: pipe::Receiver,
    kept: Vec<u8>,
}

impl Output {
    fn make(layout: &Layout) -> Result<Self, OutputError> {
        let directory = tempfile::Builder::new()
            .prefix(STREAMS_PREFIX)
            .tempdir_in(layout.run())
            .map_err(OutputError)?;
        let path = fifo(&directory);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| OutputError(errno.into()))?;
        // Opened for both, it waits for no writer.
        let reader = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&path)
            .map_err(OutputError)?;
        Ok(Self {
            directory,
            reader,
            kept: Vec::new(),
        })
    }

    fn path(&self) -> PathBuf {
        fifo(&self.directory)
    }

    /// Reads on; never returns.
    async fn read(&mut self) -> Infallible {
        let mut buffer = [0; 4096];
        while let Ok(count) = self.reader.read(&mut buffer).await {
            self.keep(buffer.get(..count).unwrap_or_default());
        }
        std::future::pending().await
    }

    /// What is left in the fifo once the program has ended.
    fn text(mut self) -> String {
        let mut buffer = [0; 4096];
        while self.kept.len() < MOST_BYTES
            && let Ok(count @ 1..) = self.reader.try_read(&mut buffer)
        {
            self.keep(buffer.get(..count).unwrap_or_default());
        }
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    fn keep(&mut self, read: &[u8]) {
        let room = MOST_BYTES.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(read.get(..room).unwrap_or(read));
    }
}

fn fifo(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("output")
}

/// Runs the command in the container's instance.
pub async fn run(
    runtime: &Runtime<ImageStore>,
    layout: &Layout,
    target: &CheckTarget,
    command: &[String],
    within: Option<Duration>,
) -> CheckOutcome {
    let mut output = match Output::make(layout) {
        Ok(output) => output,
        Err(error) => return CheckOutcome::Unknown(connect::text(&error)),
    };
    let request = ExecRequest {
        argv: command.to_vec(),
        stdout: Some(output.path()),
        stderr: Some(output.path()),
        ..ExecRequest::default()
    };
    let (runtime, of) = (runtime.clone(), target.clone());
    // By a task of its own: what was started is held, and killed, even if its start is not waited for any more.
    let started = tokio::spawn(async move {
        let exec = runtime
            .exec_start(&of.uid, &of.name, of.attempt, &request)
            .await?;
        PortResult::Ok(Asked::new(exec, Vec::new()))
    });
    let running = async {
        let mut asked = match started.await {
            Ok(asked) => asked.map_err(|error| error.chain())?,
            Err(error) => return Err(error.to_string()),
        };
        // What it writes is read all the time, or it would hang on a full fifo.
        tokio::select! {
            code = asked.wait() => code.map_err(|error| error.chain()),
            never = output.read() => match never {},
        }
    };
    let ended = match within {
        Some(within) => tokio::time::timeout(within, running).await.ok(),
        None => Some(running.await),
    };
    match ended {
        None => CheckOutcome::Failure(format!("command {:?} timed out", command.join(" "))),
        Some(Ok(0)) => CheckOutcome::Success,
        Some(Ok(_)) => CheckOutcome::Failure(output.text()),
        Some(Err(error)) => CheckOutcome::Unknown(error),
    }
}
