//! OpenTelemetry logs: OTLP/HTTP 1.x with JSON, one log record for each event. What a receiver says it has not
//! taken of a request (`partialSuccess`) must not be sent again; it is counted.

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::ShipError;
use super::error::{Failure, excerpt};
use super::portions::post_all;
use super::post::{JSON, Post};
use super::sink::Delivered;
use crate::audit::format::{Formatted, Origin};
use crate::config::ShipConfig;

/// A receiver of OTLP.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) post: Post,
    origin: Origin,
}

impl Otlp {
    pub(super) fn open(
        config: &ShipConfig,
        url: &Url,
        base: &Path,
        origin: &Origin,
    ) -> Result<Self, ShipError> {
        let mut post = Post::open(config, url, base, "")?;
        if post.path == "/" {
            // OTLP/HTTP, "OTLP/HTTP Request".
            "/v1/logs".clone_into(&mut post.path);
        }
        Ok(Self { post, origin: origin.clone() })
    }

    pub(super) async fn deliver(&mut self, events: &[Formatted]) -> Result<Delivered, Failure> {
        let origin = &self.origin;
        let encode = |events: &[Formatted]| encode(events, origin);
        post_all(&mut self.post, events, JSON, encode, |answer, _| Ok(refused(answer))).await
    }
}

fn encode(events: &[Formatted], origin: &Origin) -> String {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let records: Vec<Value> = events
        .iter()
        .map(|event| {
            let time = event.timestamp.parse::<jiff::Timestamp>();
            let time = time.map(jiff::Timestamp::as_nanosecond).unwrap_or_default().to_string();
            json!({
                "timeUnixNano": time,
                "observedTimeUnixNano": time,
                "severityNumber": event.severity.otlp(),
                "severityText": event.severity.name(),
                "body": {"stringValue": event.text},
                "attributes": [
                    text("log.record.uid", &event.id),
                    text("event.name", &event.event),
                    {"key": "warrantd.seq", "value": {"intValue": event.seq.to_string()}},
                ],
            })
        })
        .collect();
    json!({"resourceLogs": [{
        "resource": {"attributes": [
            text("service.name", "warrantd"),
            text("service.version", origin.version),
            text("host.name", &origin.host),
        ]},
        "scopeLogs": [{"scope": {"name": "warrantd.audit"}, "logRecords": records}],
    }]})
    .to_string()
}

/// How many records an answer of success says were not taken.
fn refused(answer: &[u8]) -> (u64, String) {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    let count = &partial["rejectedLogRecords"];
    // A 64-bit number is a text in the JSON of Protocol Buffers.
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default();
    let why = excerpt(partial["errorMessage"].as_str().unwrap_or_default().as_bytes());
    (count, format!("{count} log records were refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_success_is_read_in_both_forms_of_its_number() {
        for answer in ["{}", "", "{\"partialSuccess\":{}}"] {
            assert_eq!(refused(answer.as_bytes()).0, 0, "{answer}");
        }
        for count in ["2", "\"2\""] {
            let answer = format!("{{\"partialSuccess\":{{\"rejectedLogRecords\":{count}}}}}");
            assert_eq!(refused(answer.as_bytes()).0, 2, "{answer}");
        }
    }
}
