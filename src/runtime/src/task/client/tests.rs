use std::path::PathBuf;
use std::sync::Arc;

use pinnace_shim::protocol::{Decoder, FrameKind, Request, encode_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;

struct FakeShim {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    listener: UnixListener,
}

impl FakeShim {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        Self {
            _dir: dir,
            socket,
            listener,
        }
    }
    fn client(&self, version: i32) -> Arc<ShimClient> {
        let address = ShimAddress {
            socket: self.socket.display().to_string(),
            version,
        };
        Arc::new(ShimClient::new(address, "ns"))
    }
    async fn accept(&self) -> UnixStream {
        self.listener.accept().await.expect("a connection").0
    }
}

/// Reads `count` requests.
async fn requests(stream: &mut UnixStream, count: usize) -> Vec<(u32, Request)> {
    let (mut decoder, mut buffer, mut got) = (Decoder::new(), [0_u8; 4096], Vec::new());
    while got.len() < count {
        let read = stream.read(&mut buffer).await.expect("bytes");
        assert!(read > 0, "the client went away after {} requests", got.len());
        decoder.push(&buffer[..read]);
        while let Some(frame) = decoder.next_frame().expect("a frame") {
            assert_eq!(frame.kind, FrameKind::Request);
            got.push((
                frame.stream_id,
                Request::decode(frame.data.as_slice()).expect("a request"),
            ));
        }
    }
    got
}

async fn answer(stream: &mut UnixStream, id: u32, answer: Result<Vec<u8>, Status>) {
    let mut bytes = Vec::new();
    encode_response(&mut bytes, id, answer);
    stream.write_all(&bytes).await.expect("written");
}

fn pid_of(id: &str) -> u32 {
    id.parse().expect("a number")
}

#[tokio::test]
async fn answers_find_their_calls_in_whatever_order_they_come() {
    let shim = FakeShim::new();
    let client = shim.client(2);
    let mut calls = tokio::task::JoinSet::new();
    for number in 1..=20_u32 {
        let client = Arc::clone(&client);
        calls.spawn(async move { (number, client.start(&number.to_string(), "").await) });
    }
    let mut stream = shim.accept().await;
    let mut asked = requests(&mut stream, 20).await;
    asked.reverse();
    for (stream_id, request) in asked {
        assert_eq!(request.service, "containerd.task.v2.Task");
        assert_eq!(request.metadata[0].value, "ns");
        let start = StartRequest::decode(request.payload.as_slice()).expect("a start");
        let payload = StartResponse {
            pid: pid_of(&start.id),
        }
        .encode_to_vec();
        answer(&mut stream, stream_id, Ok(payload)).await;
    }
    while let Some(done) = calls.join_next().await {
        let (number, started) = done.expect("joined");
        assert_eq!(started.expect("started").pid, number);
    }
}

#[tokio::test]
async fn version_three_is_spoken_where_it_was_announced() {
    let shim = FakeShim::new();
    let client = shim.client(3);
    let call = tokio::spawn(async move { client.state("x", "").await });
    let mut stream = shim.accept().await;
    let (id, request) = requests(&mut stream, 1).await.remove(0);
    assert_eq!(
        (request.service.as_str(), request.method.as_str()),
        ("containerd.task.v3.Task", "State")
    );
    answer(&mut stream, id, Err(Status::new(Code::NotFound, "no task x"))).await;
    assert!(call.await.expect("joined").expect_err("refused").is_not_found());
}

#[tokio::test]
async fn a_dropped_call_disturbs_no_other() {
    let shim = FakeShim::new();
    let client = shim.client(2);
    let waiting = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.wait("1", "").await })
    };
    let mut stream = shim.accept().await;
    let (dropped, _) = requests(&mut stream, 1).await.remove(0);
    waiting.abort();
    assert!(waiting.await.expect_err("aborted").is_cancelled());
    answer(
        &mut stream,
        dropped,
        Ok(WaitResponse {
            exit_status: 9,
            exited_at: None,
        }
        .encode_to_vec()),
    )
    .await;
    let call = tokio::spawn(async move { client.start("7", "").await });
    let (id, _) = requests(&mut stream, 1).await.remove(0);
    answer(&mut stream, id, Ok(StartResponse { pid: 7 }.encode_to_vec())).await;
    assert_eq!(call.await.expect("joined").expect("started").pid, 7);
}

#[tokio::test]
async fn a_broken_socket_fails_what_acts_and_repeats_what_looks() {
    let shim = FakeShim::new();
    let client = shim.client(2);
    let acting = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.start("1", "").await })
    };
    let mut stream = shim.accept().await;
    requests(&mut stream, 1).await;
    drop(stream);
    assert!(matches!(
        acting.await.expect("joined"),
        Err(CallError::Closed { method: "Start" })
    ));

    let looking = tokio::spawn(async move { client.state("1", "").await });
    let mut first = shim.accept().await;
    requests(&mut first, 1).await;
    drop(first);
    let mut second = shim.accept().await;
    let (id, _) = requests(&mut second, 1).await.remove(0);
    answer(
        &mut second,
        id,
        Ok(StateResponse {
            pid: 5,
            ..StateResponse::default()
        }
        .encode_to_vec()),
    )
    .await;
    assert_eq!(looking.await.expect("joined").expect("a state").pid, 5);
}

#[tokio::test]
async fn nobody_at_the_address_is_told_apart() {
    let shim = FakeShim::new();
    let client = shim.client(2);
    drop(shim);
    let error = client.state("1", "").await.expect_err("no shim");
    assert!(matches!(error, CallError::NoShim { .. }) && error.is_no_shim());
    client.shutdown("1", true).await.expect("gone already");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_in_time() {
    let shim = FakeShim::new();
    let client = shim.client(2);
    let error = client.state("1", "").await.expect_err("no answer");
    assert!(
        matches!(error, CallError::TimedOut { method: "State", .. }),
        "{error}"
    );
}
