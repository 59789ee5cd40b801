//! Tells systemd how the service stands (`sd_notify`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sendmsg_addr, socket_with,
};

/// Sends `state`, such as `READY=1`; does nothing outside systemd.
pub fn notify(state: &str) -> io::Result<()> {
    send(state, &[])
}

/// Sends `state` and descriptors with it; does nothing outside systemd.
pub(super) fn send(state: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddrUnix::new_abstract_name(abstract_name)?,
        None => SocketAddrUnix::new(name.as_os_str())?,
    };
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors at once",
        ));
    }
    let text = [IoSlice::new(state.as_bytes())];
    sendmsg_addr(
        socket.as_fd(),
        &address,
        &text,
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}
