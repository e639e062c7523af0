//! Any receiver that takes JSON by POST. A status 2xx acknowledges all events of a request.

use std::path::Path;

use url::Url;

use super::ShipError;
use super::error::Failure;
use super::portions::post_all;
use super::post::{JSON, NDJSON, Post};
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
        post_all(&mut self.post, events, header, encode, |_, _| Ok((0, String::new()))).await
    }
}
