//! Identifiers, each checked once when it is made.
//!
//! The rules are Kubernetes' own (RFC 1123 labels and subdomains); a value of one of these types can go into
//! a path, a host name or a label without further checks.

use std::fmt;

/// Why a text is not an identifier of the kind asked for; the text itself is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {why}")]
pub struct IdentError {
    /// What was asked for, such as `container name`.
    pub kind: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

const LABEL_RULE: &str = "must consist of lower case alphanumeric characters or '-', start and end with an \
    alphanumeric character, and be at most 63 characters";
const SUBDOMAIN_RULE: &str = "must consist of lower case alphanumeric characters, '-' or '.', start and end \
    with an alphanumeric character, and be at most 253 characters";
const UID_RULE: &str = "must be 1 to 64 characters out of letters, digits and '-'";

fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        })
}

fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` by the rule of this identifier.
            pub fn new(text: impl Into<String>) -> Result<Self, IdentError> {
                let text = text.into();
                if $check(&text) {
                    return Ok(Self(text));
                }
                Err(IdentError { kind: $kind, text: text.chars().take(80).collect(), why: $rule })
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentError;
            fn try_from(text: String) -> Result<Self, IdentError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(/// A namespace's name.
    Namespace, "namespace", is_dns_label, LABEL_RULE);
identifier!(/// The name of a pod, DaemonSet or other object.
    ObjectName, "object name", is_dns_subdomain, SUBDOMAIN_RULE);
identifier!(/// The name of a container or volume within its pod.
    ContainerName, "container name", is_dns_label, LABEL_RULE);
identifier!(/// The node's name.
    NodeName, "node name", is_dns_subdomain, SUBDOMAIN_RULE);
identifier!(/// A pod's UID: random, durable, and part of the name of all that the pod makes on the host.
    PodUid, "pod UID", is_uid, UID_RULE);

/// A label's key as Kubernetes writes it: `[prefix/]name`.
pub type LabelName = String;

impl Default for Namespace {
    fn default() -> Self {
        Self("default".to_owned())
    }
}
