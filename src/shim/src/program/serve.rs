//! `serve`: from the process that `start` made to one that stands on its own, then the loop.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fs::{Mode, OFlags};

use super::args::Args;
use crate::protocol::BootstrapResult;
use crate::supervisor::{Descriptors, Settings, Supervisor};

/// What the kubelet gives to its container runtime's shims: the last to be killed for memory.
const OOM_SCORE_ADJ: &str = "-998";

/// A shim that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Only `start` runs this action.
    #[error("serve is run by start, with a listening socket as its standard input")]
    NotByStart,
    /// Something of the kernel's.
    #[error("{operation}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn kernel<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> ServeError {
    move |source| ServeError::Kernel {
        operation,
        source: source.into(),
    }
}

/// Serves until a Shutdown.
pub fn serve(args: &Args) -> Result<(), ServeError> {
    let (Some(socket), Some(bundle)) = (&args.socket, &args.bundle) else {
        return Err(ServeError::NotByStart);
    };
    close_inherited();
    let descriptors = Descriptors::reserve().map_err(kernel("reserve descriptors"))?;
    let listener = take_listener()?;
    stand_alone()?;
    let signals = watch_signals()?;
    let settings = Settings {
        namespace: args.namespace.clone(),
        log: bundle.join("log"),
        debug: args.debug,
        socket: socket.clone(),
        events: event_service(),
    };
    let supervisor = Supervisor::new(settings, listener, signals, descriptors);
    let supervisor = supervisor.map_err(kernel("begin to poll"))?;
    // Up to here an error went to whoever ran `start`; from here on nobody may wait for our end of it.
    silence()?;
    protect(&supervisor);
    supervisor.run().map_err(kernel("poll"))
}

/// Whatever our caller left open beyond the standard streams must not live as long as the pod does.
fn close_inherited() {
    let listed = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let inherited: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    for number in inherited {
        // The listing's own descriptor is among them, and closed already.
        let _ = nix::unistd::close(number);
    }
}

/// The socket comes as standard input, whose place then goes to /dev/null.
fn take_listener() -> Result<UnixListener, ServeError> {
    let duplicate = io::stdin().as_fd().try_clone_to_owned();
    let listener: OwnedFd = duplicate.map_err(kernel("take the listening socket"))?;
    let listening = rustix::net::sockopt::socket_acceptconn(&listener);
    if listening != Ok(true) {
        return Err(ServeError::NotByStart);
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(kernel("open /dev/null"))?;
    nix::unistd::dup2_stdin(&null).map_err(kernel("replace standard input"))?;
    let listener = UnixListener::from(listener);
    listener
        .set_nonblocking(true)
        .map_err(kernel("make the socket non-blocking"))?;
    Ok(listener)
}

fn silence() -> Result<(), ServeError> {
    let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(kernel("open /dev/null"))?;
    nix::unistd::dup2_stderr(&null).map_err(kernel("replace standard error"))
}

fn stand_alone() -> Result<(), ServeError> {
    rustix::process::setsid().map_err(kernel("begin a session"))?;
    rustix::process::chdir("/").map_err(kernel("leave the bundle"))?;
    let ourselves = Some(rustix::process::getpid());
    rustix::process::set_child_subreaper(ourselves).map_err(kernel("become the subreaper"))?;
    Ok(())
}

/// Without CAP_SYS_RESOURCE it may not be lowered, and stays as it was inherited: that is said, and no more.
fn protect(supervisor: &Supervisor) {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ) {
        supervisor.note(&format!(
            "oom_score_adj cannot be set to {OOM_SCORE_ADJ}: {error}"
        ));
    }
}

fn watch_signals() -> Result<SignalFd, ServeError> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block().map_err(kernel("block signals"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(kernel("watch signals"))
}

fn event_service() -> Option<PathBuf> {
    let address = std::env::var("TTRPC_ADDRESS").ok()?;
    let result = BootstrapResult {
        address,
        ..BootstrapResult::default()
    };
    result
        .unix_path()
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
}
