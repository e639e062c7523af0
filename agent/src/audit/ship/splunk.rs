//! Splunk's HTTP Event Collector. Status 200 says that events were taken, not that they are indexed; where the
//! token has indexer acknowledgement, the answer has an `ackId`, which is asked about until it is.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use super::ShipError;
use super::error::{Failure, excerpt};
use super::portions::Portions;
use super::post::{JSON, Post};
use super::sink::Delivered;
use crate::audit::format::{Formatted, Origin};
use crate::config::{ShipConfig, ShipFormat};

/// How long the indexer may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(120);
/// The longest pause between questions whether it has.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// A HEC.
#[derive(Debug)]
pub(super) struct Splunk {
    pub(super) post: Post,
    /// Requests of one channel are acknowledged together.
    channel: String,
    index: Option<String>,
    format: ShipFormat,
    origin: Origin,
}

impl Splunk {
    pub(super) fn open(
        config: &ShipConfig,
        url: &Url,
        base: &Path,
        origin: &Origin,
    ) -> Result<Self, ShipError> {
        Ok(Self {
            post: Post::open(config, url, base, "Splunk ")?,
            channel: uuid::Uuid::now_v7().to_string(),
            index: config.index.clone(),
            format: config.format,
            origin: origin.clone(),
        })
    }

    pub(super) async fn deliver(&mut self, events: &[Formatted]) -> Result<Delivered, Failure> {
        let (mut portions, mut known) = (Portions::of(events), true);
        while let Some(events) = portions.next() {
            let (status, answer) = self.ask("event", self.encode(events)).await?;
            if status.is_success() {
                known &= self.acknowledge(&answer).await?;
            } else {
                portions.refused(events, status, &answer)?;
            }
        }
        let (rejected, why) = portions.done();
        Ok(if known {
            Delivered::Acknowledged { rejected, why }
        } else {
            Delivered::Taken { rejected, why }
        })
    }

    async fn ask(
        &mut self,
        what: &str,
        body: String,
    ) -> Result<(http::StatusCode, Vec<u8>), Failure> {
        let path = format!("/services/collector/{what}");
        let channel = self.channel.clone();
        let headers = [JSON, ("x-splunk-request-channel", &*channel)];
        self.post.post(&path, &headers, body.into_bytes()).await
    }

    fn encode(&self, events: &[Formatted]) -> String {
        let all = events.iter().map(|event| {
            let time = event.timestamp.parse::<jiff::Timestamp>();
            let ms = time.map(jiff::Timestamp::as_millisecond).unwrap_or_default();
            // Events of CEF are texts.
            let content = match self.format {
                ShipFormat::Cef => Value::from(event.text.as_str()),
                _ => {
                    serde_json::from_str(&event.text).unwrap_or_else(|_| event.text.clone().into())
                }
            };
            let mut one = json!({
                "time": format!("{}.{:03}", ms / 1000, ms % 1000),
                "host": self.origin.host,
                "source": "warrantd",
                "sourcetype": sourcetype(self.format),
                "event": content,
                "fields": {"warrantd_id": event.id, "warrantd_seq": event.seq},
            });
            if let (Some(index), Value::Object(one)) = (&self.index, &mut one) {
                one.insert("index".into(), index.clone().into());
            }
            one.to_string()
        });
        all.collect::<Vec<_>>().join("\n")
    }

    /// Waits until the indexer has the events; says no when this receiver does not tell.
    async fn acknowledge(&mut self, answer: &[u8]) -> Result<bool, Failure> {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let Some(id) = answer["ackId"].as_u64() else { return Ok(false) };
        let deadline = Instant::now() + ACKNOWLEDGED_WITHIN;
        let mut pause = Duration::from_millis(20);
        while Instant::now() < deadline {
            let (status, answer) = self.ask("ack", json!({"acks": [id]}).to_string()).await?;
            if !status.is_success() {
                return Err(Failure::Status(status.as_u16()));
            }
            let answer: Value =
                serde_json::from_slice(&answer).map_err(|_| Failure::Protocol(excerpt(&answer)))?;
            if answer["acks"][id.to_string()] == true {
                return Ok(true);
            }
            sleep(pause).await;
            pause = (pause * 2).min(ASK_EVERY);
        }
        Err(Failure::Slow("index what it took"))
    }
}

fn sourcetype(format: ShipFormat) -> &'static str {
    match format {
        ShipFormat::Native => "warrantd:json",
        ShipFormat::Ocsf => "warrantd:ocsf",
        ShipFormat::Ecs => "warrantd:ecs",
        ShipFormat::Cef => "warrantd:cef",
    }
}
