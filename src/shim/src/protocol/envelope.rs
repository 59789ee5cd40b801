//! ttrpc's request and response, and the status of a call.

use std::fmt;
use std::time::Duration;

use prost::Message;

use super::frame::{FrameError, FrameKind, encode_frame};

/// `ttrpc.Request`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Request {
    /// Full name of the service, such as `containerd.task.v2.Task`.
    #[prost(string, tag = "1")]
    pub service: String,
    /// Name of the method, such as `Create`.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The method's message, encoded.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// How long the caller waits, 0 for ever.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    /// Headers; containerd sends its namespace in `containerd-namespace-ttrpc`.
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

/// `ttrpc.KeyValue`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// Lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Any text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `ttrpc.Response`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Response {
    /// Absent or of code OK where the call went well.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The method's answer, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// `google.rpc.Status`: how a call ended.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// A [`Code`].
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// More, typed; pinnace sends none.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<super::Any>,
}

impl Status {
    /// A failed call.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code as i32,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// The code, [`Code::Unknown`] for numbers that gRPC does not have.
    pub fn code(&self) -> Code {
        Code::from_number(self.code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)
    }
}

impl std::error::Error for Status {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// gRPC's codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// The code of a number; [`Code::Unknown`] where there is none.
            pub fn from_number(number: i32) -> Self {
                match number { $($number => Self::$name,)* _ => Self::Unknown }
            }
        }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

codes! {
    /// It went well.
    Ok = 0, "OK";
    /// The caller gave up.
    Cancelled = 1, "CANCELLED";
    /// Any other error.
    Unknown = 2, "UNKNOWN";
    /// The request makes no sense in any state.
    InvalidArgument = 3, "INVALID_ARGUMENT";
    /// The time is over.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED";
    /// No such task or process.
    NotFound = 5, "NOT_FOUND";
    /// It is there already.
    AlreadyExists = 6, "ALREADY_EXISTS";
    /// Forbidden.
    PermissionDenied = 7, "PERMISSION_DENIED";
    /// A limit is reached.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED";
    /// Not in this state.
    FailedPrecondition = 9, "FAILED_PRECONDITION";
    /// Broken off.
    Aborted = 10, "ABORTED";
    /// Beyond the end.
    OutOfRange = 11, "OUT_OF_RANGE";
    /// The service or method is not there.
    Unimplemented = 12, "UNIMPLEMENTED";
    /// A fault of the server's own.
    Internal = 13, "INTERNAL";
    /// Not now.
    Unavailable = 14, "UNAVAILABLE";
    /// Data is gone or damaged.
    DataLoss = 15, "DATA_LOSS";
    /// Who are you?
    Unauthenticated = 16, "UNAUTHENTICATED";
}

/// Appends the frame of a unary call to `out`; stream ids of a client are odd and rise.
pub fn encode_request(
    out: &mut Vec<u8>,
    stream_id: u32,
    service: &str,
    method: &str,
    message: &impl Message,
    timeout: Option<Duration>,
) -> Result<(), FrameError> {
    let request = Request {
        service: service.to_owned(),
        method: method.to_owned(),
        payload: message.encode_to_vec(),
        timeout_nano: timeout.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(i64::MAX)),
        metadata: Vec::new(),
    };
    encode_frame(out, stream_id, FrameKind::Request, 0, &request.encode_to_vec())
}

/// Appends the frame of an answer to `out`. An answer that is too long becomes a RESOURCE_EXHAUSTED.
pub fn encode_response(out: &mut Vec<u8>, stream_id: u32, answer: Result<Vec<u8>, Status>) {
    let response = match answer {
        Ok(payload) => Response {
            status: None,
            payload,
        },
        Err(status) => Response {
            status: Some(status),
            payload: Vec::new(),
        },
    };
    let encoded = response.encode_to_vec();
    if let Err(error) = encode_frame(out, stream_id, FrameKind::Response, 0, &encoded) {
        let refusal = Response {
            status: Some(Status::new(Code::ResourceExhausted, error.to_string())),
            payload: Vec::new(),
        };
        // A refusal's text is short, so it always fits.
        let _ = encode_frame(out, stream_id, FrameKind::Response, 0, &refusal.encode_to_vec());
    }
}

/// Reads the data of a response frame; bytes that are no `M` become a status of code INTERNAL.
pub fn decode_response<M: Message + Default>(data: &[u8]) -> Result<M, Status> {
    let broken =
        |error: prost::DecodeError| Status::new(Code::Internal, format!("decode the answer: {error}"));
    let response = Response::decode(data).map_err(broken)?;
    match response.status {
        Some(status) if status.code != 0 => Err(status),
        _ => M::decode(response.payload.as_slice()).map_err(broken),
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Decoder;
    use super::super::task::{StartRequest, StartResponse};
    use super::*;

    fn only_frame(bytes: &[u8]) -> super::super::frame::Frame {
        let mut decoder = Decoder::new();
        decoder.push(bytes);
        let frame = decoder.next_frame().unwrap().unwrap();
        assert!(decoder.is_empty());
        frame
    }

    #[test]
    fn a_call_and_its_answer_come_through() {
        let mut bytes = Vec::new();
        let message = StartRequest {
            id: "a".into(),
            exec_id: String::new(),
        };
        let second = Some(Duration::from_secs(1));
        encode_request(
            &mut bytes,
            3,
            "containerd.task.v2.Task",
            "Start",
            &message,
            second,
        )
        .unwrap();
        let frame = only_frame(&bytes);
        let request = Request::decode(frame.data.as_slice()).unwrap();
        assert_eq!(
            (request.method.as_str(), request.timeout_nano),
            ("Start", 1_000_000_000)
        );
        assert_eq!(StartRequest::decode(request.payload.as_slice()).unwrap(), message);

        let mut bytes = Vec::new();
        encode_response(&mut bytes, 3, Ok(StartResponse { pid: 7 }.encode_to_vec()));
        let frame = only_frame(&bytes);
        assert_eq!((frame.stream_id, frame.kind), (3, FrameKind::Response));
        assert_eq!(decode_response::<StartResponse>(&frame.data).unwrap().pid, 7);
    }

    #[test]
    fn a_refusal_comes_through_with_its_code() {
        let mut bytes = Vec::new();
        encode_response(&mut bytes, 1, Err(Status::new(Code::NotFound, "no task x")));
        let status = decode_response::<StartResponse>(&only_frame(&bytes).data).unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.to_string(), "NOT_FOUND: no task x");
    }

    #[test]
    fn an_answer_over_the_limit_becomes_a_refusal() {
        let mut bytes = Vec::new();
        encode_response(&mut bytes, 1, Ok(vec![0; super::super::MAX_DATA_LEN + 1]));
        let status = decode_response::<StartResponse>(&only_frame(&bytes).data).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
