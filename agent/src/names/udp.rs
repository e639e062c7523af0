//! Questions over UDP.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::engine::Engine;
use super::reply::Transport;

/// A query has at most this many bytes; a longer one is cut and then refused as malformed.
pub(super) const MAX_QUERY: usize = 4096;

/// Questions that are being answered at once; then no more are read until one is done.
const MAX_RUNNING: usize = 1024;

/// How long to wait after an error of the socket, so that one that stays costs nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// Answers questions until called off.
pub(super) async fn serve(socket: UdpSocket, engine: Arc<Engine>) {
    let socket = Arc::new(socket);
    let mut running = JoinSet::new();
    let mut buffer = vec![0; MAX_QUERY];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer), if running.len() < MAX_RUNNING => {
                let Ok((length, client)) = received else {
                    // Such as a client that was gone before its answer came.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let packet = buffer.get(..length).unwrap_or_default().to_vec();
                let (socket, engine) = (Arc::clone(&socket), Arc::clone(&engine));
                running.spawn(async move {
                    if let Some(answer) = engine.answer(&packet, Transport::Udp).await {
                        // A client that is gone needs no answer.
                        let _ = socket.send_to(&answer, client).await;
                    }
                });
            }
            Some(_) = running.join_next() => {}
        }
    }
}
