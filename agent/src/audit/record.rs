//! One audit record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::AlertRecord;
use super::checkpoint::CheckpointRecord;
use super::configuration::ConfigurationRecord;
use crate::auth::Method;
use crate::config::{Action, Mode};
use crate::warrant::{Effect, Observation, Standing, Verdict, Warrant, WarrantForm};

/// The time of day as records have it: ISO 8601 in UTC with milliseconds.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    format!("{now:.3}")
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A request that can act, allowed or denied.
    Call,
    /// A caller that could not be authenticated.
    Authentication,
    /// A message that was refused before policy.
    ProtocolError,
    /// A server asked for its client's model, user or roots, or wanted to, in a request or in its answer to
    /// a call.
    ServerRequest,
    /// A call that went on as a task ended: all its effects, those told with its answer included.
    Task,
    /// Effects of a server before its first call.
    Startup,
    /// Effects that belong to no call.
    Unsolicited,
    /// A name that a server asked for in vain: refused by policy, or not to be resolved.
    NameRefused,
    /// A server defines a tool otherwise than it was accepted.
    ToolChanged,
    /// A server lists a tool that was never accepted.
    ToolNew,
    /// A server does not list a tool any more that was accepted.
    ToolVanished,
    /// A session began.
    SessionStart,
    /// The processes of a session were frozen; `error` says why.
    Frozen,
    /// An operator let a frozen session go on.
    Thawed,
    /// An operator killed a session.
    Killed,
    /// A session ended.
    SessionEnd,
    /// The daemon started.
    Start,
    /// The daemon stopped.
    Stop,
    /// The configuration was read anew; `configuration` says what changed, `error` why it stays as it was.
    Reload,
    /// Effects that a warrantd which was killed had not told any more.
    Gap,
    /// A line that was cut by a crash was taken off the end of the log.
    Repair,
    /// A signature over the log up to here.
    Checkpoint,
    /// The log could not be written for a while; `error` says how long, and how many records are missing.
    LogFailure,
    /// Old files of the log were deleted; `error` says which records they had.
    Retention,
    /// A rule for alerts holds; `alert` says which.
    Alert,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The server answered with a result, and it was released.
    Success,
    /// It was denied, failed, or its response was withheld; `error` says which.
    Failure,
    /// The server took too long.
    Timeout,
}

/// One record. Every field is always present in the log, null when unknown. The first block has
/// the field names of the kit's logging checklist.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Record {
    /// When it was written: ISO 8601, UTC.
    pub timestamp: String,
    /// Joins the record to the error that a client got.
    pub correlation_id: Option<String>,
    /// The call that asked for the input which this one brings, by its correlation id.
    pub continues: Option<String>,
    /// The calls that were in flight when a server asked for something, by their correlation ids.
    pub during: Option<Vec<String>>,
    /// The session.
    pub session_id: Option<String>,
    /// The authenticated caller.
    pub actor: Option<String>,
    /// Address of the caller; null on this host.
    pub source_ip: Option<String>,
    /// The tool, exactly as called.
    pub tool_name: Option<String>,
    /// Its arguments, sanitized.
    pub arguments: Option<Value>,
    /// The MCP server.
    pub server_id: Option<String>,
    /// What policy decided.
    pub policy_decision: Option<Action>,
    /// The rule that decided.
    pub policy_rule_matched: Option<String>,
    /// How the caller proved who it is.
    pub auth_method: Option<Method>,
    /// How it ended.
    pub status: Option<Status>,
    /// What failed, in one line.
    pub error: Option<String>,
    /// Milliseconds from the request's arrival to its response's release.
    pub duration_ms: Option<u64>,
    /// Size and kind of the result.
    pub result_metadata: Option<ResultMetadata>,
    /// Hash of the model output that led to the call.
    pub model_output_ref: Option<String>,
    /// What influenced the model.
    pub context_sources: Option<Value>,
    /// The human user behind the caller.
    pub end_user_id: Option<String>,
    /// The trace that the call is part of (W3C Trace Context).
    pub traceparent: Option<String>,
    /// The user that the server runs as.
    pub effective_principal: Option<String>,
    /// The user id that the kernel saw the call's work done by; that of the server's user, if it saw none
    /// else.
    pub effective_uid: Option<u32>,

    /// What the record is about.
    pub event: Event,
    /// Whether policy was enforced or only tried. With `observe`, a denied call was forwarded all the
    /// same and no response was withheld.
    pub mode: Option<Mode>,
    /// The server's working directory, from which relative paths count; in `session_start` alone.
    pub server_root: Option<String>,
    /// The JSON-RPC method.
    pub method: Option<String>,
    /// What the call was allowed to do.
    #[schemars(with = "Option<WarrantForm>")]
    pub warrant: Option<Warrant>,
    /// What the kernel saw.
    pub effects: Option<EffectsRecord>,
    /// What a server says of a tool, where that is not what was accepted.
    pub definition: Option<DefinitionRecord>,
    /// The user who thawed or killed a session or ordered a reload (`SO_PEERCRED`, unix(7)); null for a
    /// signal.
    pub operator_uid: Option<u32>,
    /// Number of the configuration that the record was made under: 1 since the start, one more with each
    /// reload.
    pub policy_generation: Option<u32>,
    /// What was read at the start, or anew.
    pub configuration: Option<ConfigurationRecord>,
    /// The first record that is still kept; in `retention` alone.
    pub kept_from: Option<u64>,
    /// Which rule holds, and for what.
    pub alert: Option<AlertRecord>,
    /// What is signed. It stands last: the signature follows in the line.
    pub checkpoint: Option<CheckpointRecord>,
}

