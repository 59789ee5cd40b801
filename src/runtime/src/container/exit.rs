//! How an instance ended, in Kubernetes' words.

use std::path::Path;

use pinnace_core::pod::Exit;
use pinnace_core::time::WallMillis;
use pinnace_shim::protocol::Timestamp;
use pinnace_sys::clock;

use super::Bundle;
use super::message::MessageRule;
use crate::records::ContainerRecord;

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

/// The exit, with what the container says of it; without a record, its file alone is asked.
pub fn exit_of(end: EndOf, bundle: &Bundle, record: Option<&ContainerRecord>) -> Exit {
    let reason = match (end.out_of_memory, end.exit_status) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    let told = end
        .exited_at
        .map(|at| at.unix_millis())
        .and_then(|millis| u64::try_from(millis).ok());
    let code = i32::try_from(end.exit_status).unwrap_or(255);
    let rule = record.map_or(MessageRule::default(), |record| record.message);
    let log = record.map_or(Path::new(""), |record| &record.log);
    Exit {
        code,
        reason: reason.to_owned(),
        message: rule.read(code, &bundle.termination_log(), log),
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

    fn bundle(path: &Path) -> Bundle {
        Bundle {
            path: path.to_owned(),
            writable: path.to_owned(),
        }
    }

    #[test]
    fn reasons_are_kubernetes_own() {
        let reason = |status, oom| exit_of(end(status, oom), &bundle(Path::new("/nowhere")), None).reason;
        assert_eq!(reason(0, false), "Completed");
        assert_eq!(reason(3, false), "Error");
        assert_eq!(reason(137, true), "OOMKilled");
    }

    #[test]
    fn instants_and_the_end_of_a_long_message_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let bundle = bundle(folder.path());
        std::fs::write(bundle.termination_log(), format!("{}end", "x".repeat(5000))).expect("written");
        let exit = exit_of(end(1, false), &bundle, None);
        assert_eq!(exit.finished_at, WallMillis(5007));
        assert_eq!(exit.message.len(), 4096);
        assert!(exit.message.ends_with("end"));
    }
}
