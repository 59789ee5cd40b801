//! `pinnace exec`: the program's streams pass through fifos of ours straight to the shim, never through the
//! agent.
//!
//! ```text
//! terminal ◀──▶ this program ◀──fifos──▶ shim ◀──▶ program in the container
//!                     └── request, exit code ──▶ agent
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::mkfifo;
use pinnace_api::{ContainerName, Namespace, ObjectName};
use pinnace_server::{Client, ClientError, ExecRequest};
use pinnace_sys::Layout;

use super::default_container;
use super::get::{GetError, fetch_one};
use super::row::text;
use crate::cli::{ExecArgs, Resource};

/// How often is looked whether the command has read its input.
const UNREAD_INTERVAL: Duration = Duration::from_millis(5);

/// How the name of a command's directory of streams begins, below the node's `run`.
pub const STREAMS_PREFIX: &str = "exec-";

/// Why the program could not be run, or its streams not be carried.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The agent refused or does not run.
    #[error(transparent)]
    Agent(#[from] ClientError),
    /// The pod that is meant cannot be told.
    #[error(transparent)]
    Pod(#[from] GetError),
    /// A name on the command line is no name.
    #[error(transparent)]
    Name(#[from] pinnace_api::ident::IdentError),
    /// `-t` without a terminal.
    #[error("--tty needs a terminal on standard input")]
    NoTerminal(#[source] nix::Error),
    /// The streams' fifos could not be made.
    #[error("make the fifo {path}")]
    Fifo {
        /// The fifo.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs the command and answers its exit code.
pub fn run(
    layout: &Layout,
    client: &Client,
    runtime: &tokio::runtime::Runtime,
    args: &ExecArgs,
    meant: Meant,
) -> Result<i32, ExecError> {
    let mut streams = Streams::make(layout, args)?;
    let raw = if args.tty {
        Some(RawTerminal::enter()?)
    } else {
        None
    };
    let request = ExecRequest {
        namespace: meant.namespace,
        pod: ObjectName::new(args.target.pod.as_str())?,
        container: meant.container,
        command: args.command.clone(),
        tty: args.tty,
        terminal_size: if args.tty { terminal_size() } else { None },
        stdin: streams.stdin.clone(),
        stdout: Some(streams.stdout.clone()),
        stderr: streams.stderr.clone(),
    };
    let (carried, held) = streams.carry()?;
    let answer = runtime.block_on(client.exec(&request))?;
    drop(held);
    for thread in carried {
        // A thread that panicked has said so on stderr.
        let _ = thread.join();
    }
    // Only now: what the program printed last is meant for a raw terminal too.
    drop(raw);
    Ok(answer.exit_code)
}

/// The pod that is meant, and its container.
pub struct Meant {
    namespace: Namespace,
    container: Option<ContainerName>,
}

/// Asks the agent which pod and container are meant; says so where several containers could be.
pub async fn meant(client: &Client, args: &ExecArgs) -> Result<Meant, ExecError> {
    let target = &args.target;
    let pod = fetch_one(client, Resource::Pods, target.namespace.as_ref(), &target.pod).await?;
    let namespace = Namespace::new(text(&pod, "/metadata/namespace"))?;
    let container = match &target.container {
        Some(name) => Some(name.clone()),
        None => default_container(&pod),
    };
    let container = container.map(ContainerName::new).transpose()?;
    Ok(Meant { namespace, container })
}

/// The fifos of one command, removed with their directory when it has ended.
struct Streams {
    _directory: tempfile::TempDir,
    stdin: Option<PathBuf>,
    /// Held before the command is asked for: it reads the end of its input when the last writer goes.
    stdin_writer: Option<File>,
    stdout: PathBuf,
    stderr: Option<PathBuf>,
}

impl Streams {
    fn make(layout: &Layout, args: &ExecArgs) -> Result<Self, ExecError> {
        let parent = layout.run();
        let directory = tempfile::Builder::new()
            .prefix(STREAMS_PREFIX)
            .tempdir_in(&parent)
            .map_err(|source| ExecError::Fifo { path: parent, source })?;
        let make = |name: &str| -> Result<PathBuf, ExecError> {
            let path = directory.path().join(name);
            mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| ExecError::Fifo {
                path: path.clone(),
                source: errno.into(),
            })?;
            Ok(path)
        };
        let stdin = if args.stdin { Some(make("stdin")?) } else { None };
        let stdout = make("stdout")?;
        let stderr = if args.tty { None } else { Some(make("stderr")?) };
        let stdin_writer = stdin.as_ref().map(open_writer).transpose()?;
        Ok(Self {
            stdin,
            stdin_writer,
            stdout,
            stderr,
            _directory: directory,
        })
    }

    /// Starts a thread for each stream; those that read end with the program, and only they are waited for. They end
    /// no sooner than what is held is let go.
    fn carry(&mut self) -> Result<(Vec<JoinHandle<()>>, Vec<File>), ExecError> {
        if let Some(mut fifo) = self.stdin_writer.take() {
            std::thread::spawn(move || {
                copy(&mut io::stdin().lock(), &mut fifo);
                hold_until_read(&fifo);
            });
        }
        let (mut out, held) = open_reader(&self.stdout)?;
        let mut held = vec![held];
        let mut carried = vec![std::thread::spawn(move || copy(&mut out, &mut io::stdout()))];
        if let Some(path) = &self.stderr {
            let (mut err, also_held) = open_reader(path)?;
            held.push(also_held);
            carried.push(std::thread::spawn(move || copy(&mut err, &mut io::stderr())));
        }
        Ok((carried, held))
    }
}

/// A writer of a fifo that has no reader yet: opened for both, it does not wait for one.
fn open_writer(path: &PathBuf) -> Result<File, ExecError> {
    let both = OpenOptions::new().read(true).write(true).open(path);
    both.map_err(|source| ExecError::Fifo {
        path: path.clone(),
        source,
    })
}

/// A reader of a fifo that has no writer yet, and a writer that keeps it from reading an end before one came. A
/// program may begin, print and end before a thread of ours gets to run: what it printed must find a reader.
fn open_reader(path: &PathBuf) -> Result<(File, File), ExecError> {
    let held = open_writer(path)?;
    let reader = File::open(path).map_err(|source| ExecError::Fifo {
        path: path.clone(),
        source,
    })?;
    Ok((reader, held))
}

/// What is in a fifo is lost with its last opener, and the shim may not have opened it yet. A command that
/// never reads keeps this thread until the program ends.
fn hold_until_read(fifo: &File) {
    while rustix::io::ioctl_fionread(fifo).is_ok_and(|unread| unread > 0) {
        std::thread::sleep(UNREAD_INTERVAL);
    }
}

/// Copies until either side ends, passing on what there is at once.
fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// The terminal in raw mode, set back when dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Result<Self, ExecError> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).map_err(ExecError::NoTerminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).map_err(ExecError::NoTerminal)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

/// Columns and rows of the terminal on standard input.
fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdin().as_fd()).ok()?;
    Some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_before_anybody_reads_is_there_to_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let (mut reader, held) = open_reader(&path).unwrap();
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"all of it").unwrap();
        drop((writer, held));
        let mut read = Vec::new();
        copy(&mut reader, &mut read);
        assert_eq!(read, b"all of it");
    }

    #[test]
    fn a_program_that_prints_nothing_ends_the_reading_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let (mut reader, held) = open_reader(&path).unwrap();
        drop(held);
        let mut read = Vec::new();
        copy(&mut reader, &mut read);
        assert!(read.is_empty());
    }
}
