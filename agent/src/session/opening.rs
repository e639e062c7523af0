//! Just-in-time enforcement: the kernel opens the peers of the calls in flight, and no others.
//!
//! Opened before the request is forwarded, closed before the response is judged: what a server begins
//! on the network is within the warrant of a call in flight, or refused. Policies whose servers keep
//! connections of their own say so in `effects.ambient.connect`, or `effects.network: always`.

use super::call::End;
use super::conversation::{Context, Conversation, SessionError};
use super::gate::Request;
use super::server::Server;
use crate::config::NetworkOpening;
use crate::kernel::{KernelError, Leave};
use crate::mcp::{Id, RpcError, code};

/// What is open while the server starts.
pub(super) fn at_start(server: &Server) -> Leave {
    if is_always_open(server) {
        return Leave::Everything;
    }
    Leave::Peers([server.startup.peers(), server.ambient.peers()].concat())
}

/// A server that is only observed is refused nothing that another one could do in a call.
fn is_always_open(server: &Server) -> bool {
    server.policy.effects.network == NetworkOpening::Always || server.is_observed()
}

impl Conversation {
    /// Puts a call in flight, opens its peers and forwards it. When they cannot be opened, it is
    /// answered and recorded as failed, and the server never sees it.
    pub(super) async fn launch(
        &mut self,
        id: Id,
        request: Request,
        line: Vec<u8>,
    ) -> Result<(), SessionError> {
        self.gate.begin(id.clone(), request);
        let Err(error) = self.settle(None) else {
            self.forward(line).await;
            return Ok(());
        };
        let message = format!("the kernel did not open the call's peers: {error}");
        let mut answer = RpcError::new(code::DENIED, message.clone(), "peers_not_opened");
        if let Some(request) = self.gate.end(&id) {
            self.ended(&request);
            answer.correlation_id = request.call.as_ref().map(|call| call.correlation_id.clone());
            let effects = self.effects_of(&request);
            let end = End { error: Some(message), ..End::default() };
            self.append(&self.recorder.ended(&request, end, effects))?;
        }
        // What was opened of it closes, or the session ends.
        self.settle(None)?;
        self.to_client.send(answer.to_line(Some(&id))).await;
        Ok(())
    }

    /// Opens what the requests in flight may reach, but for one that is `ending`, and closes all else.
    pub(super) fn settle(&mut self, ending: Option<&Id>) -> Result<(), KernelError> {
        let Context { server, .. } = &self.context;
        if is_always_open(server) {
            return Ok(());
        }
        let Some(watch) = &self.watch else { return Ok(()) };
        let mut peers = server.ambient.peers().to_vec();
        peers.extend(self.gate.warrants(ending).flat_map(|warrant| warrant.peers()).cloned());
        let leave = Leave::Peers(peers);
        if self.leave != leave {
            watch.set_leave(&leave)?;
            self.leave = leave;
        }
        Ok(())
    }
}
