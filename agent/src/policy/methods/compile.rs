//! The `methods` of a policy or of one actor, checked and ready to judge.

use std::time::Duration;

use super::ask::{ElicitationRules, SamplingRules};
use super::names::{Entry, List, NameGlobs};
use super::uris::{Lists, UriLimits};
use crate::config::{MethodsSection, Problem, PromptLimits, ResourceLimits};

/// A checked section.
#[derive(Debug, Default)]
pub(in crate::policy) struct Methods {
    /// Path of the key in the file, such as `actors[0].methods`.
    pub(super) key: String,
    pub(super) allow: Vec<Entry>,
    pub(super) deny: Vec<Entry>,
    pub(super) read: Option<ResourceRules>,
    pub(super) subscribe: Option<ResourceRules>,
    pub(super) prompt: Option<PromptRules>,
    pub(super) complete: Option<CompletionRules>,
    pub(super) sampling: Option<SamplingRules>,
    pub(super) elicitation: Option<ElicitationRules>,
}

/// Limits on a resource.
#[derive(Debug)]
pub(super) struct ResourceRules {
    pub(super) uris: UriLimits,
    pub(super) timeout: Option<Duration>,
}

/// Limits on a prompt.
#[derive(Debug)]
pub(super) struct PromptRules {
    pub(super) names: NameLimits,
    pub(super) timeout: Option<Duration>,
}

/// Limits on completions.
#[derive(Debug)]
pub(super) struct CompletionRules {
    pub(super) names: NameLimits,
    pub(super) uris: UriLimits,
    pub(super) timeout: Option<Duration>,
}

/// Limits on the names of prompts.
#[derive(Debug)]
pub(super) struct NameLimits {
    /// Path of the key in the file that holds the lists.
    pub(super) key: String,
    pub(super) allowed: Option<NameGlobs>,
    pub(super) denied: NameGlobs,
}

impl Methods {
    /// Checks the section at `key` for a server whose root is `root`.
    pub(in crate::policy) fn compile(
        section: &MethodsSection,
        key: &str,
        root: &str,
    ) -> Result<Self, Problem> {
        let entries = |texts: &[String], list, name: &str| {
            let read = |(index, text): (usize, &String)| {
                Entry::read(text, list, &format!("{key}.{name}[{index}]"))
            };
            texts.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
        };
        let at = |method: &str| format!("{key}.{method}");
        let resource = |limits: &Option<ResourceLimits>, method: &str| {
            limits
                .as_ref()
                .map(|limits| ResourceRules::compile(limits, &at(method), root))
                .transpose()
        };
        let complete = section.completion_complete.as_ref().map(|limits| {
            let key = at("completion/complete");
            let lists = Lists {
                allowed_uris: limits.allowed_uris.as_deref(),
                denied_uris: &limits.denied_uris,
                allowed_paths: None,
                denied_paths: &[],
            };
            let allowed = limits.allowed_prompts.as_deref();
            Ok::<_, Problem>(CompletionRules {
                names: NameLimits::compile(allowed, &limits.denied_prompts, &key)?,
                uris: UriLimits::compile(&lists, &key, root)?,
                timeout: limits.timeout_seconds.map(Duration::from_secs),
            })
        });
        let sampling = section.sampling_create_message.as_ref();
        let elicitation = section.elicitation_create.as_ref();
        Ok(Self {
            key: key.to_owned(),
            allow: entries(&section.allow, List::Allow, "allow")?,
            deny: entries(&section.deny, List::Deny, "deny")?,
            read: resource(&section.resources_read, "resources/read")?,
            subscribe: resource(&section.resources_subscribe, "resources/subscribe")?,
            prompt: section
                .prompts_get
                .as_ref()
                .map(|limits| PromptRules::compile(limits, &at("prompts/get")))
                .transpose()?,
            complete: complete.transpose()?,
            sampling: sampling
                .map(|limits| SamplingRules::new(limits, at("sampling/createMessage"))),
            elicitation: elicitation
                .map(|limits| ElicitationRules::compile(limits, at("elicitation/create")))
                .transpose()?,
        })
    }

    /// The same for one actor, who has no warrants and windows of its own.
    pub(in crate::policy) fn of_actor(
        section: &MethodsSection,
        key: &str,
        root: &str,
    ) -> Result<Self, Problem> {
        for (method, effects, limit) in section.by_method() {
            let problem = match (effects, limit) {
                (Some(_), _) => ("effects", "a method has one warrant for every actor"),
                (_, Some(_)) => ("rate_limit", "an actor has one `rate_limit` for all it calls"),
                (None, None) => continue,
            };
            let message = format!("{}; write it under the policy's own `methods`", problem.1);
            return Err(Problem::new(format!("{key}.{method}.{}", problem.0), message));
        }
        Self::compile(section, key, root)
    }
}

impl ResourceRules {
    fn compile(limits: &ResourceLimits, key: &str, root: &str) -> Result<Self, Problem> {
        let lists = Lists {
            allowed_uris: limits.allowed_uris.as_deref(),
            denied_uris: &limits.denied_uris,
            allowed_paths: limits.allowed_paths.as_deref(),
            denied_paths: &limits.denied_paths,
        };
        Ok(Self {
            uris: UriLimits::compile(&lists, key, root)?,
            timeout: limits.timeout_seconds.map(Duration::from_secs),
        })
    }
}

impl PromptRules {
    fn compile(limits: &PromptLimits, key: &str) -> Result<Self, Problem> {
        let allowed = limits.allowed_prompts.as_deref();
        Ok(Self {
            names: NameLimits::compile(allowed, &limits.denied_prompts, key)?,
            timeout: limits.timeout_seconds.map(Duration::from_secs),
        })
    }
}

impl NameLimits {
    fn compile(allowed: Option<&[String]>, denied: &[String], key: &str) -> Result<Self, Problem> {
        let list = |texts: &[String], any_case, name: &str| {
            NameGlobs::new(texts, any_case, &format!("{key}.{name}"))
        };
        Ok(Self {
            key: key.to_owned(),
            allowed: allowed.map(|texts| list(texts, false, "allowed_prompts")).transpose()?,
            denied: list(denied, true, "denied_prompts")?,
        })
    }
}
