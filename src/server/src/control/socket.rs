//! The control socket's file: made whole in one step, reachable under paths of any length.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The longest path that an address of the kernel's holds (`sun_path` without its end).
const LONGEST: usize = 107;

/// A path that reaches a socket, and the directory's descriptor that it may go through.
struct Reach {
    path: PathBuf,
    _directory: Option<File>,
}

/// A long path is reached through its directory's descriptor.
fn reach(socket: &Path) -> io::Result<Reach> {
    if socket.as_os_str().len() <= LONGEST {
        return Ok(Reach {
            path: socket.to_owned(),
            _directory: None,
        });
    }
    let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = File::open(parent)?;
    let path = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    Ok(Reach {
        path,
        _directory: Some(directory),
    })
}

/// Listens on `socket`. The file appears with mode 0600 and takes the place of one that a dead agent left;
/// that no other agent lives is the caller's to know (it holds the root's lock).
pub(super) fn listen(socket: &Path) -> io::Result<UnixListener> {
    let mut name = socket.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = socket.with_file_name(name);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = {
        let reached = reach(&fresh)?;
        UnixListener::bind(&reached.path)?
    };
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, socket)?;
    Ok(listener)
}

/// Connects to `socket`.
pub(super) async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let reached = reach(socket)?;
    UnixStream::connect(&reached.path).await
}
