//! `pinnace-log:///abs/path/0.log?max_size=10485760&max_files=5`, and the `binary://` form of the same.
//!
//! Everything in the path but letters, digits and `-._~/` is percent-encoded.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The scheme of our own logs.
pub const SCHEME: &str = "pinnace-log";
const DEFAULT_MAX_SIZE_BYTES: u64 = 10 << 20;
const DEFAULT_MAX_FILES: u32 = 5;
const MAX_URI_LEN: usize = 16 << 10;

/// A log file and how far it may grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Absolute path of the current file.
    pub path: PathBuf,
    /// It is rotated at the first line's end past this size.
    pub max_size_bytes: u64,
    /// Files kept, the current one included; at least 2.
    pub max_files: u32,
}

/// A URI that names no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogUriError {
    /// Another scheme, or far too long.
    #[error("{0:?} is not a {SCHEME} URI")]
    NotOurs(String),
    /// A `%` that two hexadecimal digits do not follow, or a NUL.
    #[error("{0:?} is not percent-encoded")]
    Encoding(String),
    /// Not absolute, or without a file name.
    #[error("{0:?} is not an absolute path of a file")]
    Path(PathBuf),
    /// Not a number in range, or a parameter that does not exist.
    #[error("log parameter {name}={value:?} is not known or not in range")]
    Parameter {
        /// Its name.
        name: String,
        /// As given.
        value: String,
    },
}

impl LogTarget {
    /// The file with Kubernetes' default limits (10 MiB, 5 files).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
            max_files: DEFAULT_MAX_FILES,
        }
    }

    /// True where `uri` has our scheme.
    pub fn is_ours(uri: &str) -> bool {
        uri.starts_with("pinnace-log:")
    }

    /// Reads a `pinnace-log` URI.
    pub fn parse(uri: &str) -> Result<Self, LogUriError> {
        let not_ours = || LogUriError::NotOurs(uri.chars().take(200).collect());
        if uri.len() > MAX_URI_LEN {
            return Err(not_ours());
        }
        let rest = uri.strip_prefix("pinnace-log://").ok_or_else(not_ours)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut target = Self::new(decode(path)?);
        if !target.path.is_absolute() || target.path.file_name().is_none() {
            return Err(LogUriError::Path(target.path));
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            target.set(pair)?;
        }
        Ok(target)
    }

    fn set(&mut self, pair: &str) -> Result<(), LogUriError> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let refused = || LogUriError::Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        match name {
            "max_size" => {
                let size: u64 = value.parse().map_err(|_| refused())?;
                self.max_size_bytes = if size > 0 { size } else { return Err(refused()) };
            }
            "max_files" => {
                let files: u32 = value.parse().map_err(|_| refused())?;
                self.max_files = if (2..=1000).contains(&files) {
                    files
                } else {
                    return Err(refused());
                };
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// The `binary://` URI that makes a foreign shim run `program` (a `pinnace-shim`) as this log's writer.
    ///
    /// containerd hands a query's keys and values over as arguments, in an order of its own; one key keeps
    /// them in order: `PROGRAM log URI`.
    pub fn binary_uri(&self, program: &Path) -> String {
        let mut text = String::from("binary://");
        encode(program.as_os_str().as_bytes(), true, &mut text);
        text.push_str("?log=");
        encode(self.to_string().as_bytes(), false, &mut text);
        text
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        encode(self.path.as_os_str().as_bytes(), true, &mut path);
        let (size, files) = (self.max_size_bytes, self.max_files);
        write!(f, "{SCHEME}://{path}?max_size={size}&max_files={files}")
    }
}

fn encode(bytes: &[u8], keep_slash: bool, out: &mut String) {
    for byte in bytes {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            b'/' if keep_slash => out.push('/'),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
}

/// Undoes percent-encoding.
pub fn decode(text: &str) -> Result<PathBuf, LogUriError> {
    let broken = || LogUriError::Encoding(text.chars().take(200).collect());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(broken());
        };
        bytes.push((high * 16 + low) as u8);
    }
    if bytes.contains(&0) {
        return Err(broken());
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_survives_the_way_through_its_uri() {
        let mut target = LogTarget::new("/var/log/pods/a b_ü%_1/c?&=/0.log");
        target.max_size_bytes = 4096;
        target.max_files = 2;
        let uri = target.to_string();
        assert!(uri.bytes().all(|b| b.is_ascii_graphic()), "{uri}");
        assert_eq!(LogTarget::parse(&uri).unwrap(), target);
    }

    #[test]
    fn limits_default_to_kubernetes_own() {
        let target = LogTarget::parse("pinnace-log:///a/0.log").unwrap();
        assert_eq!((target.max_size_bytes, target.max_files), (10 << 20, 5));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        for uri in [
            "",
            "file:///a",
            "pinnace-log://a/b",
            "pinnace-log:///",
            "pinnace-log:///a%2",
            "pinnace-log:///a%zz",
            "pinnace-log:///a%00",
            "pinnace-log:///a?max_size=0",
            "pinnace-log:///a?max_size=-1",
            "pinnace-log:///a?max_files=1",
            "pinnace-log:///a?max_age=1",
        ] {
            assert!(LogTarget::parse(uri).is_err(), "{uri} was taken");
        }
    }

    #[test]
    fn the_binary_form_carries_one_argument_pair() {
        let target = LogTarget::new("/l/0.log");
        let uri = target.binary_uri(Path::new("/usr/bin/pinnace-shim"));
        let query = uri.strip_prefix("binary:///usr/bin/pinnace-shim?").unwrap();
        let (key, value) = query.split_once('=').unwrap();
        assert_eq!((key, query.matches(['&', '=']).count()), ("log", 1));
        let value = decode(value).unwrap();
        assert_eq!(LogTarget::parse(value.to_str().unwrap()).unwrap(), target);
    }
}
