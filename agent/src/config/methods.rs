//! The `methods` of a policy: what may be asked beside tool calls, by clients and by servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effects::ToolEffects;
use super::policy::RateLimit;

/// Which methods of MCP may be used, beside `tools/call`. What cannot act (lists, `ping`, progress, …)
/// is allowed unless it is denied here. What can act, what a server asks its client, and what no
/// revision of MCP has, is denied unless it is allowed here; `default_action` does not count for it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MethodsSection {
    /// Methods that may be used, such as `resources/read`, or `resources/*` for all of MCP's methods
    /// that begin so. Of the policy: by every actor. Those that a server sends, such as
    /// `sampling/createMessage`, may then be sent to the actor. `resources/subscribe` stands for
    /// `resources/unsubscribe`, too.
    pub allow: Vec<String>,
    /// Methods that may not be used, whatever is allowed elsewhere.
    pub deny: Vec<String>,
    /// Which resources may be read.
    #[serde(rename = "resources/read")]
    pub resources_read: Option<ResourceLimits>,
    /// Which resources may be subscribed to, also by `subscriptions/listen`.
    #[serde(rename = "resources/subscribe")]
    pub resources_subscribe: Option<ResourceLimits>,
    /// Which prompts may be had.
    #[serde(rename = "prompts/get")]
    pub prompts_get: Option<PromptLimits>,
    /// For what completions may be asked.
    #[serde(rename = "completion/complete")]
    pub completion_complete: Option<CompletionLimits>,
    /// What a server may have the client's model do.
    #[serde(rename = "sampling/createMessage")]
    pub sampling_create_message: Option<SamplingLimits>,
    /// What a server may ask the client's user.
    #[serde(rename = "elicitation/create")]
    pub elicitation_create: Option<ElicitationLimits>,
}

/// Limits on the resource that a request names. A `file:` URI is judged as the path that it leads to,
/// and as it leads on through symbolic links; any other as it is written and as it is decoded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceLimits {
    /// Globs of which the URI must match one, such as `file:///srv/data/**` or `memo://notes/*`, unless it
    /// matches one of `allowed_paths`.
    pub allowed_uris: Option<Vec<String>>,
    /// Globs of which the URI must match none, whatever its case.
    pub denied_uris: Vec<String>,
    /// Globs of which the path of a `file:` URI must match one, unless the URI matches one of
    /// `allowed_uris`. Relative ones count from the server's root.
    pub allowed_paths: Option<Vec<String>>,
    /// Globs of which the path of a `file:` URI must match none, whatever its case.
    pub denied_paths: Vec<String>,
    /// What a request may do, with `${arguments.uri}`. When absent, reading a `file:` URI reads that file
    /// alone, and nothing else does anything. Not for one actor alone.
    pub effects: Option<ToolEffects>,
    /// How often an actor may ask. Not for one actor alone.
    pub rate_limit: Option<RateLimit>,
    /// Seconds after which a request is given up.
    pub timeout_seconds: Option<u64>,
}

/// Limits on the prompt that a request names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptLimits {
    /// Globs of which the prompt's name must match one.
    pub allowed_prompts: Option<Vec<String>>,
    /// Globs of which the prompt's name must match none, whatever its case.
    pub denied_prompts: Vec<String>,
    /// What a request may do, with `${arguments.NAME}` for the prompt's arguments; nothing when absent.
    /// Not for one actor alone.
    pub effects: Option<ToolEffects>,
    /// How often an actor may ask. Not for one actor alone.
    pub rate_limit: Option<RateLimit>,
    /// Seconds after which a request is given up.
    pub timeout_seconds: Option<u64>,
}

