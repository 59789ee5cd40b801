//! The answer that `SHIM start` prints, in its three forms, and what the newest shims read on stdin.
//!
//! Old shims print a bare address, those of task version 3 a JSON document, the newest a protobuf message.
//! The first byte tells them apart: a message begins with a field's tag, which is no printable character.

use std::collections::HashMap;

use super::wellknown::Any;

/// Longest answer that is looked at.
const MAX_ANSWER_LEN: usize = 64 << 10;
/// Newest version of the Task service that is spoken.
const NEWEST_TASK_VERSION: i32 = 3;

/// `containerd.runtime.bootstrap.v1.BootstrapParams`, given to the newest shims on stdin; older ones do not
/// read it, or take it for options of theirs that they then do not know.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BootstrapParams {
    /// The container's or sandbox's id, as in `-id`.
    #[prost(string, tag = "1")]
    pub instance_id: String,
    /// containerd's namespace, as in `-namespace`.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// 0 is info, -4 debug.
    #[prost(int32, tag = "3")]
    pub log_level: i32,
    /// Version of the caller.
    #[prost(string, tag = "4")]
    pub containerd_version: String,
    /// Where events go, as in `TTRPC_ADDRESS`.
    #[prost(string, tag = "5")]
    pub containerd_ttrpc_address: String,
    /// As in `-address`.
    #[prost(string, tag = "6")]
    pub containerd_grpc_address: String,
    /// As in `-publish-binary`.
    #[prost(string, tag = "7")]
    pub containerd_binary: String,
    /// Typed additions.
    #[prost(message, repeated, tag = "8")]
    pub extensions: Vec<Extension>,
    /// Directory for the shim's socket.
    #[prost(string, optional, tag = "9")]
    pub socket_dir: Option<String>,
}

/// `containerd.runtime.bootstrap.v1.Extension`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Extension {
    /// The addition.
    #[prost(message, optional, tag = "1")]
    pub value: Option<Any>,
}

/// `containerd.runtime.bootstrap.v1.BootstrapResult`: where a shim listens, and what it speaks there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BootstrapResult {
    /// Version of the Task service, 2 or 3.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// Such as `unix:///run/x.sock`.
    #[prost(string, tag = "2")]
    pub address: String,
    /// `ttrpc` or `grpc`.
    #[prost(string, tag = "3")]
    pub protocol: String,
    /// None is defined yet.
    #[prost(int32, repeated, tag = "4")]
    pub capabilities: Vec<i32>,
    /// More of the shim's own.
    #[prost(map = "string, string", tag = "5")]
    pub metadata: HashMap<String, String>,
}

/// An answer of `SHIM start` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartAnswerError {
    /// Nothing was printed.
    #[error("the shim printed no address")]
    Empty,
    /// Far more than an address.
    #[error("the shim's answer of {0} bytes is too long")]
    TooLong(usize),
    /// Begins like JSON and is none.
    #[error("the shim's answer is not valid JSON")]
    Json(#[source] serde_json::Error),
    /// Neither text nor a message.
    #[error("the shim's answer is not a BootstrapResult")]
    Message(#[source] prost::DecodeError),
    /// Text that is no address.
    #[error("the shim's answer {0:?} is not an address")]
    NotAnAddress(String),
    /// A later protocol.
    #[error(
        "the shim speaks task version {version} over {protocol}; versions 2 and 3 over ttrpc are spoken here"
    )]
    NotSpoken {
        /// As told.
        version: i32,
        /// As told.
        protocol: String,
    },
}

#[derive(serde::Deserialize)]
struct JsonAnswer {
    #[serde(default)]
    version: i32,
    #[serde(default)]
    address: String,
    #[serde(default)]
    protocol: String,
}