impl Record {
    /// A record of `event`, now, with nothing else known.
    pub fn new(event: Event) -> Self {
        Self {
            timestamp: now(),
            correlation_id: None,
            continues: None,
            during: None,
            session_id: None,
            actor: None,
            source_ip: None,
            tool_name: None,
            arguments: None,
            server_id: None,
            policy_decision: None,
            policy_rule_matched: None,
            auth_method: None,
            status: None,
            error: None,
            duration_ms: None,
            result_metadata: None,
            model_output_ref: None,
            context_sources: None,
            end_user_id: None,
            traceparent: None,
            effective_principal: None,
            effective_uid: None,
            event,
            mode: None,
            server_root: None,
            method: None,
            warrant: None,
            effects: None,
            definition: None,
            operator_uid: None,
            policy_generation: None,
            configuration: None,
            kept_from: None,
            alert: None,
            checkpoint: None,
        }
    }
}

/// What a server says of a tool. Hashes are `sha256:` and hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DefinitionRecord {
    /// Hash of the accepted definition; null when there is none.
    pub old_hash: Option<String>,
    /// Hash of the listed definition; null when there is none.
    pub new_hash: Option<String>,
    /// The keys that differ.
    pub changed: Vec<String>,
    /// Beginning of the listed description, sanitized and without what hides or steers a terminal.
    pub description: Option<String>,
    /// An accepted tool whose name reads like this one's.
    pub similar_to: Option<String>,
}

/// Size and kind of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResultMetadata {
    /// Bytes of the response message.
    pub bytes: usize,
    /// Items in `content`.
    pub content_items: Option<usize>,
    /// Rows, where the result has a list of them (`structuredContent.rows`).
    pub rows: Option<usize>,
    /// The tool's own word for failure.
    pub is_error: bool,
}

/// Whose effects these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// This call was alone in flight.
    Exclusive,
    /// Other calls of the session were in flight, too.
    Shared,
    /// No call was in flight.
    None,
}

/// What the kernel saw.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EffectsRecord {
    /// Whether the effects stayed within the warrant.
    pub verdict: Verdict,
    /// Whose effects these are.
    pub attribution: Attribution,
    /// How the kernel observes; `off` without kernel view.
    pub backend: String,
    /// How many effects there were.
    pub counts: Counts,
    /// Effects beyond ambient that the warrant covers.
    pub warranted: Vec<Effect>,
    /// Effects that nothing covers.
    pub exceeded: Vec<Effect>,
}

/// How many effects there were.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Counts {
    /// Covered by what the server may do at any time.
    pub ambient: u64,
    /// Covered by a warrant.
    pub warranted: usize,
    /// Not covered.
    pub exceeded: usize,
    /// Kernel events that were lost.
    pub lost: u64,
    /// Whether more was done than could be waited for.
    pub cut: bool,
}

impl EffectsRecord {
    /// The record of what was observed.
    pub fn new(observation: &Observation, attribution: Attribution, backend: &str) -> Self {
        let (exceeded, warranted): (Vec<_>, Vec<_>) =
            observation.judged.iter().partition(|j| j.standing == Standing::Exceeded);
        let effects = |judged: Vec<&crate::warrant::Judged>| -> Vec<Effect> {
            judged.into_iter().map(|j| j.effect.clone()).collect()
        };
        Self {
            verdict: observation.verdict(),
            attribution,
            backend: backend.to_owned(),
            counts: Counts {
                ambient: observation.ambient,
                warranted: warranted.len(),
                exceeded: exceeded.len(),
                lost: observation.lost,
                cut: observation.cut,
            },
            warranted: effects(warranted),
            exceeded: effects(exceeded),
        }
    }

    /// The record of a call that nobody watched.
    pub fn unobserved(attribution: Attribution) -> Self {
        let observation = Observation::default();
        Self { verdict: Verdict::Unobserved, ..Self::new(&observation, attribution, "off") }
    }
}