/// Limits on what completions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompletionLimits {
    /// Globs of which the name of a prompt must match one.
    pub allowed_prompts: Option<Vec<String>>,
    /// Globs of which the name of a prompt must match none, whatever its case.
    pub denied_prompts: Vec<String>,
    /// Globs of which the URI template of a resource must match one.
    pub allowed_uris: Option<Vec<String>>,
    /// Globs of which the URI template of a resource must match none, whatever its case.
    pub denied_uris: Vec<String>,
    /// What a request may do, with `${arguments.NAME}` for the arguments that it names; nothing when
    /// absent. Not for one actor alone.
    pub effects: Option<ToolEffects>,
    /// How often an actor may ask. Not for one actor alone.
    pub rate_limit: Option<RateLimit>,
    /// Seconds after which a request is given up.
    pub timeout_seconds: Option<u64>,
}

/// Limits on what a server may have the client's model do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingLimits {
    /// Most tokens that may be asked for.
    pub max_tokens: Option<u64>,
    /// Most of the conversations with servers that may be asked for; without this key `none`, also where
    /// sampling has no limits.
    pub include_context: IncludeContext,
    /// How often an actor may be asked. Not for one actor alone.
    pub rate_limit: Option<RateLimit>,
}

/// Which context a server wants its prompt to have (`includeContext` of MCP), from none to most.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum IncludeContext {
    /// None.
    #[default]
    None,
    /// That of the server which asks.
    ThisServer,
    /// That of all servers of the client.
    AllServers,
}

/// Limits on what a server may ask the client's user.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElicitationLimits {
    /// Ways of asking; without this key `form` alone, also where elicitation has no limits.
    pub modes: Option<Vec<ElicitationMode>>,
    /// Globs of which the name of no field of a form may match one, whatever its case, such as
    /// `*password*`.
    pub denied_fields: Vec<String>,
    /// Patterns of which a URL that the user is sent to must match one, such as `https://*.example.com/**`.
    pub allowed_urls: Option<Vec<String>>,
    /// Patterns of which a URL that the user is sent to must match none.
    pub denied_urls: Vec<String>,
    /// How often an actor may be asked. Not for one actor alone.
    pub rate_limit: Option<RateLimit>,
}

/// A way in which a server asks the client's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElicitationMode {
    /// A form that the client shows.
    Form,
    /// A URL that the user is sent to (from revision 2025-11-25 of MCP).
    Url,
}

impl MethodsSection {
    /// The effects and the rate limits that are written here, by method.
    pub fn by_method(&self) -> [(&'static str, Option<&ToolEffects>, Option<&RateLimit>); 6] {
        let (read, subscribe) = (self.resources_read.as_ref(), self.resources_subscribe.as_ref());
        let (prompt, complete) = (self.prompts_get.as_ref(), self.completion_complete.as_ref());
        let (sample, elicit) =
            (self.sampling_create_message.as_ref(), self.elicitation_create.as_ref());
        [
            (
                "resources/read",
                read.and_then(|l| l.effects.as_ref()),
                read.and_then(|l| l.rate_limit.as_ref()),
            ),
            (
                "resources/subscribe",
                subscribe.and_then(|l| l.effects.as_ref()),
                subscribe.and_then(|l| l.rate_limit.as_ref()),
            ),
            (
                "prompts/get",
                prompt.and_then(|l| l.effects.as_ref()),
                prompt.and_then(|l| l.rate_limit.as_ref()),
            ),
            (
                "completion/complete",
                complete.and_then(|l| l.effects.as_ref()),
                complete.and_then(|l| l.rate_limit.as_ref()),
            ),
            ("sampling/createMessage", None, sample.and_then(|l| l.rate_limit.as_ref())),
            ("elicitation/create", None, elicit.and_then(|l| l.rate_limit.as_ref())),
        ]
    }

    /// The methods that have limits here.
    pub fn limited(&self) -> impl Iterator<Item = &'static str> {
        [
            ("resources/read", self.resources_read.is_some()),
            ("resources/subscribe", self.resources_subscribe.is_some()),
            ("prompts/get", self.prompts_get.is_some()),
            ("completion/complete", self.completion_complete.is_some()),
            ("sampling/createMessage", self.sampling_create_message.is_some()),
            ("elicitation/create", self.elicitation_create.is_some()),
        ]
        .into_iter()
        .filter_map(|(method, limited)| limited.then_some(method))
    }
}
