//! Questions by datagram.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::limits::{Place, Places};
use super::message::MAX_QUERY_BYTES;
use super::reply::Transport;
use super::server::{Now, Server, closed};

/// After an error of the socket, so that one that stays costs nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until no more is to be taken and none waits; dropped, questions that wait end with it.
pub(super) async fn serve(
    server: Arc<Server>,
    socket: UdpSocket,
    places: Arc<Places>,
    mut closing: watch::Receiver<bool>,
) {
    let mut listener = Listener {
        server,
        socket: Arc::new(socket),
        places,
        waiting: JoinSet::new(),
    };
    let mut buffer = vec![0; MAX_QUERY_BYTES];
    loop {
        tokio::select! {
            biased;
            () = closed(&mut closing) => break,
            // Cancelled, it has taken nothing.
            received = listener.socket.recv_from(&mut buffer) => match received {
                Ok((length, client)) => listener.take(&buffer[..length], client),
                Err(error) => {
                    tracing::debug!(%error, "cannot receive DNS questions");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    while listener.waiting.join_next().await.is_some() {}
}

struct Listener {
    server: Arc<Server>,
    socket: Arc<UdpSocket>,
    places: Arc<Places>,
    /// Questions that wait for others; as many as there are places, and those that are done.
    waiting: JoinSet<()>,
}

impl Listener {
    fn take(&mut self, question: &[u8], client: SocketAddr) {
        while self.waiting.try_join_next().is_some() {}
        match self.server.now(question, Transport::Udp) {
            Now::Nothing => {}
            Now::Reply(reply) => send(&self.socket, &reply, client),
            Now::Later => match self.places.take(client.ip()) {
                Some(place) => self.wait(question, client, place),
                None => {
                    if let Some(reply) = self.server.busy(question, Transport::Udp) {
                        send(&self.socket, &reply, client);
                    }
                }
            },
        }
    }

    /// Every wait in it has its limit, so it ends by itself.
    fn wait(&mut self, question: &[u8], client: SocketAddr, place: Place) {
        let (server, socket) = (Arc::clone(&self.server), Arc::clone(&self.socket));
        let question = question.to_vec();
        self.waiting.spawn(async move {
            if let Some(reply) = server.later(&question, Transport::Udp).await {
                send(&socket, &reply, client);
            }
            drop(place);
        });
    }
}

/// A datagram that finds no room is lost, as any may be: the client asks again.
fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.try_send_to(reply, client) {
        tracing::debug!(%client, %error, "cannot send a DNS answer");
    }
}
