//! Checkpoints: records that are signed. A hash chain alone can be written anew by whoever can write the
//! files; up to its last checkpoint it cannot.
//!
//! A checkpoint is a line like any other whose record ends with
//!
//! ```text
//! "checkpoint":{"log":"<id>","reason":"<reason>","key":"<fingerprint>","signature":"<hex>"}
//! ```
//!
//! The signature (Ed25519) is of these bytes, which bind everything in the line, its place in the log, and
//! by `prev_hash` every line before it:
//!
//! ```text
//! warrantd checkpoint 1\n
//! <the line up to, and without, `,"signature":`>\n
//! <seq>\n
//! <prev_hash>\n
//! ```

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key::{AuditKey, AuditPublicKey};
use super::line::{Draft, Hash, Parts};
use super::record::{Event, Record};

/// Why a checkpoint was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The log was opened, and an earlier process had left records that nobody had signed.
    Start,
    /// It was time.
    Interval,
    /// The file is put away; it is its last line.
    Rotation,
    /// The log is closed in order.
    Stop,
}

/// What a checkpoint says; its `signature` follows in the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// The log: an id that it got with its first checkpoint.
    pub log: String,
    /// Why it was written.
    pub reason: Reason,
    /// The key, by its fingerprint.
    pub key: String,
}

const DOMAIN: &[u8] = b"warrantd checkpoint 1\n";
const SIGNATURE: &[u8] = b",\"signature\":\"";
/// Hexadecimal digits of a signature.
const DIGITS: usize = 128;

/// Signs for one log.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    key: Arc<AuditKey>,
    log: String,
}

impl Signer {
    /// For the log of this id, or for a new one.
    pub(super) fn new(key: Arc<AuditKey>, log: Option<String>) -> Self {
        Self { key, log: log.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()) }
    }

    /// The checkpoint that becomes line `seq` after the one with the hash `prev`.
    pub(super) fn draft(
        &self,
        reason: Reason,
        seq: u64,
        prev: &Hash,
    ) -> Result<Draft, serde_json::Error> {
        let key = self.key.public().fingerprint().to_owned();
        let checkpoint = CheckpointRecord { log: self.log.clone(), reason, key };
        let record = Record { checkpoint: Some(checkpoint), ..Record::new(Event::Checkpoint) };
        let mut open = serde_json::to_vec(&record)?;
        open.truncate(open.len().saturating_sub(2)); // The braces of the checkpoint and the record.
        let signature = self.key.sign(&message(&open, seq, prev));
        open.extend_from_slice(SIGNATURE);
        open.extend_from_slice(signature.as_bytes());
        open.extend_from_slice(b"\"}");
        Ok(Draft::from_open(open))
    }
}

fn message(open: &[u8], seq: u64, prev: &Hash) -> Vec<u8> {
    [DOMAIN, open, format!("\n{seq}\n{prev}\n").as_bytes()].concat()
}

/// A checkpoint as it stands in a log. Its signature was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) at: String,
    pub(super) says: CheckpointRecord,
}

/// As much of a line as matters here.
#[derive(Deserialize)]
struct Said {
    timestamp: String,
    event: Event,
    checkpoint: Option<CheckpointRecord>,
}

impl Checkpoint {
    /// Reads a line's checkpoint, if it has one.
    pub(super) fn read(line: &[u8], parts: &Parts) -> Option<Self> {
        memmem::find(line, b"\"event\":\"checkpoint\"")?;
        let said: Said = serde_json::from_slice(line).ok()?;
        let says = said.checkpoint.filter(|_| said.event == Event::Checkpoint)?;
        Some(Self { seq: parts.seq, hash: parts.hash, at: said.timestamp, says })
    }

    /// The last one in a file.
    pub(super) fn last_in(path: &Path) -> io::Result<Option<Self>> {
        let mut text = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
        let (mut line, mut last) = (Vec::new(), None);
        while text.read_until(b'\n', &mut line)? > 0 {
            if let Some(parts) = line.strip_suffix(b"\n").and_then(Parts::of) {
                last = Self::read(line.trim_ascii_end(), &parts).or(last);
            }
            line.clear();
        }
        Ok(last)
    }
}

/// Whether a line is signed by a key.
pub(super) fn is_signed(parts: &Parts, key: &AuditPublicKey) -> bool {
    let signed = || {
        let text = parts.record.strip_suffix(b"\"}")?;
        let (open, signature) = text.split_at_checked(text.len().checked_sub(DIGITS)?)?;
        let open = open.strip_suffix(SIGNATURE)?;
        Some(key.verifies(&message(open, parts.seq, &parts.prev), signature))
    };
    signed().unwrap_or(false)
}
