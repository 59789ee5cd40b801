//! Errors as Kubernetes tells them: a Status object with a reason that programs read.

use hyper::StatusCode;
use pinnace_core::ports::chain;
use serde::{Deserialize, Serialize};

/// Why the node does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// No such object; `kind` in the plural and lower case, such as `pods`.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// The resource.
        kind: &'static str,
        /// The object, or the path asked for.
        name: String,
    },
    /// The request cannot be read, or means nothing.
    #[error("{why}")]
    BadRequest {
        /// What is wrong with it.
        why: String,
    },
    /// The object's state forbids it.
    #[error("{kind} {name:?}: {why}")]
    Conflict {
        /// The resource.
        kind: &'static str,
        /// The object.
        name: String,
        /// What stands in the way.
        why: String,
    },
    /// The path knows other methods only.
    #[error("the server does not allow this method on {path}: only {allowed}")]
    MethodNotAllowed {
        /// The path.
        path: String,
        /// The method that it knows.
        allowed: &'static str,
    },
    /// The body is larger than any request of ours.
    #[error("the request's body is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// Not now; later perhaps.
    #[error("{why}")]
    Unavailable {
        /// What is waited for.
        why: String,
    },
    /// It was not done in the time that the request gave.
    #[error("{what} within {seconds} s")]
    Timeout {
        /// What was not done, such as `3 pods have not ended`.
        what: String,
        /// The time given.
        seconds: u32,
    },
    /// The operation failed.
    #[error("{operation}")]
    Failed {
        /// What was tried, and on what.
        operation: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FaceError {
    /// The HTTP code.
    pub fn code(&self) -> StatusCode {
        match self {
            FaceError::NotFound { .. } => StatusCode::NOT_FOUND,
            FaceError::BadRequest { .. } => StatusCode::BAD_REQUEST,
            FaceError::Conflict { .. } => StatusCode::CONFLICT,
            FaceError::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            FaceError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            FaceError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            FaceError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            FaceError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// `reason` of the Status, in Kubernetes' words.
    pub fn reason(&self) -> &'static str {
        match self {
            FaceError::NotFound { .. } => "NotFound",
            FaceError::BadRequest { .. } => "BadRequest",
            FaceError::Conflict { .. } => "Conflict",
            FaceError::MethodNotAllowed { .. } => "MethodNotAllowed",
            FaceError::TooLarge { .. } => "RequestEntityTooLarge",
            FaceError::Unavailable { .. } => "ServiceUnavailable",
            FaceError::Timeout { .. } => "Timeout",
            FaceError::Failed { .. } => "InternalError",
        }
    }

    /// The Status object; its message holds the whole chain of causes.
    pub fn status(&self) -> Status {
        let details = match self {
            FaceError::NotFound { kind, name } | FaceError::Conflict { kind, name, .. } => {
                Some(StatusDetails {
                    name: name.clone(),
                    kind: (*kind).to_owned(),
                })
            }
            _ => None,
        };
        Status {
            kind: "Status".to_owned(),
            api_version: "v1".to_owned(),
            metadata: serde_json::Map::new(),
            status: "Failure".to_owned(),
            message: chain(self),
            reason: self.reason().to_owned(),
            details,
            code: self.code().as_u16(),
        }
    }
}

/// Kubernetes' `v1.Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `Status`.
    pub kind: String,
    /// `v1`.
    pub api_version: String,
    /// Empty.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// `Failure`.
    pub status: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// For programs: `NotFound`, `Conflict`, ….
    #[serde(default)]
    pub reason: String,
    /// The object that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<StatusDetails>,
    /// The HTTP code.
    pub code: u16,
}

/// The object that a Status is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDetails {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The resource, in the plural.
    #[serde(default)]
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_kubernetes_own() {
        let status = FaceError::NotFound {
            kind: "pods",
            name: "web".into(),
        }
        .status();
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "pods \"web\" not found", "reason": "NotFound",
                "details": {"name": "web", "kind": "pods"}, "code": 404,
            })
        );
    }

    #[test]
    fn message_tells_each_cause_once() {
        let cause = std::io::Error::other("disk full");
        let error = FaceError::Failed {
            operation: "write the record of web".into(),
            source: cause.into(),
        };
        assert_eq!(error.status().message, "write the record of web: disk full");
    }
}
