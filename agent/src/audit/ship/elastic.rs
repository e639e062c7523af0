//! Elasticsearch's `_bulk`, with `create` and the event's id: one that comes twice is a conflict (409), which is
//! an acknowledgement.

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::ShipError;
use super::error::{Failure, excerpt};
use super::portions::post_all;
use super::post::{NDJSON, Post};
use super::sink::Delivered;
use crate::audit::format::Formatted;
use crate::config::ShipConfig;

/// An Elasticsearch.
#[derive(Debug)]
pub(super) struct Elastic {
    pub(super) post: Post,
    index: String,
}

impl Elastic {
    pub(super) fn open(config: &ShipConfig, url: &Url, base: &Path) -> Result<Self, ShipError> {
        let mut post = Post::open(config, url, base, "ApiKey ")?;
        post.path = format!("{}/_bulk", post.path.trim_end_matches('/'));
        Ok(Self { post, index: config.index.clone().unwrap_or_default() })
    }

    pub(super) async fn deliver(&mut self, events: &[Formatted]) -> Result<Delivered, Failure> {
        let index = &self.index;
        let encode = |events: &[Formatted]| encode(events, index);
        post_all(&mut self.post, events, NDJSON, encode, read).await
    }
}

fn encode(events: &[Formatted], index: &str) -> String {
    let one = |event: &Formatted| {
        format!("{}\n{}\n", json!({"create": {"_index": index, "_id": event.id}}), event.text)
    };
    events.iter().map(one).collect()
}

/// How many events an answer says were refused for good. When one may be taken later, all are sent again: those
/// that were taken will be conflicts.
fn read(answer: &[u8], events: &[Formatted]) -> Result<(u64, String), Failure> {
    let answer: Value =
        serde_json::from_slice(answer).map_err(|_| Failure::Protocol(excerpt(answer)))?;
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.len() != events.len() {
        let why = format!("{} answers to {} events", items.len(), events.len());
        return Err(Failure::Protocol(why));
    }
    let (mut rejected, mut why) = (0, String::new());
    for (item, event) in items.iter().zip(events) {
        let item = &item["create"];
        match item["status"].as_u64() {
            Some(200..=299 | 409) => {}
            Some(status @ (429 | 500..)) => {
                return Err(Failure::Status(u16::try_from(status).unwrap_or(500)));
            }
            Some(_) => {
                rejected += 1;
                let reason = item["error"]["type"].as_str().unwrap_or_default();
                why = format!("record {} was refused: {}", event.seq, excerpt(reason.as_bytes()));
            }
            None => return Err(Failure::Protocol("an item without a status".to_owned())),
        }
    }
    Ok((rejected, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::format::Severity;

    fn answers(statuses: &[u16]) -> Result<(u64, String), Failure> {
        let event = Formatted {
            id: "a-0".to_owned(),
            seq: 3,
            timestamp: String::new(),
            severity: Severity::Low,
            event: "call".to_owned(),
            text: "{}".to_owned(),
        };
        let items: Vec<Value> =
            statuses.iter().map(|status| json!({"create": {"status": status}})).collect();
        read(json!({"items": items}).to_string().as_bytes(), &[event.clone(), event])
    }

    #[test]
    fn each_event_has_its_own_answer() {
        // A conflict says that the event is there already.
        assert_eq!(answers(&[201, 409]).expect("read").0, 0);
        assert_eq!(answers(&[201, 400]).expect("read").0, 1);
        assert_eq!(answers(&[201, 429]), Err(Failure::Status(429)));
        assert_eq!(answers(&[503, 400]), Err(Failure::Status(503)));
        assert!(answers(&[201]).is_err() && read(b"nonsense", &[]).is_err());
    }
}
