//! Any receiver that takes JSON by POST. A status 2xx acknowledges all events of a request.

use std::path::Path;

use url::Url;

use super::ShipError;
use super::error::Failure;
use super::post::{JSON, NDJSON, Post, is_final};
use super::sink::Delivered;
use crate::audit::format::Formatted;
use crate::config::{ShipBody, ShipConfig, ShipFormat};

/// A receiver that takes JSON by POST.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) post: Post,
    body: ShipBody,
    /// Events of CEF are no JSON; they are sent as JSON strings.
    quoted: bool,
}

impl Http {
    pub(super) fn open(config: &ShipConfig, url: &Url, base: &Path) -> Result<Self, ShipError> {
        let post = Post::open(config, url, base, "")?;
        Ok(Self { post, body: config.body, quoted: config.format == ShipFormat::Cef })
    }

    pub(super) async fn deliver(&mut self, events: &[Formatted]) -> Result<Delivered, Failure> {
        let (body, quoted) = (self.body, self.quoted);
        let header = if body == ShipBody::Json { JSON } else { NDJSON };
        let encode = |events: &[Formatted]| {
            let texts: Vec<String> = events
                .iter()
                .map(|event| {
                    if quoted {
                        serde_json::Value::from(event.text.as_str()).to_string()
                    } else {
                        event.text.clone()
                    }
                })
                .collect();
            match body {
                ShipBody::Json => format!("[{}]", texts.join(",")),
                ShipBody::Ndjson => texts.join("\n") + "\n",
            }
        };
        all(&mut self.post, events, header, encode, |_| (0, String::new())).await
    }
}

/// Posts events together. What a receiver refuses for good is halved until it is one event, which is passed
/// over; `count` says how many it refused in an answer of success.
pub(super) async fn all(
    post: &mut Post,
    events: &[Formatted],
    header: (&'static str, &str),
    encode: impl Fn(&[Formatted]) -> String,
    count: impl Fn(&[u8]) -> (u64, String),
) -> Result<Delivered, Failure> {
    let path = post.path.clone();
    let (mut rejected, mut why) = (0, String::new());
    let mut waiting = vec![events];
    while let Some(events) = waiting.pop() {
        if events.is_empty() {
            continue;
        }
        let (status, answer) = post.post(&path, &[header], encode(events).into_bytes()).await?;
        match events {
            _ if status.is_success() => {
                let (more, reason) = count(&answer);
                rejected += more;
                if more > 0 {
                    why = reason;
                }
            }
            [event] if is_final(status) => {
                rejected += 1;
                why = format!("record {} was refused with HTTP status {status}", event.seq);
            }
            _ if is_final(status) => {
                let (first, second) = events.split_at(events.len() / 2);
                waiting.extend([second, first]);
            }
            _ => return Err(Failure::Status(status.as_u16())),
        }
    }
    Ok(Delivered::Acknowledged { rejected, why })
}
