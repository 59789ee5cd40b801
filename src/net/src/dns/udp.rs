//! Questions by datagram.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::limits::Places;
use super::message::MAX_QUERY_BYTES;
use super::reply::Transport;
use super::server::{Now, Server};

/// After an error of the socket, so that one that stays costs nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers for as long as it is polled.
pub(super) async fn serve(server: Arc<Server>, socket: UdpSocket, places: Arc<Places>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; MAX_QUERY_BYTES];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => take(&server, &socket, &places, &buffer[..length], client),
            Err(error) => {
                tracing::debug!(%error, "cannot receive DNS questions");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn take(
    server: &Arc<Server>,
    socket: &Arc<UdpSocket>,
    places: &Arc<Places>,
    question: &[u8],
    client: SocketAddr,
) {
    match server.now(question, Transport::Udp) {
        Now::Nothing => {}
        Now::Reply(reply) => send(socket, &reply, client),
        Now::Later => {
            let Some(place) = places.take(client.ip()) else {
                if let Some(reply) = server.busy(question, Transport::Udp) {
                    send(socket, &reply, client);
                }
                return;
            };
            let (server, socket, question) = (Arc::clone(server), Arc::clone(socket), question.to_vec());
            // It ends by itself: every wait in it has its limit.
            tokio::spawn(async move {
                if let Some(reply) = server.later(&question, Transport::Udp).await {
                    send(&socket, &reply, client);
                }
                drop(place);
            });
        }
    }
}

/// A datagram that finds no room is lost, as any may be: the client asks again.
fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.try_send_to(reply, client) {
        tracing::debug!(%client, %error, "cannot send a DNS answer");
    }
}
