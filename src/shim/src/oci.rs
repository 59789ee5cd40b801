//! The OCI runtime's command line, common to runc, crun and youki.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pinnace_sys::file;

use crate::protocol::options::RuncOptions;

const DEFAULT_BINARY: &str = "runc";
const DEFAULT_ROOT: &str = "/run/containerd/runc";
const RUNTIME_FILE: &str = "runtime.json";
const MAX_RUNTIME_FILE_BYTES: u64 = 64 << 10;
/// How much of the end of a runtime's log is looked at.
const MAX_LOG_TAIL_BYTES: u64 = 64 << 10;
/// Longest message that is passed on.
const MAX_MESSAGE_LEN: usize = 4096;
/// What a runtime is given of our environment; `NOTIFY_SOCKET` above all it must not see, or it would wait.
const ENVIRONMENT: [&str; 6] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "LANG",
];

/// An OCI runtime and how it is to be called.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Runtime {
    /// Program, a path or a name.
    pub binary: String,
    /// Its state directory, containerd's namespace included.
    pub root: PathBuf,
    #[serde(default)]
    systemd_cgroup: bool,
    #[serde(default)]
    no_pivot_root: bool,
    #[serde(default)]
    no_new_keyring: bool,
}

/// `runtime.json` cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeFileError {
    /// The file.
    #[error("keep the runtime's name")]
    File(#[from] pinnace_sys::SysError),
    /// Its text.
    #[error("read {}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl Runtime {
    /// The runtime that a Create's options name, with containerd's defaults.
    pub fn from_options(options: &RuncOptions, namespace: &str) -> Self {
        let or = |text: &str, default: &str| if text.is_empty() { default } else { text }.to_owned();
        Self {
            binary: or(&options.binary_name, DEFAULT_BINARY),
            root: Path::new(&or(&options.root, DEFAULT_ROOT)).join(namespace),
            systemd_cgroup: options.systemd_cgroup,
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
        }
    }

    /// Keeps it in the bundle for `delete`.
    pub fn save(&self, bundle: &Path) -> Result<(), RuntimeFileError> {
        let path = bundle.join(RUNTIME_FILE);
        let text = serde_json::to_vec(self).map_err(|source| RuntimeFileError::Json {
            path: path.clone(),
            source,
        })?;
        Ok(file::write_replace(&path, &text, 0o600)?)
    }

    /// The one kept in the bundle; `None` where no Create came so far.
    pub fn load(bundle: &Path) -> Result<Option<Self>, RuntimeFileError> {
        let path = bundle.join(RUNTIME_FILE);
        let text = match file::read_limited(&path, MAX_RUNTIME_FILE_BYTES) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| RuntimeFileError::Json { path, source })
    }

    /// Whether a signal to a container's first process is all that `kill` would do, so that it need not be
    /// run for it. Of other runtimes (a sandbox of their own, a virtual machine) that process may be another.
    pub fn signals_reach_processes(&self) -> bool {
        let name = Path::new(&self.binary).file_name().and_then(OsStr::to_str);
        matches!(name, Some("runc" | "crun" | "youki"))
    }

    /// A call of the runtime with its messages in `log` and nothing on its streams.
    pub fn command(&self, log: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear();
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.arg("--root").arg(&self.root).arg("--log").arg(log);
        command.args(["--log-format", "json"]);
        if self.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// `create` up to the id.
    pub fn create(&self, log: &Path, bundle: &Path, pid_file: &Path, console: Option<&Path>) -> Command {
        let mut command = self.command(log);
        command
            .arg("create")
            .arg("--bundle")
            .arg(bundle)
            .arg("--pid-file")
            .arg(pid_file);
        if let Some(console) = console {
            command.arg("--console-socket").arg(console);
        }
        if self.no_pivot_root {
            command.arg("--no-pivot");
        }
        if self.no_new_keyring {
            command.arg("--no-new-keyring");
        }
        command
    }

    /// `exec` up to the id.
    pub fn exec(&self, log: &Path, process: &Path, pid_file: &Path, console: Option<&Path>) -> Command {
        let mut command = self.command(log);
        command.args(["exec", "--detach", "--process"]).arg(process);
        command.arg("--pid-file").arg(pid_file);
        if let Some(console) = console {
            command.arg("--console-socket").arg(console);
        }
        command
    }
}

#[derive(serde::Deserialize)]
struct LogLine {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
}

/// The last error that a runtime wrote into its log.
pub fn last_message(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LOG_TAIL_BYTES)))
        .ok()?;
    let mut text = Vec::new();
    file.take(MAX_LOG_TAIL_BYTES).read_to_end(&mut text).ok()?;
    let lines = text.split(|byte| *byte == b'\n').rev();
    let mut read = lines.filter_map(|line| serde_json::from_slice::<LogLine>(line).ok());
    let found = read.find(|line| matches!(line.level.as_str(), "error" | "fatal") && !line.msg.is_empty())?;
    Some(found.msg.trim().chars().take(MAX_MESSAGE_LEN).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_containerds() {
        let runtime = Runtime::from_options(&RuncOptions::default(), "k8s.io");
        assert_eq!(
            (runtime.binary.as_str(), runtime.root.to_str()),
            ("runc", Some("/run/containerd/runc/k8s.io"))
        );
        assert!(runtime.signals_reach_processes());
        let options = RuncOptions {
            binary_name: "/opt/runsc".into(),
            ..Default::default()
        };
        assert!(!Runtime::from_options(&options, "n").signals_reach_processes());
    }

    #[test]
    fn a_runtime_is_found_again_in_its_bundle() {
        let bundle = tempfile::tempdir().unwrap();
        assert_eq!(Runtime::load(bundle.path()).unwrap(), None);
        let options = RuncOptions {
            root: "/r".into(),
            systemd_cgroup: true,
            ..Default::default()
        };
        let runtime = Runtime::from_options(&options, "n");
        runtime.save(bundle.path()).unwrap();
        assert_eq!(Runtime::load(bundle.path()).unwrap(), Some(runtime));
    }

    #[test]
    fn the_last_error_of_a_log_is_the_message() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("l");
        assert_eq!(last_message(&log), None);
        std::fs::write(
            &log,
            "{\"level\":\"error\",\"msg\":\"first\"}\nnot json\n\
             {\"level\":\"error\",\"msg\":\"runc create failed: no such file\"}\n\
             {\"level\":\"warning\",\"msg\":\"later\"}\n",
        )
        .unwrap();
        assert_eq!(
            last_message(&log).as_deref(),
            Some("runc create failed: no such file")
        );
    }
}
