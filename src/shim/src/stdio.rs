//! The standard streams of a process, as Create and Exec name them.
//!
//! | in the request | stdin | stdout, stderr |
//! | --- | --- | --- |
//! | empty | `/dev/null` | `/dev/null` |
//! | `/path` | the fifo itself; kept open until CloseIO | the fifo itself |
//! | `file:///path` | | the file, appended to |
//! | `pinnace-log:///path?…` | | a pipe into the log |
//! | `binary:///path?…` (in stdout, for both) | | pipes to that program, descriptors 3 and 4 |
//!
//! With a terminal, the same targets take what the terminal prints, by a relay or pump of ours; stderr is
//! not used. Without one, a fifo or file is the container's own descriptor, and nothing passes through us.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::logs::uri::decode;
use crate::logs::{LogFile, LogTarget, LogUriError, Pump, StreamName};

/// What a request names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// Path, or empty.
    pub stdin: String,
    /// Path, URI, or empty.
    pub stdout: String,
    /// Path, URI, or empty.
    pub stderr: String,
    /// A terminal is wanted.
    pub terminal: bool,
}

/// A stream that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// Neither an absolute path nor a URI that is known.
    #[error("{0:?} is neither an absolute path nor a file, binary or pinnace-log URI")]
    Unknown(String),
    /// stderr alone cannot go to a program.
    #[error("a binary URI in stderr must be stdout's own, not {0:?}")]
    BinaryForStderr(String),
    /// A URI of ours.
    #[error("read a stream's URI")]
    Uri(#[from] LogUriError),
    /// The log.
    #[error("begin the log")]
    Log(#[from] crate::logs::file::OpenLogError),
    /// A path.
    #[error("open {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// Pipes and duplicates.
    #[error("{operation}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: Errno,
    },
}

fn kernel(operation: &'static str) -> impl FnOnce(Errno) -> StdioError {
    move |source| StdioError::Kernel { operation, source }
}

/// A logging program to be started before its container.
#[derive(Debug)]
pub struct LoggerOrder {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// To be its descriptors 3 and 4.
    pub streams: [OwnedFd; 2],
}

/// Where a terminal's output goes.
#[derive(Debug)]
pub enum TerminalOutput {
    /// Nowhere; it is read all the same, or the container would block.
    Nowhere,
    /// A log.
    Log(Rc<RefCell<LogFile>>),
    /// A fifo, file or pipe.
    Descriptor(OwnedFd),
}

/// Both ends of a process's streams: what it gets, and what stays here.
#[derive(Debug)]
pub struct Streams {
    /// stdin, stdout and stderr for the runtime's process.
    pub child: [Stdio; 3],
    /// Streams to be pumped into logs.
    pub pumps: Vec<Pump>,
    /// Keeps a fifo's reader from seeing its end; dropped at CloseIO.
    pub stdin_writer: Option<OwnedFd>,
    /// Keep fifos' writers from being refused while no reader is there.
    pub readers: Vec<OwnedFd>,
    /// With a terminal: its input, once it is there.
    pub terminal_input: Option<OwnedFd>,
    /// With a terminal: where its output goes.
    pub terminal_output: Option<TerminalOutput>,
    /// A program to be started first.
    pub logger: Option<LoggerOrder>,
}

impl Streams {
    /// Opens everything that `spec` names. `owner` is to own the pipes, where it is not root.
    pub fn open(spec: &Spec, owner: (u32, u32)) -> Result<Self, StdioError> {
        let mut streams = Self {
            child: [Stdio::null(), Stdio::null(), Stdio::null()],
            pumps: Vec::new(),
            stdin_writer: None,
            readers: Vec::new(),
            terminal_input: None,
            terminal_output: None,
            logger: None,
        };
        streams.open_stdin(spec)?;
        if spec.terminal {
            let output = streams.open_terminal_output(&spec.stdout)?;
            streams.terminal_output = Some(output);
        } else if spec.stdout.starts_with("binary:") {
            streams.open_binary(spec, owner)?;
        } else {
            streams.open_outputs(spec, owner)?;
        }
        Ok(streams)
    }

