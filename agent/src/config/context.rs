//! The `context` of a policy: what callers say of the circumstances of a call, for the audit record.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where the audit record gets what a caller says of a call. It is the caller's word, recorded and never
/// believed: decisions go by the authenticated actor alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextSection {
    /// The human user behind the caller.
    pub end_user_id: ContextSource,
    /// The model output that led to the call: its hash or its id.
    pub model_output_ref: ContextSource,
    /// What influenced the model.
    pub context_sources: ContextSource,
    /// The trace that the call is part of (W3C Trace Context). Without this key `traceparent` of `_meta`, or
    /// else the header of that name. What is no valid value is not recorded.
    pub traceparent: ContextSource,
}

/// Where a value is looked for. The first place that has one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextSource {
    /// A key of the request's `_meta`, such as `com.example/user`; where there is no such key, a path
    /// through nested objects, such as `caller.user`.
    pub meta: Option<String>,
    /// An HTTP header.
    pub header: Option<String>,
}

impl Default for ContextSection {
    fn default() -> Self {
        let trace = || Some("traceparent".to_owned());
        Self {
            end_user_id: ContextSource::default(),
            model_output_ref: ContextSource::default(),
            context_sources: ContextSource::default(),
            traceparent: ContextSource { meta: trace(), header: trace() },
        }
    }
}
