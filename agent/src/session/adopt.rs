//! A session goes over to the configuration that its server has now.
//!
//! What is in flight keeps the warrant it was given, and is recorded under the configuration that judged it;
//! the kernel closes at once what the new one does not list. What comes after is judged by the new one alone.

use std::sync::Arc;

use super::conversation::{Conversation, SessionError};
use super::files::Files;
use super::server::Server;
use super::{names, opening};
use crate::kernel::Leave;

impl Conversation {
    /// Adopts the latest configuration, if that is not what the session goes by. On an error the session ends:
    /// nobody knows what of it is in force.
    pub(super) fn adopt(&mut self) -> Result<(), SessionError> {
        // Compared, since whoever waited for the change has seen it already.
        let next = {
            let latest = self.context.latest.borrow_and_update();
            if Arc::ptr_eq(&latest, &self.context.server) {
                return Ok(());
            }
            latest.clone()
        };
        match self.context.server.leads_to(&next) {
            // Somebody looks at it. Its processes stand still, and can only be killed.
            Err(_) if self.frozen.is_some() => return Ok(()),
            Err(what) => return Err(SessionError::Outdated(what)),
            Ok(()) => {}
        }
        // What was done before is judged by what was in force.
        self.drain();
        if let Some(watch) = &self.watch {
            let resolver = self.resolver.take();
            self.resolver = names::renew(watch, resolver, &next).map_err(SessionError::Names)?;
            watch.set_doors(names::doors(&next, self.resolver.as_ref()))?;
            watch.set_network(&next.policy.network)?;
        }
        self.gate.renew_startup(&next.startup);
        self.renew_files(&next)?;
        self.context.server = next;
        self.leave = None;
        if opening::stays_open(&self.context.server)
            && let Some(watch) = &self.watch
        {
            watch.set_leave(&Leave::Everything)?;
        }
        self.settle(None)?;
        self.sign_as_renewed();
        tracing::info!(
            server = self.context.server.id,
            session = self.recorder.session_id,
            generation = self.context.server.generation,
            "goes on under the new configuration"
        );
        Ok(())
    }

    /// Why the session cannot go on as its server is configured now, if it cannot.
    pub(super) fn is_outdated(&self) -> Option<&'static str> {
        self.context.server.leads_to(&self.context.latest.borrow()).err()
    }

    /// Enforces on files what is to be enforced now.
    fn renew_files(&mut self, next: &Server) -> Result<(), SessionError> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let Some(floor) = &next.enforced else {
            self.files = None;
            return Ok(watch.set_files(None)?);
        };
        let mut files = Files::new(floor, &next.root).map_err(SessionError::Files)?;
        files.change(self.gate.warrants(None)).map_err(SessionError::Files)?;
        watch.set_files(Some(files.now().map_err(SessionError::Files)?))?;
        self.files = Some(files);
        Ok(())
    }

    /// Records name the new configuration from here on.
    fn sign_as_renewed(&mut self) {
        let server = &self.context.server;
        self.recorder = Arc::new(self.recorder.under(server));
        for client in self.clients.values_mut() {
            client.who = Arc::new(client.who.under(server));
        }
    }
}
