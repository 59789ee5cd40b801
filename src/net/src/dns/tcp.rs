//! Questions by connection: one after the other on each, each after its length.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::limits::Places;
use super::message::MAX_QUERY_BYTES;
use super::reply::Transport;
use super::server::{Now, Server, closed};

/// A client that says nothing for this long is hung up on.
const IDLE: Duration = Duration::from_secs(10);
/// For the rest of a question that began, and for a client to take its answer.
const TRANSFER: Duration = Duration::from_secs(5);
/// A question that is under way when no more is to be taken arrives within this time.
const LAST_QUESTION: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
/// Connections at one time, of all clients and of each.
const CONNECTIONS: (usize, usize) = (256, 64);

/// Answers until no more is to be taken and all clients have their answers; dropped, its connections end with it.
pub(super) async fn serve(
    server: Arc<Server>,
    listener: TcpListener,
    places: Arc<Places>,
    mut closing: watch::Receiver<bool>,
) {
    let connections = Places::new(CONNECTIONS.0, CONNECTIONS.1);
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closed(&mut closing) => break,
            // Cancelled, it has taken nothing.
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                while open.try_join_next().is_some() {}
                // Without a place it is closed at once.
                let Some(connection) = connections.take(client.ip()) else {
                    continue;
                };
                let (server, places) = (Arc::clone(&server), Arc::clone(&places));
                let closing = closing.clone();
                open.spawn(async move {
                    if let Err(error) = converse(&server, stream, client, &places, closing).await {
                        tracing::trace!(%client, %error, "a DNS connection ended");
                    }
                    drop(connection);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept DNS connections");
                sleep(PAUSE).await;
            }
        }
    }
    while open.join_next().await.is_some() {}
}

async fn converse(
    server: &Server,
    mut stream: TcpStream,
    client: SocketAddr,
    places: &Arc<Places>,
    mut closing: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; MAX_QUERY_BYTES];
    loop {
        let last_question = async {
            closed(&mut closing).await;
            sleep(LAST_QUESTION).await;
        };
        let length = tokio::select! {
            length = stream.read_u16() => length?,
            // Part of a length may have been read; nothing else is after this.
            () = sleep(IDLE) => return Ok(()),
            () = last_question => return Ok(()),
        };
        let Some(question) = buffer.get_mut(..usize::from(length)) else {
            return Ok(());
        };
        timeout(TRANSFER, stream.read_exact(question)).await??;
        let Some(reply) = answer(server, question, client.ip(), places).await else {
            return Ok(());
        };
        let Ok(length) = u16::try_from(reply.len()) else {
            return Ok(());
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        timeout(TRANSFER, stream.write_all(&framed)).await??;
    }
}

async fn answer(server: &Server, question: &[u8], client: IpAddr, places: &Arc<Places>) -> Option<Vec<u8>> {
    match server.now(question, Transport::Tcp) {
        Now::Nothing => None,
        Now::Reply(reply) => Some(reply),
        Now::Later => match places.take(client) {
            Some(_place) => server.later(question, Transport::Tcp).await,
            None => server.busy(question, Transport::Tcp),
        },
    }
}
