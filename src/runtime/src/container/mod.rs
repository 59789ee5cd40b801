//! One container instance on the host: its bundle, its root file system, what is known of its end.
//!
//! Functions here block and know nothing of shims; [`crate::Runtime`] puts both together.

mod bundle;
mod exit;
mod message;
mod remove;
mod security;
mod shared;
mod user;

pub use bundle::{Bundle, Prepared, annotations, prepare};
pub use exit::{EndOf, exit_of, start_error};
pub use message::MessageRule;
pub use remove::remove;