    fn open_stdin(&mut self, spec: &Spec) -> Result<(), StdioError> {
        if spec.stdin.is_empty() {
            return Ok(());
        }
        let path = absolute(&spec.stdin)?;
        let reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if is_fifo(&reader) {
            self.stdin_writer = Some(open(&path, OFlags::WRONLY | OFlags::NONBLOCK)?);
        }
        if spec.terminal {
            self.terminal_input = Some(reader);
        } else {
            // The container's own descriptor, which it expects to block.
            rustix::fs::fcntl_setfl(&reader, OFlags::empty()).map_err(kernel("make stdin blocking"))?;
            self.child[0] = reader.into();
        }
        Ok(())
    }

    fn open_outputs(&mut self, spec: &Spec, owner: (u32, u32)) -> Result<(), StdioError> {
        let mut shared: Option<(&str, Rc<RefCell<LogFile>>)> = None;
        let outputs = [
            (1, &spec.stdout, StreamName::Stdout),
            (2, &spec.stderr, StreamName::Stderr),
        ];
        for (index, uri, name) in outputs {
            if !LogTarget::is_ours(uri) {
                if let Some(descriptor) = self.open_output(uri)? {
                    self.child[index] = descriptor.into();
                }
                continue;
            }
            let log = match &shared {
                Some((known, log)) if *known == uri.as_str() => Rc::clone(log),
                _ => Rc::new(RefCell::new(LogFile::open(&LogTarget::parse(uri)?)?)),
            };
            shared = Some((uri, Rc::clone(&log)));
            let (reader, writer) = pipe(owner)?;
            rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(kernel("make a pipe non-blocking"))?;
            self.pumps.push(Pump::new(reader, name, log));
            self.child[index] = writer.into();
        }
        Ok(())
    }

    /// The container's own descriptor of a fifo or file.
    fn open_output(&mut self, uri: &str) -> Result<Option<OwnedFd>, StdioError> {
        if uri.is_empty() {
            return Ok(None);
        }
        if uri.starts_with("binary:") {
            return Err(StdioError::BinaryForStderr(uri.to_owned()));
        }
        if let Some(path) = uri.strip_prefix("file://") {
            let path = decode(path)?;
            return open(&path, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND).map(Some);
        }
        let path = absolute(uri)?;
        let reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let writer = open(&path, OFlags::WRONLY | OFlags::NONBLOCK)?;
        rustix::fs::fcntl_setfl(&writer, OFlags::empty()).map_err(kernel("make a fifo blocking"))?;
        if is_fifo(&reader) {
            self.readers.push(reader);
        }
        Ok(Some(writer))
    }

    fn open_terminal_output(&mut self, uri: &str) -> Result<TerminalOutput, StdioError> {
        if LogTarget::is_ours(uri) {
            let log = LogFile::open(&LogTarget::parse(uri)?)?;
            return Ok(TerminalOutput::Log(Rc::new(RefCell::new(log))));
        }
        if uri.starts_with("binary:") {
            let (out, err) = (pipe((0, 0))?, pipe((0, 0))?);
            self.logger = Some(logger(uri, [out.0, err.0])?);
            rustix::fs::fcntl_setfl(&out.1, OFlags::NONBLOCK).map_err(kernel("make a pipe non-blocking"))?;
            return Ok(TerminalOutput::Descriptor(out.1));
        }
        match self.open_output(uri)? {
            None => Ok(TerminalOutput::Nowhere),
            Some(descriptor) => {
                rustix::fs::fcntl_setfl(&descriptor, OFlags::NONBLOCK)
                    .map_err(kernel("make a fifo non-blocking"))?;
                Ok(TerminalOutput::Descriptor(descriptor))
            }
        }
    }

