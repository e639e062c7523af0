//! A session with the messages of an HTTP client.

use tokio::io::duplex;
use tokio::sync::{mpsc, watch};

use crate::mcp::{Id, Message};
use crate::session::{Context, Ending, MAX_REQUEST, SessionError, converse as carry};
use crate::transport::http::Visit;
use crate::transport::{Arrival, Departure, Line, LineReader, LineWriter, Route};

/// Bytes between the two.
const PIPE: usize = 64 << 10;
/// A message from a session may have this many bytes.
const MAX_MESSAGE: usize = 65 << 20;

/// Carries a client's messages to a session of its own and back.
pub(super) async fn converse(
    context: Context,
    visit: Visit,
    stop: watch::Receiver<bool>,
) -> Result<Ending, SessionError> {
    let Visit { identity, arrivals, departures, .. } = visit;
    let (near, far) = duplex(PIPE);
    let (from_session, to_session) = tokio::io::split(far);
    let (reader, writer) = tokio::io::split(near);
    let (asked, asking) = mpsc::unbounded_channel();
    let up = tokio::spawn(up(arrivals, LineWriter::new(to_session, 1), asked));
    let down = tokio::spawn(down(LineReader::new(from_session, MAX_MESSAGE), departures, asking));
    let reader = LineReader::new(reader, MAX_REQUEST);
    let done = carry(context, identity, reader, LineWriter::new(writer, 16), stop).await;
    up.abort();
    let _ = down.await; // It has carried all that there was.
    done
}

async fn up(
    mut arrivals: mpsc::Receiver<Arrival>,
    to_session: LineWriter,
    asked: mpsc::UnboundedSender<Id>,
) {
    while let Some(arrival) = arrivals.recv().await {
        if let Ok(Message::Request { id, .. }) = Message::parse(&arrival.text) {
            let _ = asked.send(id); // Nobody listens any more.
        }
        // A message over HTTP may have line ends between its tokens; they mean nothing.
        let mut text = arrival.text;
        for byte in &mut text {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        to_session.send(text).await;
    }
    to_session.finish().await;
}

async fn down(
    mut from_session: LineReader<impl tokio::io::AsyncRead + Unpin>,
    departures: mpsc::Sender<Departure>,
    mut asking: mpsc::UnboundedReceiver<Id>,
) {
    let mut open: Vec<Id> = Vec::new();
    while let Ok(Some(line)) = from_session.next().await {
        let Line::Whole(text) = line else { continue };
        while let Ok(id) = asking.try_recv() {
            open.push(id);
        }
        let route = match (Message::parse_lenient(&text), open.as_slice()) {
            (Ok(Message::Response { id: Some(id), .. }), _) => {
                open.retain(|other| *other != id);
                Route::Answer(id)
            }
            (_, [only]) => Route::About(only.clone()),
            _ => Route::General,
        };
        if departures.send(Departure { text, route }).await.is_err() {
            return;
        }
    }
}
