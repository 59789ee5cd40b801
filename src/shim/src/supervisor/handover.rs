//! Descriptors that change hands: to a logging program at fixed places, from the OCI runtime over a socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, Errno};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::socket;

/// Descriptors 3, 4 and 5 are kept free of anything else, so that a logging program can find its own there.
///
/// What they lead to between two programs is held open apart, so that giving a place back needs no descriptor
/// more and cannot fail for want of one.
#[derive(Debug)]
pub struct Descriptors {
    places: [OwnedFd; 3],
    null: OwnedFd,
}

impl Descriptors {
    /// Takes the three places; nothing but 0, 1 and 2 may be open yet.
    pub fn reserve() -> Result<Self, Errno> {
        let place = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let places = [place()?, place()?, place()?];
        let null = place()?;
        match places.iter().map(AsRawFd::as_raw_fd).eq(3..6) {
            true => Ok(Self { places, null }),
            false => Err(Errno::MFILE),
        }
    }

    /// Starts a program with the three descriptors in the places; they are its alone afterwards.
    pub fn spawn(&mut self, command: &mut Command, descriptors: &[OwnedFd; 3]) -> io::Result<u32> {
        // This thread is the only one, so nothing else can inherit them meanwhile.
        let mut pairs = descriptors.iter().zip(&mut self.places);
        let placed = pairs.try_for_each(|(descriptor, place)| rustix::io::dup2(descriptor, place));
        let spawned = placed.map_err(io::Error::from).and_then(|()| command.spawn());
        for place in &mut self.places {
            rustix::io::dup3(&self.null, place, DupFlags::CLOEXEC)?;
        }
        Ok(spawned?.id())
    }
}

/// A socket over which the runtime hands a terminal over.
#[derive(Debug)]
pub struct Console {
    listener: UnixListener,
    path: PathBuf,
    /// Keeps a long path's directory reachable for the runtime.
    directory: OwnedFd,
}

impl Console {
    pub fn bind(path: PathBuf) -> io::Result<Self> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(parent, flags, Mode::empty())?;
        let listener = socket::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path,
            directory,
        })
    }

    /// A path for another process, short enough for the kernel.
    pub fn path_for_runtime(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default();
        let (process, descriptor) = (std::process::id(), self.directory.as_raw_fd());
        PathBuf::from(format!("/proc/{process}/fd/{descriptor}")).join(name)
    }

    /// The terminal that the runtime, which has ended, has left here.
    pub fn receive(&self) -> io::Result<OwnedFd> {
        let (client, _) = self.listener.accept()?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0; 4096];
        let mut buffers = [io::IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        rustix::net::recvmsg(&client, &mut buffers, &mut control, flags)?;
        let mut received = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        received.next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
