//! Containers' logs in the CRI format: `2026-01-02T03:04:05.123456789Z stdout F text`.
//!
//! - [`uri`]: how a log's path and limits travel in a Create's stdout and stderr
//! - [`record`]: bytes of a stream in, records out; lines over 16 KiB are split with the tags P and F
//! - [`file`](mod@file): one log file, its rotation at a line's end, and what happens on a full disk
//! - `place`: the directory and the names of the current file and of the rotated ones
//! - [`pump`]: from a pipe or terminal through a splitter into a file, a bounded piece at a time
//! - [`logger`]: the program behind a `binary://` URI, for shims that are not ours

pub mod file;
pub mod logger;
mod place;
pub mod pump;
pub mod record;
pub mod stamp;
pub mod uri;

pub use file::LogFile;
pub use pump::{Pump, Scratch, Turn};
pub use record::{Splitter, StreamName};
pub use uri::{LogTarget, LogUriError};
