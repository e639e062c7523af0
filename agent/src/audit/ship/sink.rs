//! The receivers, behind one face.

use std::path::Path;
use std::time::Duration;

use super::batch::Batch;
use super::datagram::Datagrams;
use super::elastic::Elastic;
use super::error::Failure;
use super::http::Http;
use super::nats::Nats;
use super::otlp::Otlp;
use super::splunk::Splunk;
use super::stream::Stream;
use super::{ShipError, journald, syslog};
use crate::audit::format::Origin;
use crate::config::{ShipConfig, ShipTo};

/// How long without trouble after which what was taken counts as delivered, where nothing is acknowledged.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// A receiver.
#[derive(Debug)]
pub(super) enum Sink {
    Stream(Stream),
    Datagrams(Datagrams),
    Splunk(Splunk),
    Elastic(Elastic),
    Http(Http),
    Otlp(Otlp),
    Nats(Box<Nats>),
}

/// What became of a batch that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The receiver has it, but for events that it refused for good: how many, and why.
    Acknowledged { rejected: u64, why: String },
    /// It is on its way, and counts as delivered after [`SETTLED_AFTER`] without trouble.
    Taken { rejected: u64, why: String },
}

impl Delivered {
    pub(super) fn taken() -> Self {
        Self::Taken { rejected: 0, why: String::new() }
    }
}

impl Sink {
    /// Reads all that the configuration names; connects to nothing. Relative files lie beside `base`.
    pub(super) fn open(
        config: &ShipConfig,
        base: &Path,
        origin: &Origin,
    ) -> Result<Self, ShipError> {
        let url = config.check("ship").map_err(ShipError::Config)?;
        Ok(match config.to {
            ShipTo::Syslog => match url.scheme() {
                "tcp" | "tls" => Self::Stream(Stream::open(config, &url, base, origin)?),
                _ => Self::Datagrams(Datagrams::new(&url, syslog::datagram, origin)),
            },
            ShipTo::Journald => Self::Datagrams(Datagrams::new(&url, journald::datagram, origin)),
            ShipTo::Splunk => Self::Splunk(Splunk::open(config, &url, base, origin)?),
            ShipTo::Elastic => Self::Elastic(Elastic::open(config, &url, base)?),
            ShipTo::Http => Self::Http(Http::open(config, &url, base)?),
            ShipTo::Otlp => Self::Otlp(Otlp::open(config, &url, base, origin)?),
            ShipTo::Nats => Self::Nats(Box::new(Nats::open(config, &url, base)?)),
        })
    }

    /// Sends a batch.
    pub(super) async fn deliver(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        match self {
            Self::Stream(stream) => stream.deliver(batch).await,
            Self::Datagrams(datagrams) => datagrams.deliver(batch).await,
            Self::Splunk(splunk) => splunk.deliver(&batch.events).await,
            Self::Elastic(elastic) => elastic.deliver(&batch.events).await,
            Self::Http(http) => http.deliver(&batch.events).await,
            Self::Otlp(otlp) => otlp.deliver(&batch.events).await,
            Self::Nats(nats) => nats.deliver(&batch.events).await,
        }
    }

    /// How many of the bytes that were sent the other side has certainly got, and whether it still stands.
    /// `None` where only time tells.
    pub(super) async fn acknowledged(&mut self) -> Result<Option<u64>, Failure> {
        match self {
            Self::Stream(stream) => stream.acknowledged().await.map(Some),
            _ => Ok(None),
        }
    }

    /// How many bytes were sent on this connection.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Stream(stream) => stream.sent(),
            _ => 0,
        }
    }

    /// Forgets a connection that failed.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Stream(stream) => stream.reset(),
            Self::Datagrams(datagrams) => datagrams.reset(),
            Self::Splunk(splunk) => splunk.post.reset(),
            Self::Elastic(elastic) => elastic.post.reset(),
            Self::Http(http) => http.post.reset(),
            Self::Otlp(otlp) => otlp.post.reset(),
            Self::Nats(nats) => nats.reset(),
        }
    }
}