    fn open_binary(&mut self, spec: &Spec, owner: (u32, u32)) -> Result<(), StdioError> {
        if !spec.stderr.is_empty() && spec.stderr != spec.stdout {
            return Err(StdioError::BinaryForStderr(spec.stderr.clone()));
        }
        let (out, err) = (pipe(owner)?, pipe(owner)?);
        self.logger = Some(logger(&spec.stdout, [out.0, err.0])?);
        self.child[1] = out.1.into();
        self.child[2] = err.1.into();
        Ok(())
    }
}

/// The program of a `binary://` URI; keys and values of the query are its arguments, as containerd has it.
fn logger(uri: &str, streams: [OwnedFd; 2]) -> Result<LoggerOrder, StdioError> {
    let unknown = || StdioError::Unknown(uri.chars().take(200).collect());
    let rest = uri.strip_prefix("binary://").ok_or_else(unknown)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let program = decode(path)?;
    if !program.is_absolute() {
        return Err(unknown());
    }
    let mut arguments = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // In a query, a plus sign stands for a space.
        for part in [key, value] {
            arguments.push(decode(&part.replace('+', "%20"))?.into_os_string());
        }
    }
    Ok(LoggerOrder {
        program,
        arguments,
        streams,
    })
}

fn absolute(text: &str) -> Result<PathBuf, StdioError> {
    let path = Path::new(text.strip_prefix("fifo://").unwrap_or(text));
    match path.is_absolute() {
        true => Ok(path.to_owned()),
        false => Err(StdioError::Unknown(text.chars().take(200).collect())),
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, StdioError> {
    rustix::fs::open(
        path,
        flags | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::from_raw_mode(0o640),
    )
    .map_err(|source| StdioError::Open {
        path: path.to_owned(),
        source,
    })
}

fn is_fifo(descriptor: &OwnedFd) -> bool {
    rustix::fs::fstat(descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// A pipe that its container may open anew through `/dev/stdout`.
fn pipe(owner: (u32, u32)) -> Result<(OwnedFd, OwnedFd), StdioError> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(kernel("make a pipe"))?;
    if owner != (0, 0) {
        let (user, group) = (
            rustix::fs::Uid::from_raw(owner.0),
            rustix::fs::Gid::from_raw(owner.1),
        );
        rustix::fs::fchown(&writer, Some(user), Some(group)).map_err(kernel("give a pipe to its user"))?;
    }
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_spec(stdin: &str, stdout: &str, stderr: &str) -> Result<Streams, StdioError> {
        let (stdin, stdout, stderr) = (stdin.to_owned(), stdout.to_owned(), stderr.to_owned());
        Streams::open(
            &Spec {
                stdin,
                stdout,
                stderr,
                terminal: false,
            },
            (0, 0),
        )
    }

    #[test]
    fn both_streams_of_one_log_share_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let uri = LogTarget::new(directory.path().join("0.log")).to_string();
        let streams = open_spec("", &uri, &uri).unwrap();
        assert_eq!(streams.pumps.len(), 2);
        assert!(directory.path().join("0.log").exists());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for stdout in ["relative", "http://x", "binary://relative"] {
            assert!(open_spec("", stdout, "").is_err(), "{stdout} was taken");
        }
        assert!(matches!(
            open_spec("", "", "binary:///x"),
            Err(StdioError::BinaryForStderr(_))
        ));
        assert!(matches!(
            open_spec("", "/no/such/fifo", ""),
            Err(StdioError::Open { .. })
        ));
    }

    #[test]
    fn a_binary_uri_becomes_a_program_and_its_arguments() {
        let streams = open_spec("", "binary:///bin/log%20er?a=b+c&d", "").unwrap();
        let order = streams.logger.unwrap();
        assert_eq!(order.program, Path::new("/bin/log er"));
        assert_eq!(order.arguments, ["a", "b c", "d", ""]);
    }
}
