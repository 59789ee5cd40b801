//! `delete`: what is left of a container whose shim is dead. Its processes are ended and the OCI runtime
//! forgets it; how it ended is not known, so it is told as killed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

use prost::Message;

use super::args::Args;
use crate::oci::{Runtime, RuntimeFileError, last_message};
use crate::protocol::Timestamp;
use crate::protocol::task::DeleteResponse;

/// 128 + SIGKILL.
const KILLED: u32 = 137;
const MAX_PID_FILE_BYTES: u64 = 32;

/// A container that cannot be cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The working directory.
    #[error("find the bundle")]
    Bundle(#[source] io::Error),
    /// Which runtime it was.
    #[error("find the container's OCI runtime")]
    Runtime(#[from] RuntimeFileError),
    /// The runtime's program.
    #[error("run {binary}")]
    Run {
        /// The program.
        binary: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("OCI runtime delete failed: {message}")]
    Refused {
        /// In its own words.
        message: String,
    },
}

/// Cleans up, any number of times, and answers the encoded DeleteResponse.
pub fn delete(args: &Args) -> Result<Vec<u8>, CleanupError> {
    let bundle = match &args.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().map_err(CleanupError::Bundle)?,
    };
    // Without this file no Create has come, so there is no container.
    if let Some(runtime) = Runtime::load(&bundle)? {
        force_delete(&runtime, &bundle, &args.id)?;
    }
    let pid = pinnace_sys::file::read_text(&bundle.join("init.pid"), MAX_PID_FILE_BYTES).ok();
    let response = DeleteResponse {
        pid: pid.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        exit_status: KILLED,
        exited_at: Some(Timestamp::now()),
    };
    Ok(response.encode_to_vec())
}

fn force_delete(runtime: &Runtime, bundle: &Path, id: &str) -> Result<(), CleanupError> {
    let log: PathBuf = bundle.join("runtime-delete.log");
    let mut command = runtime.command(&log);
    command.args(["delete", "--force"]).arg(id);
    let output = command.output();
    let message = last_message(&log);
    let _ = std::fs::remove_file(&log);
    let output: Output = output.map_err(|source| CleanupError::Run {
        binary: runtime.binary.clone(),
        source,
    })?;
    match (output.status.success(), message) {
        (true, _) => Ok(()),
        (false, Some(text)) if text.contains("does not exist") => Ok(()),
        (false, message) => Err(CleanupError::Refused {
            message: message.unwrap_or_else(|| output.status.to_string()),
        }),
    }
}
