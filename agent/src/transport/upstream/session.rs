//! What a link knows of its session with the server, in the handshake era.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Failure;
use super::limits::MAX_ID;
use super::request::SESSION_ID;

/// A session of the handshake era (revision 2025-11-25, section Session Management).
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// The server's name for it, if it gave one. Whoever knows it can speak in the session.
    id: Option<HeaderValue>,
    /// The revision that was agreed on.
    revision: Option<HeaderValue>,
}

impl Session {
    /// The session that a response to `initialize` begins.
    pub(super) fn begun(headers: &HeaderMap) -> Result<Self, Failure> {
        let id = headers.get(&SESSION_ID).cloned().map(|mut id| {
            let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
            if id.is_empty() || id.len() > MAX_ID || !visible {
                return Err(Failure::Protocol("its session id is not one".to_owned()));
            }
            id.set_sensitive(true);
            Ok(id)
        });
        Ok(Self { id: id.transpose()?, revision: None })
    }

    /// The revision was agreed on. One that cannot stand in a header is nobody's.
    pub(super) fn agree(&mut self, revision: &str) {
        self.revision = HeaderValue::from_str(revision).ok().filter(|value| value.len() <= 32);
    }

    /// Whether the server gave it an id.
    pub(super) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap, id: &HeaderName, revision: &HeaderName) {
        for (name, value) in [(id, &self.id), (revision, &self.revision)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}
