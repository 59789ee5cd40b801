//! The service's side of systemd: how it stands, and the sockets that systemd keeps for it.

mod kept;
mod notify;

pub use kept::Kept;
pub use notify::notify;
