//! What became of warrantd or of a server, and what is told of them.

use serde_json::{Map, Value, json};

use super::super::subject::Change;
use super::base::{Builder, Class};
use super::object::server_name;

const LIFECYCLE: Class =
    Class { uid: 6002, category: 6, name: "Application Lifecycle", profiles: &[] };

pub(super) fn event(builder: Builder<'_>, change: Change) -> Map<String, Value> {
    let activity = match change {
        Change::Start => (3, "Start"),
        Change::Stop => (4, "Stop"),
        Change::Enable => (6, "Enable"),
        Change::Disable => (7, "Disable"),
        Change::Told => (99, builder.entry.name()),
    };
    let mut event = builder.event(LIFECYCLE, activity);
    builder.add_status(&mut event);
    let app = match builder.entry.text("server_id") {
        Some(_) => json!({"name": server_name(builder)}),
        None => {
            json!({"name": "warrantd", "vendor_name": "warrantd", "version": builder.origin.version})
        }
    };
    event.insert("app".into(), app);
    if let Some(by) = builder.entry.number("operator_uid") {
        event.insert("actor".into(), json!({"user": {"uid": by.to_string()}}));
    } else if let Some(actor) = builder.entry.text("actor") {
        event.insert("actor".into(), json!({"user": {"name": actor}}));
    }
    event
}
