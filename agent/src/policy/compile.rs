//! From a policy file to a policy that can decide.

use std::collections::{HashMap, HashSet};

use super::limits::{Limits, limits};
use super::methods::Methods;
use super::network::Table;
use super::observe;
use super::rate::RateLimits;
use super::reach::{self, Reach};
use super::schema::SchemaOptions;
use crate::config::{Action, EffectsSection, Mode, PolicyFile, Problem, suggestion};

/// A validated policy for one server.
#[derive(Debug)]
pub struct Policy {
    /// Whether the policy is enforced or only tried.
    pub mode: Mode,
    /// What happens to a call that no rule names.
    pub default_action: Action,
    /// Tools that nobody may call.
    pub(super) denied_tools: HashSet<String>,
    /// Rights by actor.
    pub(super) actors: HashMap<String, Actor>,
    /// Limits by tool.
    pub(super) constraints: HashMap<String, Limits>,
    /// What every actor may ask beside tool calls.
    pub(super) methods: Methods,
    /// How often who may call what.
    pub rate_limits: RateLimits,
    /// How the tools' own schemas are read; `None` when arguments are not validated against them.
    pub schemas: Option<SchemaOptions>,
    /// Warn of denials.
    pub alert_on_deny: bool,
    /// What the kernel lets the server reach, by address.
    pub network: Table,
    /// What else it lets it reach: names, its own ports, Unix sockets.
    pub reach: Reach,
    /// What calls may do.
    pub effects: EffectsSection,
    /// The server's root: absolute, without `.`, `..` and a slash at the end.
    pub root: String,
}

/// One actor's rights.
#[derive(Debug)]
pub(super) struct Actor {
    /// Path of the key in the file that lists its tools.
    pub(super) key: String,
    pub(super) tools: HashSet<String>,
    pub(super) constraints: HashMap<String, Limits>,
    /// What it may ask beside tool calls.
    pub(super) methods: Methods,
}

impl Policy {
    /// Validates a policy for a server whose working directory is `root` (absolute).
    pub fn compile(file: &PolicyFile, root: &str) -> Result<Self, Problem> {
        let handling = &file.error_handling;
        for (key, action) in [
            ("on_validation_error", handling.on_validation_error),
            ("on_policy_error", handling.on_policy_error),
            ("on_timeout", handling.on_timeout),
        ] {
            if action == Action::Allow {
                let key = format!("error_handling.{key}");
                return Err(Problem::new(key, "errors always deny; write DENY or remove the key"));
            }
        }
        if !file.audit.log_all_requests {
            let message = "every call is logged; write true or remove the key";
            return Err(Problem::new("audit.log_all_requests", message));
        }
        let totals = file.actors.iter().enumerate().filter_map(|(index, actor)| {
            Some((index, actor.id.as_str(), actor.rate_limit.as_ref()?))
        });
        let rate_limits = RateLimits::compile(&file.rate_limits, &file.methods, totals)?;
        let table = reach::table(&file.network)?;
        let reach = Reach::compile(&file.network, &table)?;
        let (network, reach) = match file.mode {
            Mode::Enforce => (table, reach),
            Mode::Observe => observe::open(&file.network)?,
        };
        Ok(Self {
            mode: file.mode,
            default_action: file.default_action,
            denied_tools: file.global_deny_list.iter().cloned().collect(),
            actors: actors(file, root)?,
            constraints: limits(&file.constraints, "constraints", root, schema_options(file))?,
            methods: Methods::compile(&file.methods, "methods", root)?,
            rate_limits,
            schemas: file.schemas.validate.then(|| schema_options(file)),
            alert_on_deny: file.audit.alert_on_deny,
            reach,
            network,
            effects: file.effects.clone(),
            root: root.to_owned(),
        })
    }

    /// The actors that the policy names, sorted.
    pub fn actor_ids(&self) -> impl Iterator<Item = &str> {
        let mut ids: Vec<_> = self.actors.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids.into_iter()
    }

    /// The limits whose key in the file is `key`.
    pub(super) fn limits_by_key(&self, key: &str) -> Option<&Limits> {
        let own = self.actors.values().flat_map(|actor| actor.constraints.values());
        self.constraints.values().chain(own).find(|limits| limits.key == key)
    }

    /// Fails with a suggestion when the policy does not name `actor`.
    pub fn expect_actor(&self, actor: &str) -> Result<(), Problem> {
        if self.actors.contains_key(actor) {
            return Ok(());
        }
        let mut names: Vec<_> = self.actor_ids().collect();
        let hint = suggestion(actor, names.iter().copied());
        names.truncate(8);
        let message = format!("no actor `{actor}`{hint} (it names: {})", names.join(", "));
        Err(Problem::new("actors", message))
    }
}

/// The actors of both forms: the list, and the kit's map of tools by actor.
fn actors(file: &PolicyFile, root: &str) -> Result<HashMap<String, Actor>, Problem> {
    let mut actors = HashMap::new();
    let mut add = |id: &str, key: String, actor: Actor| {
        if id.is_empty() {
            return Err(Problem::new(key, "an actor needs a name"));
        }
        match actors.insert(id.to_owned(), actor) {
            None => Ok(()),
            Some(_) => Err(Problem::new(key, format!("actor `{id}` stands twice; join the two"))),
        }
    };
    for (index, rule) in file.actors.iter().enumerate() {
        let key = format!("actors[{index}]");
        let actor = Actor {
            key: format!("{key}.allowed_tools"),
            tools: rule.allowed_tools.iter().cloned().collect(),
            constraints: limits(
                &rule.constraints,
                &format!("{key}.constraints"),
                root,
                schema_options(file),
            )?,
            methods: Methods::of_actor(&rule.methods, &format!("{key}.methods"), root)?,
        };
        add(&rule.id, format!("{key}.id"), actor)?;
    }
    for (id, tools) in &file.allowed_tools {
        let key = format!("allowed_tools.{id}");
        let tools = tools.iter().cloned().collect();
        let (constraints, methods) = (HashMap::new(), Methods::default());
        let actor = Actor { key: key.clone(), tools, constraints, methods };
        add(id, key, actor)?;
    }
    Ok(actors)
}

fn schema_options(file: &PolicyFile) -> SchemaOptions {
    SchemaOptions { strict: file.schemas.strict, max_string: file.schemas.max_string }
}
