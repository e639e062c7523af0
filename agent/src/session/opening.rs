//! Just-in-time enforcement: the kernel opens the peers of the calls in flight, and no others; where it
//! enforces files, the same for what calls change and run.
//!
//! Opened before the request is forwarded, closed before the response is judged: what a server begins
//! on the network is within the warrant of a call in flight, or refused. Policies whose servers keep
//! connections of their own say so in `effects.ambient.connect`, or `effects.network: always`.

use std::io;

use super::call::End;
use super::clients::Key;
use super::conversation::{Conversation, SessionError};
use super::files::Files;
use super::request::Request;
use super::server::Server;
use crate::config::NetworkOpening;
use crate::kernel::{KernelError, Leave};
use crate::mcp::{RpcError, code};
use crate::warrant::Warrant;

/// What is open while the server starts.
pub(super) fn at_start(server: &Server) -> Leave {
    if stays_open(server) {
        return Leave::Everything;
    }
    Leave::Peers([server.startup.peers(), server.ambient.peers()].concat())
}

/// Whether the server may use all that its policy lists at any time.
pub(super) fn stays_open(server: &Server) -> bool {
    server.is_observed() || server.policy.effects.network == NetworkOpening::Always
}

/// The rules on files while the server starts, if policy has them enforced.
pub(super) fn files_at_start(server: &Server) -> io::Result<Option<Files>> {
    let Some(floor) = &server.enforced else { return Ok(None) };
    let mut files = Files::new(floor, &server.root)?;
    files.change(std::iter::once(&server.startup))?;
    Ok(Some(files))
}

/// Why what a call may do is not open, or not closed again.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// A file that it may change or run cannot be looked at.
    #[error(transparent)]
    Files(#[from] io::Error),
    /// The kernel's tables refuse it.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl Conversation {
    /// Puts a call in flight, opens what it may do and forwards it. When that cannot be opened, it is
    /// answered and recorded as failed, and the server never sees it.
    pub(super) async fn launch(
        &mut self,
        key: Key,
        request: Request,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        let text = self.begin(&key, request, &line);
        let Err(error) = self.settle(None) else {
            self.forward(key.client, text).await;
            return Ok(());
        };
        let message = format!("the kernel did not open what the call may do: {error}");
        let mut answer = RpcError::new(code::DENIED, message.clone(), "not_opened");
        if let Some(request) = self.gate.end(&key) {
            request.let_go();
            answer.correlation_id = request.call.as_ref().map(|call| call.correlation_id.clone());
            let effects = self.effects_of(&request);
            let end = End { error: Some(message), ..End::default() };
            self.append(request.who.ended(&request, end, effects))?;
        }
        // What was opened of it closes, or the session ends.
        self.settle(None)?;
        self.answer_error(&key, &answer).await;
        Ok(())
    }

    /// Opens what the requests in flight may reach, change and run, but for one that is `ending`, and
    /// closes all else. Whether that changed anything.
    pub(super) fn settle(&mut self, ending: Option<&Key>) -> Result<bool, OpeningError> {
        let Some(watch) = &self.watch else { return Ok(false) };
        let mut changed = false;
        if let Some(files) = &mut self.files
            && let Some(rules) = files.change(self.gate.warrants(ending))?
        {
            watch.set_files(Some(rules))?;
            changed = true;
        }
        let server = &self.context.server;
        if stays_open(server) {
            return Ok(changed);
        }
        let mut peers = server.ambient.peers().to_vec();
        peers.extend(self.gate.warrants(ending).flat_map(Warrant::peers).cloned());
        let leave = Leave::Peers(peers);
        if self.leave.as_ref() != Some(&leave) {
            // On an error nobody knows what is open, so the next change is made whatever it is.
            self.leave = None;
            watch.set_leave(&leave)?;
            self.leave = Some(leave);
            changed = true;
        }
        Ok(changed)
    }
}
