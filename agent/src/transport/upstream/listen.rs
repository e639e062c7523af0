//! The stream for what the server says by itself (revision 2025-11-25, section Listening for Messages from the
//! Server).

use std::sync::Arc;
use std::time::Instant;

use super::Failure;
use super::event_stream::{EventStream, Resume};
use super::limits::{LASTED, MAX_RESUMES};
use super::message::FromServer;
use super::shared::Shared;

/// Listens until the session ends. Servers need not offer the stream, and may close it at any time.
pub(super) async fn listen(shared: Arc<Shared>) {
    let server = &shared.upstream.server;
    let (mut resume, mut tries) = (Resume::default(), 0);
    while tries <= MAX_RESUMES {
        if tries > 0 || resume.is_possible() {
            tokio::time::sleep(resume.wait(tries)).await;
        }
        let began = Instant::now();
        tries += 1;
        match EventStream::open(&shared, &resume).await {
            Ok(mut stream) => {
                let ended = loop {
                    match stream.next().await {
                        Ok(Some(text)) => {
                            tries = 0;
                            let message = FromServer { text, about: None, failure: None };
                            if !shared.hand(message).await {
                                return;
                            }
                        }
                        Ok(None) => break Failure::Cut,
                        Err(failure) => break failure,
                    }
                };
                tracing::debug!(server, "its own stream ended: {ended}");
                resume.note(&stream);
                if began.elapsed() > LASTED {
                    tries = 0;
                }
            }
            Err(Failure::SessionGone) => return shared.lose_session(),
            // It offers none, or not to us.
            Err(failure @ Failure::Status(400..=499)) => {
                tracing::debug!(server, "it has no stream of its own: {failure}");
                return;
            }
            Err(failure) => tracing::debug!(server, "its own stream cannot be opened: {failure}"),
        }
    }
    tracing::warn!(
        server,
        "what the server says by itself is not heard any more: its stream fails"
    );
}
