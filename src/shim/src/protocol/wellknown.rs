//! Google's well-known messages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    /// Seconds since the epoch, negative before it.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The wall clock's instant.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Milliseconds since the epoch, rounded down.
    pub fn unix_millis(&self) -> i64 {
        self.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(self.nanos.clamp(0, 999_999_999)) / 1_000_000)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        }
    }
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Any {
    /// Name of the message's type; containerd writes it without `type.googleapis.com/`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Any {
    /// Wraps `message` under the type `name`, such as `containerd.runc.v1.Options`.
    pub fn pack(name: &str, message: &impl Message) -> Self {
        Self {
            type_url: name.to_owned(),
            value: message.encode_to_vec(),
        }
    }

    /// Wraps JSON under the type `name`, as containerd does with OCI documents.
    pub fn json(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self {
            type_url: name.to_owned(),
            value: text.into(),
        }
    }

    /// The type's name without a host part.
    pub fn type_name(&self) -> &str {
        match self.type_url.rsplit_once("googleapis.com/") {
            Some((_, name)) => name,
            None => &self.type_url,
        }
    }
}

/// `google.protobuf.Empty`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}
