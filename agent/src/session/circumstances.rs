//! What transport and caller say of a call, for its record.

use serde_json::{Map, Value};

use super::clients::ClientKey;
use super::conversation::Conversation;
use crate::audit::{CallContext, Record};

/// What is known of how a call came.
#[derive(Debug, Clone, Default)]
pub(super) struct Circumstances {
    source_ip: Option<String>,
    context: CallContext,
}

impl Circumstances {
    /// Puts them into a record.
    pub(super) fn fill(&self, record: Record) -> Record {
        let CallContext { end_user_id, model_output_ref, context_sources, traceparent } =
            self.context.clone();
        Record {
            source_ip: self.source_ip.clone(),
            end_user_id,
            model_output_ref,
            context_sources,
            traceparent,
            ..record
        }
    }
}

impl Conversation {
    /// The circumstances of the client's last message, with its `_meta`; sanitized.
    pub(super) fn circumstances(
        &self,
        client: ClientKey,
        meta: Option<&Map<String, Value>>,
    ) -> Circumstances {
        let server = &self.context.server;
        let notes = self.clients.get(&client).map(|client| &client.notes);
        let headers = notes.map_or(&[][..], |notes| &notes.headers);
        let empty = Map::new();
        let said = server.said.read(meta.unwrap_or(&empty), headers);
        let clean = |text: String| server.sanitizer.text(None, &text).into_owned();
        Circumstances {
            source_ip: notes.and_then(|notes| notes.source_ip).map(|ip| ip.to_string()),
            context: CallContext {
                end_user_id: said.end_user_id.map(clean),
                model_output_ref: said.model_output_ref.map(clean),
                context_sources: said.context_sources.map(|v| server.sanitizer.value(None, &v)),
                traceparent: said.traceparent,
            },
        }
    }
}
