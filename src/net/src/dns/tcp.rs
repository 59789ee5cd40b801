//! Questions by connection: one after the other on each, each after its length.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::limits::Places;
use super::message::MAX_QUERY_BYTES;
use super::reply::Transport;
use super::server::{Now, Server};

/// A client that says nothing for this long is hung up on.
const IDLE: Duration = Duration::from_secs(10);
/// For the rest of a question that began, and for a client to take its answer.
const TRANSFER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Connections at one time, of all clients and of each.
const CONNECTIONS: (usize, usize) = (256, 64);

/// Answers for as long as it is polled; its connections end with it.
pub(super) async fn serve(server: Arc<Server>, listener: TcpListener, places: Arc<Places>) {
    let connections = Places::new(CONNECTIONS.0, CONNECTIONS.1);
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                while open.try_join_next().is_some() {}
                // Without a place it is closed at once.
                let Some(connection) = connections.take(client.ip()) else {
                    continue;
                };
                let (server, places) = (Arc::clone(&server), Arc::clone(&places));
                open.spawn(async move {
                    if let Err(error) = converse(&server, stream, client, &places).await {
                        tracing::trace!(%client, %error, "a DNS connection ended");
                    }
                    drop(connection);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept DNS connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(
    server: &Server,
    mut stream: TcpStream,
    client: SocketAddr,
    places: &Arc<Places>,
) -> io::Result<()> {
    let mut buffer = vec![0; MAX_QUERY_BYTES];
    loop {
        let Ok(length) = timeout(IDLE, stream.read_u16()).await else {
            return Ok(());
        };
        let Some(question) = buffer.get_mut(..usize::from(length?)) else {
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
