//! `grpc.health.v1.Health/Check`, without TLS as by the kubelet.
//!
//! The messages are so small that they are written and read by hand: a string in field 1, an enum in field 1.

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinnace_core::ports::CheckOutcome;

use super::connect::{self, ConnectError, authority};

/// More than any answer has.
const MOST_BYTES: usize = 4 << 10;
const SERVING: u64 = 1;
const UNIMPLEMENTED: &str = "12";

#[derive(Debug, thiserror::Error)]
enum RpcError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("no answer")]
    Http(#[from] hyper::Error),
    #[error("unexpected HTTP status code {0}")]
    Status(u16),
    #[error("rpc error: code = {code} desc = {message}")]
    Rpc { code: String, message: String },
    #[error("the answer is no HealthCheckResponse")]
    Malformed,
}

/// Asks for the health of a service.
pub async fn health(host: &str, port: u16, service: &str) -> CheckOutcome {
    match ask(host, port, service).await {
        Ok(SERVING) => CheckOutcome::Success,
        Ok(status) => CheckOutcome::Failure(format!("service unhealthy (responded with {:?})", word(status))),
        Err(RpcError::Connect(error)) => CheckOutcome::Failure(format!(
            "error: failed to connect service at {:?}: {}",
            authority(host, port),
            connect::text(&error)
        )),
        Err(error @ RpcError::Rpc { .. }) if is_unimplemented(&error) => CheckOutcome::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {error}"
        )),
        Err(error) => CheckOutcome::Failure(format!(
            "error: health rpc probe failed: {}",
            connect::text(&error)
        )),
    }
}

fn is_unimplemented(error: &RpcError) -> bool {
    matches!(error, RpcError::Rpc { code, .. } if code == UNIMPLEMENTED)
}

fn word(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    }
}

async fn ask(host: &str, port: u16, service: &str) -> Result<u64, RpcError> {
    let request = Request::post(format!(
        "http://{}/grpc.health.v1.Health/Check",
        authority(host, port)
    ))
    .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
    .header(TE, HeaderValue::from_static("trailers"))
    .header(USER_AGENT, HeaderValue::from_static("kube-probe/1.37"))
    .body(Full::new(message(service)))?;
    let stream = connect::tcp(host, port).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        if response.status() != 200 {
            return Err(RpcError::Status(response.status().as_u16()));
        }
        check(response.headers())?;
        let mut body = Limited::new(response.into_body(), MOST_BYTES);
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| RpcError::Malformed)?;
            match frame.into_data() {
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => check(frame.trailers_ref().unwrap_or(&HeaderMap::new()))?,
            }
        }
        status(&read).ok_or(RpcError::Malformed)
    };
    // The connection is driven beside the exchange, and closed with it.
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(RpcError::Http(error)),
    }
}

/// A status other than OK is an error.
fn check(headers: &HeaderMap) -> Result<(), RpcError> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    match text("grpc-status") {
        None => Ok(()),
        Some(code) if code == "0" => Ok(()),
        Some(code) => Err(RpcError::Rpc {
            code,
            message: text("grpc-message").unwrap_or_default(),
        }),
    }
}

/// One uncompressed message: its length, and a HealthCheckRequest.
fn message(service: &str) -> Bytes {
    let mut request = Vec::new();
    if !service.is_empty() {
        request.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            request.push(0x80 | u8::try_from(length & 0x7f).unwrap_or_default());
            length >>= 7;
        }
        request.push(u8::try_from(length).unwrap_or_default());
        request.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(request.len()).unwrap_or_default().to_be_bytes());
    framed.extend_from_slice(&request);
    framed.into()
}

/// The enum of a HealthCheckResponse; one that is left out is 0.
fn status(framed: &[u8]) -> Option<u64> {
    let (head, message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..5)?.try_into().ok()?);
    let message = message.get(..usize::try_from(length).ok()?)?;
    match message {
        _ if head.first() != Some(&0) => None,
        [] => Some(0),
        [0x08, value @ ..] => {
            let mut number = 0_u64;
            for (place, byte) in value.iter().take(9).enumerate() {
                number |= u64::from(byte & 0x7f) << (7 * place);
                if byte & 0x80 == 0 {
                    return Some(number);
                }
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod messages {
    use super::*;

    #[test]
    fn requests_and_answers_are_protobuf() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("db")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        assert_eq!(message(&"x".repeat(200))[5..8], [0x0a, 0xc8, 1]);
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(status(&[0, 0, 0, 0, 3, 8, 0x81, 1]), Some(129));
        for malformed in [
            &[0, 0, 0][..],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 9, 8],
            &[0, 0, 0, 0, 1, 9],
        ] {
            assert_eq!(status(malformed), None);
        }
    }
}
