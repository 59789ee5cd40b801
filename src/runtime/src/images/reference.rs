//! Image references: `busybox` is `docker.io/library/busybox:latest`.
//!
//! The grammar and its defaults are those of the distribution project, as the kubelet uses them. A reference
//! that was parsed is safe as a part of a message and of an annotation; it never becomes a path.

use std::fmt;

use super::digest::{Digest, DigestError};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;
/// A whole reference: name, tag and digest.
const MAX_BYTES: usize = MAX_NAME_BYTES + MAX_TAG_BYTES + 80;

/// A reference that cannot be read; the texts are those that the kubelet shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It does not fit the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository has capital letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// Longer than any registry takes.
    #[error("repository name must not be more than {MAX_NAME_BYTES} characters")]
    TooLong,
    /// A bare image ID is no name.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    BareId(String),
    /// The digest is of another kind or form.
    #[error("invalid digest in reference")]
    Digest(#[source] DigestError),
}

/// A normalised reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Domain and repository, such as `docker.io/library/busybox`.
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads and normalises a reference; without tag and digest, the tag is `latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(if text.is_empty() {
                ReferenceError::Format
            } else {
                ReferenceError::TooLong
            });
        }
        if Digest::parse_hex(text).is_some() {
            return Err(ReferenceError::BareId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(ReferenceError::Digest)?)),
        };
        let (domain, remainder) = split_domain(rest);
        let (path, tag) = match remainder.split_once(':') {
            None => (remainder, None),
            Some((path, tag)) => (path, Some(tag)),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase(path.to_owned()));
        }
        let malformed = !is_domain(domain) || !path.split('/').all(is_path_component);
        if malformed || !tag.is_none_or(is_tag) {
            return Err(ReferenceError::Format);
        }
        let official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let prefix = if official { OFFICIAL_PREFIX } else { "" };
        let name = format!("{domain}/{prefix}{path}");
        if name.len() > MAX_NAME_BYTES {
            return Err(ReferenceError::TooLong);
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { name, tag, digest })
    }

    /// Domain and repository.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag, if any; meaningless beside a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if any.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// The first component is a host if it looks like one, and else part of a repository of Docker Hub.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            let first = if first == LEGACY_DEFAULT_DOMAIN {
                DEFAULT_DOMAIN
            } else {
                first
            };
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) => {
            let hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            if address.is_empty() || !address.bytes().all(hex) {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if after.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs of `a-z0-9` with one `.`, one or two `_`, or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_are_words = [bytes.first(), bytes.last()]
        .iter()
        .all(|end| end.is_some_and(|byte| word(*byte)));
    ends_are_words
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG_BYTES
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn full(text: &str) -> String {
        Reference::parse(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .to_string()
    }

    #[test]
    fn short_names_get_docker_hubs_defaults() {
        assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("busybox:1.36"), "docker.io/library/busybox:1.36");
        assert_eq!(
            full("prom/node-exporter:v1.7.0"),
            "docker.io/prom/node-exporter:v1.7.0"
        );
        assert_eq!(
            full("index.docker.io/busybox"),
            "docker.io/library/busybox:latest"
        );
        assert_eq!(full("docker.io/busybox"), "docker.io/library/busybox:latest");
    }

    #[test]
    fn hosts_are_recognised() {
        assert_eq!(full("localhost/a"), "localhost/a:latest");
        assert_eq!(full("localhost:5000/a/b:c"), "localhost:5000/a/b:c");
        assert_eq!(full("registry.k8s.io/pause:3.9"), "registry.k8s.io/pause:3.9");
        assert_eq!(full("[::1]:5000/a"), "[::1]:5000/a:latest");
        assert_eq!(full("HOST/a"), "HOST/a:latest");
        assert_eq!(full("a:5000"), "docker.io/library/a:5000");
    }

    #[test]
    fn a_digest_needs_no_tag() {
        assert_eq!(
            full(&format!("busybox@{D}")),
            format!("docker.io/library/busybox@{D}")
        );
        assert_eq!(
            full(&format!("busybox:1@{D}")),
            format!("docker.io/library/busybox:1@{D}")
        );
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in ["busybox", "a/b:c", "localhost/a", "x.y/z__q/w--e.r:t_.-"] {
            assert_eq!(full(&full(text)), full(text));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = format!("{}/a", "a".repeat(300));
        let long_tag = format!("a:{}", "t".repeat(129));
        for text in [
            "",
            ":",
            "a:",
            "@",
            "/a",
            "a/",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a b",
            "a:b:c",
            "a@",
            "a:-t",
            "../a",
            "a/../b",
            "ä",
            "a\n",
            "a.b:x/c",
            "[::1/a",
            "-h.x/a",
            "a@sha256:00",
            "http://a/b",
            &long,
            &long_tag,
            &D[7..],
        ] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Reference::parse("a/B"),
            Err(ReferenceError::UpperCase("a/B".to_owned()))
        );
    }
}