impl BootstrapResult {
    /// Reads what `SHIM start` printed.
    pub fn parse(printed: &[u8]) -> Result<Self, StartAnswerError> {
        if printed.len() > MAX_ANSWER_LEN {
            return Err(StartAnswerError::TooLong(printed.len()));
        }
        let text = printed.trim_ascii();
        let result = match text.first() {
            None => return Err(StartAnswerError::Empty),
            Some(b'{') => {
                let answer: JsonAnswer = serde_json::from_slice(text).map_err(StartAnswerError::Json)?;
                Self::plain(answer.version.max(2), &answer.address, &answer.protocol)
            }
            Some(first) if first.is_ascii_graphic() => {
                Self::plain(2, &String::from_utf8_lossy(text), "ttrpc")
            }
            // Its last byte may look like white space, so this form is read untrimmed.
            Some(_) => prost::Message::decode(printed).map_err(StartAnswerError::Message)?,
        };
        result.checked()
    }

    fn plain(version: i32, address: &str, protocol: &str) -> Self {
        Self {
            version,
            address: address.to_owned(),
            protocol: protocol.to_owned(),
            ..Self::default()
        }
    }

    fn checked(mut self) -> Result<Self, StartAnswerError> {
        if self.protocol.is_empty() {
            self.protocol = "ttrpc".to_owned();
        }
        if self.protocol != "ttrpc" || !(2..=NEWEST_TASK_VERSION).contains(&self.version) {
            return Err(StartAnswerError::NotSpoken {
                version: self.version,
                protocol: self.protocol,
            });
        }
        let graphic = self
            .address
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
        if self.address.is_empty() || !graphic {
            return Err(StartAnswerError::NotAnAddress(
                self.address.chars().take(200).collect(),
            ));
        }
        Ok(self)
    }

    /// The path of a unix address, where it is one; abstract sockets begin with `@` or NUL.
    pub fn unix_path(&self) -> Option<&str> {
        match self.address.split_once("://") {
            Some(("unix", path)) => Some(path),
            Some(_) => None,
            None => Some(&self.address),
        }
    }

    /// Full name of the Task service that the shim speaks.
    pub fn task_service(&self) -> &'static str {
        match self.version {
            3 => super::task::TASK_V3,
            _ => super::task::TASK_V2,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        let bare = BootstrapResult::parse(b"unix:///run/s/1\n").unwrap();
        assert_eq!((bare.version, bare.unix_path()), (2, Some("/run/s/1")));
        assert_eq!(bare.task_service(), "containerd.task.v2.Task");

        let json = br#"{"version":3,"address":"unix:///run/s/2","protocol":"ttrpc"}"#;
        let json = BootstrapResult::parse(json).unwrap();
        assert_eq!((json.version, json.unix_path()), (3, Some("/run/s/2")));

        // The address ends with a line feed's neighbour on purpose: nothing may be trimmed off.
        for version in [2, 3] {
            let sent = BootstrapResult {
                version,
                address: "unix:///run/s/3".into(),
                ..Default::default()
            };
            let read = BootstrapResult::parse(&sent.encode_to_vec()).unwrap();
            assert_eq!((read.version, read.address), (version, sent.address));
        }
    }

    #[test]
    fn what_cannot_be_spoken_is_refused() {
        let parse = |text: &str| BootstrapResult::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(parse(""), StartAnswerError::Empty));
        assert!(matches!(parse(" \n"), StartAnswerError::Empty));
        assert!(matches!(parse("{"), StartAnswerError::Json(_)));
        assert!(matches!(
            parse("failed to do x"),
            StartAnswerError::NotAnAddress(_)
        ));
        let grpc = r#"{"version":3,"address":"unix:///x","protocol":"grpc"}"#;
        assert!(matches!(parse(grpc), StartAnswerError::NotSpoken { .. }));
        let newer = r#"{"version":4,"address":"unix:///x","protocol":"ttrpc"}"#;
        assert!(matches!(
            parse(newer),
            StartAnswerError::NotSpoken { version: 4, .. }
        ));
        assert!(matches!(parse("\u{8}"), StartAnswerError::Message(_)));
        assert!(matches!(parse(&"x".repeat(70_000)), StartAnswerError::TooLong(_)));
    }
}
