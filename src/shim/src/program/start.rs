//! `start`: one shim for each pod.
//!
//! The socket's name is a hash of what tells pods apart, so that every container of a pod comes to the same
//! one. Under a lock on the sockets' directory, a socket that answers is the pod's shim; one that does not is
//! a dead shim's, and is replaced. The new shim is this program again, in a session of its own; it inherits
//! the listening socket, so it can be connected to as soon as its address is printed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pinnace_sys::{Layout, SysError, file};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::args::Args;
use crate::bundle::{Config, ConfigError};
use crate::socket;

/// Keep the C library's allocator from holding on to memory that a shim needs for an instant only.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_TRIM_THRESHOLD_", "16384"),
    ("MALLOC_TOP_PAD_", "0"),
    ("MALLOC_MMAP_THRESHOLD_", "32768"),
];

/// A shim that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The working directory.
    #[error("find the bundle")]
    Bundle(#[source] io::Error),
    /// Its configuration.
    #[error("read the bundle")]
    Config(#[from] ConfigError),
    /// A file or directory.
    #[error("prepare the shim's files")]
    Files(#[from] SysError),
    /// The socket, its lock, the process.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Io {
        operation,
        path,
        source,
    }
}

/// Starts or joins the pod's shim and answers its address.
pub fn start(args: &Args) -> Result<String, StartError> {
    let bundle = match &args.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().map_err(StartError::Bundle)?,
    };
    let config = Config::read(&bundle)?;
    let group = config.group().unwrap_or(&args.id).to_owned();
    let root = args.root.clone().unwrap_or_else(|| "/".into());
    let directory = Layout::new(&root).run().join("s");
    file::create_dir_all(&directory, 0o700)?;
    let path = directory.join(socket_name(&args.namespace, &args.address, &group));
    let address = format!("unix://{}", path.display());

    let _lock = lock(&directory)?;
    let mut spawned = None;
    if !listens(&path) {
        let pod = if args.pod.is_empty() {
            config.pod()
        } else {
            Some(args.pod.clone())
        };
        spawned = Some(spawn(args, &bundle, &path, &root, &group, pod)?);
    }
    let told = file::write_replace(&bundle.join("address"), address.as_bytes(), 0o600);
    if told.is_err()
        && let Some(mut shim) = spawned
    {
        // Nobody would ever find it.
        let _ = shim.kill();
        let _ = shim.wait();
        let _ = std::fs::remove_file(&path);
    }
    told?;
    Ok(address)
}

/// Whether somebody listens there. Never waits: a shim that is too busy to take a connection now (its queue
/// is full) is one all the same, and must not hold up the other pods' starts, which wait for our lock.
fn listens(path: &Path) -> bool {
    match socket::connect_now(path) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Held until it is dropped.
fn lock(directory: &Path) -> Result<OwnedFd, StartError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty());
    let lock = opened.map_err(|e| failed("open", directory)(e.into()))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
        .map_err(|e| failed("lock", directory)(e.into()))?;
    Ok(lock)
}

fn spawn(
    args: &Args,
    bundle: &Path,
    path: &Path,
    root: &Path,
    group: &str,
    pod: Option<String>,
) -> Result<Child, StartError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", path)(error)),
        _ => {}
    }
    let listener = socket::bind(path).map_err(failed("bind", path))?;
    let program =
        std::env::current_exe().map_err(failed("find the program behind", Path::new("/proc/self/exe")))?;
    let mut command = Command::new(&program);
    command.args(["-namespace", &args.namespace, "-id", group]);
    command
        .arg("-root")
        .arg(root)
        .arg("-pod")
        .arg(pod.unwrap_or_default());
    command.arg("-bundle").arg(bundle).arg("-socket").arg(path);
    if args.debug {
        command.arg("-debug");
    }
    command.arg("serve").envs(ALLOCATOR);
    command.stdin(OwnedFd::from(listener)).stdout(Stdio::null());

    let spawned = command.spawn();
    let child = spawned
        .inspect_err(|_| drop(std::fs::remove_file(path)))
        .map_err(failed("run", &program))?;
    // For people only, so a start does not fail for it.
    let _ = file::write_replace(&bundle.join("shim.pid"), child.id().to_string().as_bytes(), 0o600);
    Ok(child)
}

/// 16 hexadecimal digits.
fn socket_name(namespace: &str, address: &str, group: &str) -> String {
    let parts = [
        namespace.as_bytes(),
        b"\0",
        address.as_bytes(),
        b"\0",
        group.as_bytes(),
    ];
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = parts.into_iter().flatten().fold(0xcbf2_9ce4_8422_2325, fnv);
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_name_tells_pods_and_callers_apart() {
        let name = socket_name("n", "a", "g");
        assert_eq!((name.len(), &name), (16, &socket_name("n", "a", "g")));
        for other in [
            socket_name("n", "ag", ""),
            socket_name("na", "", "g"),
            socket_name("n", "b", "g"),
        ] {
            assert_ne!(name, other);
        }
    }
}
