//! How an instance ended, in Kubernetes' words.

use std::path::Path;

use pinnace_core::pod::Exit;
use pinnace_core::time::WallMillis;
use pinnace_shim::protocol::Timestamp;
use pinnace_sys::clock;

/// Of a termination message, this much is kept, as by the kubelet.
const MAX_TERMINATION_MESSAGE: u64 = 4096;
/// Exit code of what could not be started, as container daemons report it.
const START_ERROR_CODE: i32 = 128;

/// What shim and cgroup say of an end.
#[derive(Debug, Clone, Copy)]
pub struct EndOf {
    /// 128 + signal for a signal.
    pub exit_status: u32,
    /// When, as the shim saw it.
    pub exited_at: Option<Timestamp>,
    /// The kernel killed a process of the container for memory.
    pub out_of_memory: bool,
    /// When its program was started, where known.
    pub started_at: Option<WallMillis>,
}

/// The exit, with what the container left in its termination log.
pub fn exit_of(end: EndOf, termination_log: &Path) -> Exit {
    let reason = match (end.out_of_memory, end.exit_status) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    let told = end
        .exited_at
        .map(|at| at.unix_millis())
        .and_then(|millis| u64::try_from(millis).ok());
    Exit {
        code: i32::try_from(end.exit_status).unwrap_or(255),
        reason: reason.to_owned(),
        message: termination_message(termination_log),
        started_at: end.started_at,
        // A shim that does not know says so by the epoch.
        finished_at: WallMillis(
            told.filter(|millis| *millis > 0)
                .unwrap_or_else(clock::wall_millis),
        ),
    }
}

/// The exit of an instance whose program could not be started.
pub fn start_error(message: String) -> Exit {
    Exit {
        code: START_ERROR_CODE,
        reason: "StartError".to_owned(),
        message,
        started_at: None,
        finished_at: WallMillis(clock::wall_millis()),
    }
}

fn termination_message(path: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MAX_TERMINATION_MESSAGE)))?;
        file.take(MAX_TERMINATION_MESSAGE).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(exit_status: u32, out_of_memory: bool) -> EndOf {
        let exited_at = Some(Timestamp {
            seconds: 5,
            nanos: 7_000_000,
        });
        EndOf {
            exit_status,
            exited_at,
            out_of_memory,
            started_at: None,
        }
    }

    #[test]
    fn reasons_are_kubernetes_own() {
        let reason = |status, oom| exit_of(end(status, oom), Path::new("/nowhere")).reason;
        assert_eq!(reason(0, false), "Completed");
        assert_eq!(reason(3, false), "Error");
        assert_eq!(reason(137, true), "OOMKilled");
    }

    #[test]
    fn instants_and_the_end_of_a_long_message_are_kept() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{}end", "x".repeat(5000))).expect("written");
        let exit = exit_of(end(1, false), file.path());
        assert_eq!(exit.finished_at, WallMillis(5007));
        assert_eq!(exit.message.len(), 4096);
        assert!(exit.message.ends_with("end"));
    }
}
