//! Questions over TCP, several on a connection, answered in their order (RFC 7766).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::engine::Engine;
use super::reply::Transport;
use super::udp::MAX_QUERY;

/// Connections of a session at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 32;

/// How long the next question may take to arrive whole, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait after an error of the listener, so that one that stays costs nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers questions until called off.
pub(super) async fn serve(listener: TcpListener, engine: Arc<Engine>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if running.len() < MAX_CONNECTIONS => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let engine = Arc::clone(&engine);
                // However it ends, the connection is closed.
                running.spawn(async move { drop(converse(stream, &engine).await) });
            }
            Some(_) = running.join_next() => {}
        }
    }
}

/// One connection. It ends with the first message that is no query.
async fn converse(mut stream: TcpStream, engine: &Engine) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let packet = timeout(PATIENCE, read(&mut stream)).await??;
        let Some(answer) = engine.answer(&packet, Transport::Tcp).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let message = [&length.to_be_bytes()[..], &answer].concat();
        timeout(PATIENCE, stream.write_all(&message)).await??;
    }
}

/// One message: its length in two bytes, then itself (RFC 1035, section 4.2.2).
async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_QUERY {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a query is never that long"));
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}
