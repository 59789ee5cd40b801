//! Netlink: requests to the kernel's network and what it answers, without a program in between.
//!
//! ```text
//! Batch::message(kind, flags, header) ─ attributes … ─▶ Socket::execute ─▶ one answer per request, in order
//!                                                     └▶ Socket::dump    ─▶ the messages of a listing
//! Received::attributes() ─▶ (kind, bytes), never past the end of what was received
//! LinkWatch::changed()   ─▶ whether the kernel told of any link since
//! ```
//!
//! Only the wire format is here; what the messages mean is their users'. All of it is in the machine's byte
//! order, but where a protocol says otherwise (`u16_be` and the like).

mod message;
mod socket;
mod watch;

pub use message::{Attribute, Attributes, Batch, Message, Received};
pub use socket::{Answers, Family, Socket};
pub use watch::LinkWatch;

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: the kernel answers with a number, 0 for success.
pub const ACK: u16 = 0x4;
/// `NLM_F_DUMP`: a listing.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`: what is there is changed.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: fails where it is there.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`: made where it is not there.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;
