//! What the host itself must have for pods' packets to travel.

mod forwarding;
mod loopback;
mod mtu;
mod ranges;
pub(crate) mod sysctl;

pub(crate) use forwarding::{V4, V6, forward};
pub(crate) use loopback::{put_on_loopback, take_from_loopback};
pub(crate) use mtu::mtu;
pub(crate) use ranges::{close, open};
