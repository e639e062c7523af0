//! A policy and everything that follows from it, to ask without starting anything.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;
use crate::config::{Action, Case, PolicyFile, Source};
use crate::mcp::ToolCall;
use crate::mcp::methods::{Side, known};
use crate::policy::schema::ArgumentSchema;
use crate::policy::{
    Asked, Call, Decision, Policy, RateLimiter, Subject, decide, decide_method, method_near_miss,
    near_miss,
};
use crate::serve::load_policy;
use crate::warrant::{Rules, Warrant};

/// A policy to ask.
pub(super) struct Judge {
    policy: Policy,
    rules: Rules,
    limiter: RateLimiter,
}

/// What the policy says of a call.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// The decision, its rule and its reason.
    #[serde(flatten)]
    pub(super) decision: Decision,
    /// How a denied call misses being allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) near_miss: Option<String>,
    /// What an allowed call may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warrant: Option<Warrant>,
}

impl Answer {
    /// A denial for a reason that no rule has.
    pub(super) fn denied(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        let decision = Decision::denied(rule, reason);
        Self { decision, near_miss: None, warrant: None }
    }
}

impl Judge {
    /// Reads a policy file for a server whose root is `root`.
    pub(super) fn load(file: &Path, root: &str) -> Result<Self, Failure> {
        let (source, policy) = load_policy(file)?;
        Self::new(&source, &policy, root)
    }

    fn new(source: &Source, file: &PolicyFile, root: &str) -> Result<Self, Failure> {
        let bad = |problem| Failure::Config(source.error(problem));
        Ok(Self {
            policy: Policy::compile(file, root).map_err(bad)?,
            rules: Rules::of(file, root).map_err(bad)?,
            limiter: RateLimiter::default(),
        })
    }

    /// Decides about a call, without looking at any file it names.
    pub(super) fn ask(
        &self,
        actor: &str,
        tool: &str,
        arguments: &Map<String, Value>,
        schema: Option<&Value>,
    ) -> Answer {
        let schema = match (schema, self.policy.schemas) {
            (Some(schema), Some(options)) => match ArgumentSchema::compile(schema, options) {
                Ok(schema) => Some(schema),
                Err(error) => return Answer::denied("inputSchema", error.to_string()),
            },
            _ => None,
        };
        let schema = schema.as_ref();
        let call = Call { actor, tool, arguments, resolve: &str::to_owned, schema };
        let decision = decide(&self.policy, call);
        if decision.action == Action::Deny {
            let near_miss = near_miss(&self.policy, call, &decision);
            return Answer { decision, near_miss, warrant: None };
        }
        match self.rules.issue(&decision, tool, arguments) {
            Ok(warrant) => Answer { decision, near_miss: None, warrant: Some(warrant) },
            Err(error) => Answer::denied(format!("effects.tools.{tool}"), error.to_string()),
        }
    }

    /// Decides about what a client sends, or about what a server sends where no client does.
    pub(super) fn ask_method(
        &self,
        actor: &str,
        method: &str,
        params: &Map<String, Value>,
    ) -> Answer {
        if method == "tools/call" {
            return match ToolCall::from_params(params.clone()) {
                Ok(call) => self.ask(actor, &call.name, &call.arguments, None),
                Err(error) => Answer::denied("input", error.to_string()),
            };
        }
        let from = match known(method) {
            Some(known) if !known.is_sent_by(Side::Client) => Side::Server,
            _ => Side::Client,
        };
        let asked = Asked { actor, method, params, resolve: &str::to_owned };
        let decision = decide_method(&self.policy, from, asked);
        if decision.action == Action::Deny {
            let near_miss = method_near_miss(&self.policy, asked, &decision);
            return Answer { decision, near_miss, warrant: None };
        }
        match self.rules.issue_method(&decision, method, params) {
            Ok(warrant) => Answer { decision, near_miss: None, warrant: Some(warrant) },
            Err(error) => Answer::denied(format!("methods.{method}.effects"), error.to_string()),
        }
    }

    /// Decides about a test case, counted against the rate limits as a call at `now`.
    pub(super) fn ask_at(&mut self, now: Duration, case: &Case) -> Answer {
        let actor = case.actor.as_str();
        let (answer, subject) = match (&case.tool, &case.method) {
            (Some(tool), None) if case.params.is_empty() => {
                let answer = self.ask(actor, tool, &case.arguments, case.schema.as_ref());
                (answer, Subject::Tool(tool))
            }
            (None, Some(method)) if case.arguments.is_empty() => {
                (self.ask_method(actor, method, &case.params), Subject::Method(method))
            }
            _ => {
                let why = "a case has `tool` and `arguments`, or `method` and `params`";
                return Answer::denied("input", why);
            }
        };
        if answer.decision.action == Action::Deny {
            return answer;
        }
        match self.limiter.begin(&self.policy.rate_limits, actor, subject, now) {
            Ok(()) => {
                self.limiter.end(&self.policy.rate_limits, actor, subject);
                answer
            }
            Err(soon) => Answer::denied(soon.rule, soon.reason),
        }
    }
}
