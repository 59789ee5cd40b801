//! Questions to servers on loopback: those that answer, those that hang, flood, lead away or are not there.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pinnace_api::{ContainerName, PodUid};
use pinnace_core::ports::{CheckAction, CheckOutcome, CheckTarget, CheckedBy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{connect, network};

fn target(by: CheckedBy) -> CheckTarget {
    CheckTarget {
        uid: PodUid::new("00000000-0000-4000-8000-000000000001").unwrap(),
        name: ContainerName::new("web").unwrap(),
        attempt: 0,
        by,
    }
}

async fn ask(action: &CheckAction) -> CheckOutcome {
    let tls = connect::unchecked_tls().unwrap();
    network(
        &tls,
        &target(CheckedBy::Probe),
        action,
        Some(Duration::from_secs(5)),
    )
    .await
}

fn get(port: u16, path: &str) -> CheckAction {
    CheckAction::HttpGet {
        host: "127.0.0.1".to_owned(),
        port,
        path: path.to_owned(),
        https: false,
        headers: vec![("X-Asked".to_owned(), "yes".to_owned())],
    }
}

/// Answers each connection with what `answer` makes of its request; the port.
async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let Ok(count) = stream.read(&mut request).await else {
                continue;
            };
            let answer = answer(&String::from_utf8_lossy(&request[..count]));
            // Whoever floods is cut off.
            let _ = stream.write_all(&answer).await;
        }
    });
    port
}

fn plain(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn a_status_from_200_to_399_is_success_and_the_request_is_the_kubelets() {
    let port = serve(|request| {
        let right = request.starts_with("GET /healthz?full=1 HTTP/1.1\r\n")
            && request.to_lowercase().contains("user-agent: kube-probe/")
            && request.to_lowercase().contains("x-asked: yes")
            && request.to_lowercase().contains("accept: */*");
        plain(if right { "200 OK" } else { "400 Bad Request" }, "")
    })
    .await;
    assert_eq!(ask(&get(port, "/healthz?full=1")).await, CheckOutcome::Success);
    assert_eq!(
        ask(&get(port, "/other")).await,
        CheckOutcome::Failure("HTTP probe failed with statuscode: 400".to_owned())
    );
}

#[tokio::test]
async fn redirects_are_followed_within_the_host_only() {
    let port = serve(|request| match request.split(' ').nth(1) {
        Some("/a") => plain("302 Found", "Location: /b\r\n"),
        Some("/b") => plain("302 Found", "Location: c\r\n"),
        Some("/c") => plain("200 OK", ""),
        Some("/out") => plain("302 Found", "Location: http://192.0.2.1/\r\n"),
        _ => plain("302 Found", "Location: /again\r\n"),
    })
    .await;
    assert_eq!(ask(&get(port, "/a")).await, CheckOutcome::Success);
    assert!(matches!(ask(&get(port, "/out")).await, CheckOutcome::Warning(_)));
    let round = ask(&get(port, "/again")).await;
    assert!(
        matches!(&round, CheckOutcome::Failure(why) if why.contains("stopped after 10 redirects")),
        "{round:?}"
    );
}

#[tokio::test]
async fn a_body_without_end_harms_nobody() {
    let port = serve(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n".to_vec();
        answer.resize(4 << 20, b'x');
        answer
    })
    .await;
    assert_eq!(ask(&get(port, "/")).await, CheckOutcome::Success);
}

#[tokio::test]
async fn a_server_that_hangs_fails_when_its_time_is_over() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = connect::unchecked_tls().unwrap();
    let within = Some(Duration::from_millis(100));
    for action in [
        get(port, "/"),
        CheckAction::Grpc {
            host: "127.0.0.1".to_owned(),
            port,
            service: String::new(),
        },
    ] {
        let outcome = network(&tls, &target(CheckedBy::Probe), &action, within).await;
        assert!(matches!(outcome, CheckOutcome::Failure(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_accepted_is_success_and_one_that_is_refused_is_not() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tcp = CheckAction::TcpSocket {
        host: "127.0.0.1".to_owned(),
        port,
    };
    assert_eq!(ask(&tcp).await, CheckOutcome::Success);
    drop(listener);
    let refused = ask(&tcp).await;
    assert!(
        matches!(&refused, CheckOutcome::Failure(why) if why.contains("refused")),
        "{refused:?}"
    );
    assert!(matches!(ask(&get(port, "/")).await, CheckOutcome::Failure(_)));
}

#[tokio::test]
async fn the_status_of_an_answer_to_a_hook_does_not_matter() {
    let port = serve(|_| plain("500 Internal Server Error", "")).await;
    let tls = connect::unchecked_tls().unwrap();
    let outcome = network(&tls, &target(CheckedBy::Hook), &get(port, "/"), None).await;
    assert_eq!(outcome, CheckOutcome::Success);
}

/// A body of one message and a trailer.
struct Message(std::collections::VecDeque<Frame<Bytes>>);

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// Serves `db`, does not serve any other service, and does not know `none`.
async fn health(request: Request<Incoming>) -> Result<Response<Message>, Infallible> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let asked = request.into_body().collect().await.unwrap().to_bytes();
    let (status, code) = match &asked[5..] {
        b"\x0a\x02db" => (1, "0"),
        b"\x0a\x04none" => (0, "12"),
        _ => (2, "0"),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    let data = Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]));
    Ok(Response::new(Message([data, Frame::trailers(trailers)].into())))
}

#[tokio::test]
async fn a_service_is_asked_for_its_health() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(served.serve_connection(TokioIo::new(stream), service_fn(health)));
        }
    });
    let of = |service: &str| CheckAction::Grpc {
        host: "127.0.0.1".to_owned(),
        port,
        service: service.to_owned(),
    };
    assert_eq!(ask(&of("db")).await, CheckOutcome::Success);
    assert_eq!(
        ask(&of("other")).await,
        CheckOutcome::Failure("service unhealthy (responded with \"NOT_SERVING\")".to_owned())
    );
    let none = ask(&of("none")).await;
    assert!(
        matches!(&none, CheckOutcome::Failure(why) if why.contains("does not implement")),
        "{none:?}"
    );
}
