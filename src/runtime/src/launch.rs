//! Starting a pod's shim, and finding it again.
//!
//! `SHIM -namespace N -address X -publish-binary B -id ID start` runs in the shim's bundle; the answer on its
//! standard output says where the shim listens. Asked again for the same id, a shim answers with the address
//! of the one that runs, so a start that was cut off is repeated. The bundle's `log` is a fifo that must be
//! held open; what comes out of it goes to this program's log, line by line and bounded.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::stat::Mode;
use pinnace_shim::protocol::{BootstrapResult, StartAnswerError};
use pinnace_sys::{SysError, file, process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::RuntimeError;
use crate::records::{self, ShimRecord};
use crate::task::{ShimAddress, ShimClient};

/// A start takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
/// A shim that keeps its starter's output open after the starter ended gets no longer than this.
const AFTER_EXIT: Duration = Duration::from_millis(200);
const MAX_ANSWER: u64 = 64 << 10;
const MAX_COMPLAINT: usize = 600;
/// Longest line of a shim's log that is passed on.
const MAX_LINE: usize = 1024;

/// Why no shim could be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program.
    #[error("execute the shim {}", program.display())]
    Execute {
        /// Its path.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It did not end.
    #[error("the shim's start was not done within {} s", LIMIT.as_secs())]
    TimedOut,
    /// It answered that it cannot.
    #[error("the shim's start failed ({status}): {complaint}")]
    Failed {
        /// As it ended.
        status: ExitStatus,
        /// The end of its standard error.
        complaint: String,
    },
    /// What it printed is no address.
    #[error("read the shim's answer")]
    Answer(#[from] StartAnswerError),
    /// Its address is no socket of this machine.
    #[error("the shim listens on {0:?}, which is no socket of this machine")]
    NotLocal(String),
    /// The fifo of its log.
    #[error("make the fifo {}", path.display())]
    Fifo {
        /// Its path.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// How a shim is started.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The shim's program.
    pub program: &'a Path,
    /// What it may call to publish events.
    pub publisher: &'a Path,
    /// containerd's namespace.
    pub namespace: &'a str,
    /// The id: the pod's UID.
    pub id: &'a str,
    /// The shim's bundle; its `config.json` is there.
    pub bundle: &'a Path,
    /// The events' socket.
    pub events: &'a Path,
    /// The node's root, told to our own shim, which keeps its sockets there.
    pub root: Option<&'a Path>,
}

/// A shim that answers.
#[derive(Debug)]
pub struct Shim {
    /// The client.
    pub client: ShimClient,
    /// Where and who it is.
    pub record: ShimRecord,
    /// Ends with this value.
    _log: Option<LogReader>,
}

impl Shim {
    /// A shim that was started earlier, as recorded; it may be dead.
    pub fn recorded(record: ShimRecord, namespace: &str, bundle: &Path) -> Self {
        let log = LogReader::open(&bundle.join("log"));
        let log = log
            .map_err(|error| tracing::warn!(%error, "a shim's log is not read"))
            .ok();
        Self {
            client: ShimClient::new(record.address.clone(), namespace),
            record,
            _log: log,
        }
    }

    /// The very process that was started still runs.
    pub fn is_alive(&self) -> bool {
        process::is_alive(self.record.pid, self.record.start_time)
    }
}

/// Reads which shim a bundle has, in our words or (where we were cut off) in the shim's own.
pub async fn find(namespace: &str, bundle: &Path) -> Result<Option<Shim>, RuntimeError> {
    if let Some(record) = records::read::<ShimRecord>(&bundle.join("shim.json"))? {
        return Ok(Some(Shim::recorded(record, namespace, bundle)));
    }
    let printed = match file::read_limited(&bundle.join("address"), MAX_ANSWER) {
        Ok(printed) => printed,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Ok(address) = BootstrapResult::parse(&printed)
        .map_err(LaunchError::from)
        .and_then(local)
    else {
        return Ok(None);
    };
    match meet(address, namespace, bundle, "").await {
        Ok(shim) => Ok(Some(shim)),
        // It was started, never used, and is gone: nothing of it is left to be known.
        Err(RuntimeError::Call(error)) if error.is_no_shim() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Launch<'_> {
    /// Starts the shim, or finds the one that runs, and records it in the bundle.
    pub async fn start(&self) -> Result<Shim, RuntimeError> {
        let fifo = self.bundle.join("log");
        make_fifo(&fifo)?;
        // Held open before the shim opens it, and until the shim's own value takes over.
        let log = LogReader::open(&fifo)?;
        let printed = self.run().await?;
        let address = local(BootstrapResult::parse(&printed).map_err(LaunchError::from)?)?;
        let mut shim = meet(address, self.namespace, self.bundle, self.id).await?;
        shim._log = Some(log);
        Ok(shim)
    }

    async fn run(&self) -> Result<Vec<u8>, LaunchError> {
        let failed = |source| LaunchError::Execute {
            program: self.program.to_owned(),
            source,
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        let mut command = Command::new(self.program);
        if let Some(root) = self.root {
            command.arg("-root").arg(root);
        }
        let mut child = command
            .args(["-namespace", self.namespace, "-address"])
            .arg(self.events)
            .arg("-publish-binary")
            .arg(self.publisher)
            .args(["-id", self.id, "start"])
            .current_dir(self.bundle)
            .env_clear()
            .env("PATH", path)
            .env("TTRPC_ADDRESS", self.events)
            .env("GRPC_ADDRESS", self.events)
            .env("NAMESPACE", self.namespace)
            // Go's shims start as many threads as there are processors otherwise.
            .env("GOMAXPROCS", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let streams = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let reading = async {
                tokio::join!(
                    read_up_to(streams.0, &mut stdout),
                    read_up_to(streams.1, &mut stderr)
                )
            };
            tokio::pin!(reading);
            tokio::select! {
                // Both streams ended, as they do when the starter ends.
                _ = &mut reading => child.wait().await,
                // Safe to cancel: the streams are read on below.
                status = child.wait() => {
                    // The shim may hold on to a stream; what its starter wrote is read by then.
                    let _ = timeout(AFTER_EXIT, reading).await;
                    status
                }
            }
        };
        let status = timeout(LIMIT, whole)
            .await
            .map_err(|_| LaunchError::TimedOut)?
            .map_err(failed)?;
        if status.success() {
            return Ok(stdout);
        }
        let text = String::from_utf8_lossy(&stderr);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let skip = words.chars().count().saturating_sub(MAX_COMPLAINT);
        Err(LaunchError::Failed {
            status,
            complaint: words.chars().skip(skip).collect(),
        })
    }
}

/// Reads into `text`, which keeps what was read also where this is dropped, or ends with an error.
async fn read_up_to(stream: Option<impl AsyncRead + Unpin>, text: &mut Vec<u8>) {
    if let Some(stream) = stream {
        let mut bounded = stream.take(MAX_ANSWER);
        while bounded.read_buf(text).await.is_ok_and(|count| count > 0) {}
    }
}

fn local(answer: BootstrapResult) -> Result<ShimAddress, LaunchError> {
    match answer.unix_path() {
        Some(socket) => Ok(ShimAddress {
            socket: socket.to_owned(),
            version: answer.version,
        }),
        None => Err(LaunchError::NotLocal(answer.address)),
    }
}

/// Asks the shim who it is and records that.
async fn meet(address: ShimAddress, namespace: &str, bundle: &Path, id: &str) -> Result<Shim, RuntimeError> {
    let client = ShimClient::new(address.clone(), namespace);
    let pid = client.connect(id).await?.shim_pid;
    let record = ShimRecord {
        address,
        pid,
        start_time: process::start_time(pid)?,
    };
    records::write(&bundle.join("shim.json"), &record)?;
    Ok(Shim {
        client,
        record,
        _log: None,
    })
}

fn make_fifo(path: &Path) -> Result<(), LaunchError> {
    match nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o600)) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(error) => Err(LaunchError::Fifo {
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

/// Reads a shim's log until it is dropped.
#[derive(Debug)]
struct LogReader(JoinHandle<()>);

impl LogReader {
    fn open(path: &Path) -> Result<Self, SysError> {
        // Opened for both, it never ends, and a shim's opening of it never waits.
        let fifo = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(path)
            .map_err(|source| SysError::new("open the fifo", path.display(), source))?;
        let shim = path.parent().unwrap_or(path).display().to_string();
        Ok(Self(tokio::spawn(drain(fifo, shim))))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn drain(mut fifo: pipe::Receiver, shim: String) {
    let mut line = Vec::new();
    let mut buffer = [0_u8; 1024];
    while let Ok(count) = fifo.read(&mut buffer).await {
        for byte in buffer.iter().take(count) {
            if *byte == b'\n' {
                tracing::debug!(%shim, "{}", String::from_utf8_lossy(&line));
                line.clear();
            } else if line.len() < MAX_LINE {
                line.push(*byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test ends where it finds a fault")]

    use std::os::unix::fs::PermissionsExt;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[tokio::test]
    async fn the_answer_is_read_though_the_shim_holds_its_starters_streams_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("shim");
        let script = "#!/bin/sh\nsleep 60 &\necho $! >holder\necho unix:///run/answer\n";
        // Written by another process: one that is forked in between may hold a descriptor open for writing.
        let written = std::process::Command::new("sh")
            .args(["-c", "printf %s \"$0\" >\"$1\""])
            .args([script.as_ref(), program.as_os_str()])
            .status();
        assert!(written.expect("a shell").success());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let launch = Launch {
            program: &program,
            publisher: Path::new("/bin/true"),
            namespace: "test",
            id: "one",
            bundle: folder.path(),
            events: Path::new("/run/events"),
            root: None,
        };
        let printed = launch.run().await;
        let holder = std::fs::read_to_string(folder.path().join("holder")).expect("the holder's pid");
        kill(
            Pid::from_raw(holder.trim().parse().expect("a pid")),
            Signal::SIGKILL,
        )
        .expect("its end");
        assert_eq!(printed.expect("an answer"), b"unix:///run/answer\n");
    }
}
