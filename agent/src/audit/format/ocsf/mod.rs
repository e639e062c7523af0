//! OCSF 1.8.0 (schema.ocsf.io). Classes: API Activity (6003), Authentication (3002), Application Lifecycle
//! (6002), Network Activity (4001), File System Activity (1001), Process Activity (1007) and Detection
//! Finding (2004); profiles `host` and `security_control`, and for API Activity `ai_operation` and, with a
//! `traceparent`, `trace`.
//!
//! `metadata.correlation_uid` joins the events of one call; `unmapped` holds what OCSF has no field for,
//! with the record's number and hashes.

mod api;
mod base;
mod effect;
mod finding;
mod lifecycle;
mod object;

use serde_json::Value;

use super::Origin;
use super::entry::Entry;
use super::part::Part;
use super::subject::Subject;
use base::Builder;

/// The event of one part of a record.
pub(super) fn event(entry: &Entry<'_>, number: usize, part: Part<'_>, origin: &Origin) -> String {
    let builder = Builder { entry, number, part, origin };
    let event = match part {
        Part::Finding(verdict) => finding::verdict(builder, verdict),
        Part::Effect(effect, exceeded) => effect::event(builder, effect, exceeded),
        Part::Whole => match entry.subject() {
            Subject::Api => api::activity(builder),
            Subject::Authentication => api::authentication(builder),
            Subject::Name => effect::name_refused(builder),
            Subject::Definition(_) | Subject::Alert => finding::told(builder),
            Subject::Lifecycle(change, _) => lifecycle::event(builder, change),
        },
    };
    Value::Object(event).to_string()
}
