//! Unix sockets at paths of any length.
//!
//! The kernel takes at most 107 bytes of path; a longer one is reached through its directory's descriptor
//! under `/proc/self/fd`.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

/// Longest path that is used as it is.
const MAX_PATH_LEN: usize = 107;

/// Connects to the socket at `path`.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    through_short_path(path, |short| UnixStream::connect(short))
}

/// Connects without waiting: where the other side does not take connections fast enough, that is an error.
pub fn connect_now(path: &Path) -> io::Result<UnixStream> {
    through_short_path(path, |short| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(short)?)?;
        Ok(socket.into())
    })
}

/// Binds a socket at `path`, where nothing may be yet, and listens.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    through_short_path(path, |short| UnixListener::bind(short))
}

/// Calls `action` with a path of the same file that is short enough for the kernel; it is valid in this
/// process and during the call only.
pub fn through_short_path<T>(path: &Path, action: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= MAX_PATH_LEN {
        return action(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty())?;
    action(
        &Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_over_the_kernels_limit_is_bound_and_reached() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("d".repeat(120));
        std::fs::create_dir(&long).unwrap();
        for path in [directory.path().join("s"), long.join("s")] {
            let listener = bind(&path).unwrap();
            connect(&path).unwrap();
            listener.accept().unwrap();
            assert!(path.exists());
        }
    }
}
