//! The policy file: who may call which tool how, what the call may then do, and what the network
//! allows. The core is the YAML of the MCP Security Implementation Kit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::ContextSection;
use super::effects::EffectsSection;
use super::methods::MethodsSection;
use super::mode::Mode;
use super::network::NetworkSection;
use super::pinning::PinningSection;
use super::sanitize::SanitizeConfig;

/// A policy file as written. [`crate::policy::Policy`] is what it means.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    /// Whether the policy is enforced or only tried.
    pub mode: Mode,
    /// What happens to a call that no rule names.
    pub default_action: Action,
    /// Tools that nobody may call, whatever else is written.
    pub global_deny_list: Vec<String>,
    /// Who may call what.
    pub actors: Vec<ActorRule>,
    /// Who may call what, in the kit's JSON form: tools by actor.
    pub allowed_tools: BTreeMap<String, Vec<String>>,
    /// Limits on a tool's arguments, by tool. The kit's JSON form calls them `tool_policies`.
    #[serde(alias = "tool_policies")]
    pub constraints: BTreeMap<String, Constraint>,
    /// What may be asked beside tool calls.
    pub methods: MethodsSection,
    /// How arguments are validated against the tools' own schemas.
    pub schemas: SchemaSection,
    /// Limits on how often a tool is called, by tool.
    pub rate_limits: BTreeMap<String, RateLimit>,
    /// What is logged.
    pub audit: AuditSection,
    /// Where the audit record gets what callers say of the circumstances of a call.
    pub context: ContextSection,
    /// What is taken out of arguments before they are logged.
    pub sanitize: SanitizeConfig,
    /// File with the key for hashes in the log, at least 16 random bytes.
    pub sanitize_key_file: Option<PathBuf>,
    /// What happens when a decision cannot be made.
    pub error_handling: ErrorHandling,
    /// What the kernel lets the server reach.
    pub network: NetworkSection,
    /// What a call may do.
    pub effects: EffectsSection,
    /// Definitions of tools that were accepted, and what happens when a server shows others. When absent,
    /// changes while the daemon runs are recorded.
    pub pinning: Option<PinningSection>,
}

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub enum Action {
    /// It may.
    #[serde(rename = "ALLOW")]
    Allow,
    /// It may not.
    #[default]
    #[serde(rename = "DENY")]
    Deny,
}

/// One actor's rights.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorRule {
    /// The actor's name.
    pub id: String,
    /// Tools it may call.
    #[serde(default)]
    pub allowed_tools: Vec<String>,
    /// Limits on a tool's arguments that hold for this actor beside those of the whole policy.
    #[serde(default)]
    pub constraints: BTreeMap<String, Constraint>,
    /// What it may ask beside tool calls, and what it may be asked. What the whole policy allows, it may;
    /// what that denies or limits is denied or limited for it, too.
    #[serde(default)]
    pub methods: MethodsSection,
    /// Limit on how often it calls, over all tools and methods.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
}

/// Limits on the arguments of one tool. Absent limits do not limit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Constraint {
    /// Arguments that hold paths; by default the well-known names.
    pub path_arguments: Option<Vec<String>>,
    /// Globs of which a path must match one. Relative ones count from the server's root.
    pub allowed_paths: Option<Vec<String>>,
    /// Globs of which a path must match none.
    pub denied_paths: Vec<String>,
    /// File name endings of which a path must have one, such as `.md`.
    pub allowed_extensions: Option<Vec<String>>,
    /// File name endings of which a path must have none.
    pub denied_extensions: Vec<String>,
    /// Most bytes that a content argument may have.
    pub max_file_size: Option<u64>,
    /// Arguments that hold SQL; by default the well-known names.
    pub query_arguments: Option<Vec<String>>,
    /// The SQL that the tool's database speaks. When absent, what databases read differently is
    /// denied.
    pub dialect: Option<Dialect>,
    /// Statements that a query may be, such as `SELECT`; that alone when another SQL limit is set.
    pub allowed_operations: Option<Vec<String>>,
    /// Tables that a query may name.
    pub allowed_tables: Option<Vec<String>>,
    /// Tables that a query may not name.
    pub denied_tables: Vec<String>,
    /// Functions that a query may call beside the built-in ones without side effects. When given,
    /// even empty, no other is allowed. When absent, functions of the database's own users are
    /// allowed, too, and what they do is left to the database's grants.
    pub allowed_functions: Option<Vec<String>>,
    /// Most rows that a query or a `max_rows` argument may ask for.
    pub max_rows: Option<u64>,
    /// Arguments that hold URLs; by default the well-known names.
    pub url_arguments: Option<Vec<String>>,
    /// Patterns of which a URL must match one, such as `https://*.example.com/**`.
    pub allowed_urls: Option<Vec<String>>,
    /// Patterns of which a URL must match none.
    pub denied_urls: Vec<String>,
    /// A JSON Schema that the arguments must satisfy, beside the tool's own.
    pub schema: Option<serde_json::Value>,
    /// Seconds after which a call is given up.
    pub timeout_seconds: Option<u64>,
}

/// An SQL dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// PostgreSQL, with `standard_conforming_strings` on.
    Postgres,
    /// MySQL and MariaDB, with neither `ANSI_QUOTES` nor `NO_BACKSLASH_ESCAPES`.
    Mysql,
    /// SQLite.
    Sqlite,
    /// Not known: whatever the databases above read differently is denied.
    #[default]
    Generic,
}

/// How arguments are validated against the tools' own schemas.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaSection {
    /// Validate against the `inputSchema` that the server published.
    pub validate: bool,
    /// Refuse arguments that no schema declares, where a schema does not say.
    pub strict: bool,
    /// Most bytes of any string in the arguments.
    pub max_string: usize,
}

impl Default for SchemaSection {
    fn default() -> Self {
        Self { validate: true, strict: false, max_string: 1 << 20 }
    }
}

/// How often an actor may call a tool, or call at all. Windows slide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Calls in any 60 seconds.
    pub max_calls_per_minute: Option<u32>,
    /// Calls in any 3600 seconds.
    pub max_calls_per_hour: Option<u32>,
    /// Calls in flight at once.
    pub max_concurrent_calls: Option<u32>,
}

/// What is logged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// Log every call. Cannot be switched off.
    pub log_all_requests: bool,
    /// Log denials at warning level, too.
    pub alert_on_deny: bool,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self { log_all_requests: true, alert_on_deny: false }
    }
}

/// What happens when a decision cannot be made. warrantd fails closed, so each must be `DENY`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorHandling {
    /// Arguments that cannot be judged.
    pub on_validation_error: Action,
    /// A rule that cannot be evaluated.
    pub on_policy_error: Action,
    /// A call that takes too long.
    pub on_timeout: Action,
}
