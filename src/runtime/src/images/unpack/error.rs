//! Why a layer cannot be unpacked.

use std::io;

use super::limits::LimitExceeded;
use crate::images::digest::Digest;
use crate::images::tar::TarError;

/// A layer that cannot be unpacked, or must not be.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The compressed layer cannot be opened or read.
    #[error("read the layer")]
    Read(#[source] io::Error),
    /// The tar stream is broken, after the entry of this name (empty: before the first).
    #[error("read the layer's archive after entry {after:?}")]
    Tar {
        /// The last entry that was read whole.
        after: String,
        /// The cause.
        #[source]
        source: TarError,
    },
    /// One entry is bad.
    #[error("entry {entry:?}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong with it.
        #[source]
        source: EntryError,
    },
    /// The compressed layer is not the one that the manifest names.
    #[error("the layer's digest is {found}, not {expected}")]
    WrongDigest {
        /// As the manifest says.
        expected: Digest,
        /// As the bytes say.
        found: Digest,
    },
    /// The layer's content is not the one that the configuration names.
    #[error("the digest of the layer's content is {found}, not {expected}")]
    WrongDiffId {
        /// As the configuration says.
        expected: Digest,
        /// As the bytes say.
        found: Digest,
    },
    /// A limit of the whole layer.
    #[error("the layer is too large")]
    Limit(#[source] LimitExceeded),
    /// The directory that takes the layer cannot be made, read or synced.
    #[error("{operation} the layer's directory")]
    Directory {
        /// What was tried.
        operation: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with one entry of a layer.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The name has a `..` component.
    #[error("the name climbs out of the layer")]
    Climbs,
    /// The name has a NUL or is not the name of anything.
    #[error("the name is empty or not a file's name")]
    BadName,
    /// The way to it leads through something that is not a directory, or through a link to nothing.
    #[error("the way to it leads through {0:?}, which is not a directory of the layer")]
    NotADirectory(String),
    /// The target of a hard link climbs out of the layer.
    #[error("the hard link's target {0:?} climbs out of the layer")]
    LinkClimbs(String),
    /// The target of a hard link is not there.
    #[error("the hard link's target {0:?} is not a file of the layer")]
    LinkTarget(String),
    /// A symbolic link to nowhere.
    #[error("the symbolic link's target is empty or has a NUL")]
    EmptyLink,
    /// A number that no file may have.
    #[error("the owner {0} is out of range")]
    Owner(u64),
    /// A whiteout of no file.
    #[error("the whiteout names no file")]
    Whiteout,
    /// Devices are not allowed.
    #[error("the layer holds a device, which is not allowed here")]
    Device,
    /// A type that layers do not have.
    #[error("entries of type {0:?} do not belong in a layer")]
    Kind(char),
    /// A limit.
    #[error("a limit is exceeded")]
    Limit(#[from] LimitExceeded),
    /// Its data cannot be read.
    #[error("read its data")]
    Data(#[source] io::Error),
    /// The host cannot make it.
    #[error("{operation}")]
    Host {
        /// What was tried.
        operation: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl EntryError {
    pub(super) fn host(operation: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| EntryError::Host {
            operation,
            source: errno.into(),
        }
    }
}

impl UnpackError {
    /// The host failed, not the layer: a retry may go through.
    pub fn is_transient(&self) -> bool {
        match self {
            UnpackError::Directory { .. } => true,
            UnpackError::Entry { source, .. } => matches!(source, EntryError::Host { .. }),
            UnpackError::Read(source)
            | UnpackError::Tar {
                source: TarError::Read { source, .. },
                ..
            } => source.raw_os_error().is_some(),
            _ => false,
        }
    }
}
