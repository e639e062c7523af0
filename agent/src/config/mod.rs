//! YAML files to validated types.
//!
//! An error names file, line, column and the key's path, shows the line with a caret, and says the
//! way out. A file is taken whole or not at all.
#![forbid(unsafe_code)]

mod alerts;
mod api_key;
mod audit;
mod cases;
mod certificate;
mod context;
mod credentials;
mod daemon;
mod drop_ins;
mod effects;
mod error;
mod key_hash;
mod limits;
mod listen;
mod methods;
mod metrics;
mod mode;
mod network;
mod pinning;
mod policy;
mod position;
mod remarks;
mod sanitize;
mod server;
mod ship;
mod source;
mod units;
mod upstream;

pub use alerts::{AlertBy, AlertCommand, AlertConfig, AlertWhen, FirstSeen};
pub use api_key::{ApiKeyConfig, KeyFileError, KeySource, Validity, key_file_hash};
pub use audit::{
    AuditConfig, CheckpointConfig, Durability, KeepConfig, OnAuditError, RotateConfig,
};
pub use cases::{Case, CasesFile};
pub use certificate::CertificateName;
pub use context::{ContextSection, ContextSource};
pub use daemon::{ActorConfig, DaemonConfig, KernelMode};
pub use drop_ins::Written;
pub use effects::{
    AmbientSection, EffectsSection, ExecEntry, Invocation, NetworkOpening, OnStartup, OnVerdict,
    StartupSection, ToolEffects,
};
pub use error::{ConfigError, Problem, suggestion};
pub use key_hash::{KeyHash, KeyHashError};
pub use limits::LimitsConfig;
pub use listen::{ListenerConfig, TlsConfig};
pub use methods::{
    CompletionLimits, ElicitationLimits, ElicitationMode, IncludeContext, MethodsSection,
    PromptLimits, ResourceLimits, SamplingLimits,
};
pub use metrics::MetricsConfig;
pub use mode::Mode;
pub use network::{ListenRule, NetworkProtocol, NetworkRule, NetworkSection};
pub use pinning::{OnChange, OnNew, PinEntry, PinFile, PinningSection};
pub use policy::{
    Action, ActorRule, AuditSection, Constraint, Dialect, ErrorHandling, PolicyFile, RateLimit,
    SchemaSection,
};
pub use sanitize::{Kind, SanitizeConfig, ToolSanitize, Treatment};
pub use server::{AuthMethod, ServerConfig};
pub use ship::{ShipBody, ShipConfig, ShipFormat, ShipOnly, ShipTo};
pub use source::Source;
pub use units::{Size, Span};
pub use upstream::{HeaderSource, Instances, ProtocolChoice, SideDoor, UpstreamConfig};
