//! What a policy says of the calls that another was learned from.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;

use super::material::{Call, Material};
use crate::config::{Action, PolicyFile, Problem};
use crate::policy::{self, Policy, decide};
use crate::warrant::{Ambient, Effect, Rules, Standing, Warrant, judge};

/// A policy, compiled for each directory from which relative paths counted.
#[derive(Debug)]
pub(super) struct Court {
    homes: BTreeMap<String, Home>,
}

#[derive(Debug)]
pub(super) struct Home {
    pub(super) policy: Policy,
    pub(super) rules: Rules,
    pub(super) ambient: Ambient,
}

/// What a policy says of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// How many calls there were.
    pub calls: usize,
    /// Those that are denied, or that do more than they may.
    pub refused: Vec<Refusal>,
}

/// A call that a policy denies or finds to do more than it may.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// Number of its record.
    pub seq: u64,
    /// Its file.
    pub file: String,
    /// What is refused.
    pub why: String,
}

/// What is said of one call.
pub(super) enum Sentence {
    Denied {
        rule: String,
        reason: String,
    },
    /// With the effects that nothing covers.
    Judged(Vec<Effect>),
}

impl Trial {
    /// What `file` says of the calls of `material`.
    pub fn of(file: &PolicyFile, material: &Material) -> Result<Self, Problem> {
        let court = Court::new(file, material)?;
        let mut refused = Vec::new();
        for call in &material.calls {
            let why = match court.judge(call) {
                Sentence::Denied { rule, reason } => format!("denied by {rule}: {reason}"),
                Sentence::Judged(exceeded) => match exceeded.as_slice() {
                    [] => continue,
                    [only] => only.to_string(),
                    [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
                },
            };
            let name = material.files.get(call.place.file).cloned().unwrap_or_default();
            refused.push(Refusal { seq: call.place.seq, file: name, why });
        }
        Ok(Self { calls: material.calls.len(), refused })
    }
}

impl Court {
    pub(super) fn new(file: &PolicyFile, material: &Material) -> Result<Self, Problem> {
        let mut homes = BTreeMap::new();
        let known = material.calls.iter().filter_map(|call| call.root.clone());
        for root in known.chain(["/".to_owned()]) {
            if let Entry::Vacant(place) = homes.entry(root) {
                let home = Home::new(file, place.key())?;
                place.insert(home);
            }
        }
        Ok(Self { homes })
    }

    pub(super) fn home(&self, root: Option<&str>) -> Option<&Home> {
        self.homes.get(root.unwrap_or("/"))
    }

    /// Decides about a call and judges its effects. Links are not followed: the log does not say where they
    /// led.
    pub(super) fn judge(&self, call: &Call) -> Sentence {
        let Some(home) = self.home(call.root.as_deref()) else {
            return Sentence::Denied {
                rule: String::new(),
                reason: "no such directory".to_owned(),
            };
        };
        let arguments = &call.arguments;
        let (actor, tool) = (call.actor.as_str(), call.tool.as_str());
        let asked = policy::Call { actor, tool, arguments, resolve: &str::to_owned, schema: None };
        let decision = decide(&home.policy, asked);
        if decision.action == Action::Deny {
            return Sentence::Denied { rule: decision.rule, reason: decision.reason };
        }
        match home.rules.issue(&decision, tool, arguments) {
            Ok(warrant) => Sentence::Judged(exceeded(&call.effects, &warrant, &home.ambient)),
            Err(error) => {
                let rule = format!("effects.tools.{tool}");
                Sentence::Denied { rule, reason: error.to_string() }
            }
        }
    }
}

impl Home {
    fn new(file: &PolicyFile, root: &str) -> Result<Self, Problem> {
        let ambient = Ambient::new(&[], &file.effects.ambient.read, root)?
            .with_unix(file.network.unix.iter().cloned())
            .with_ports(file.network.listen.clone())
            .with_connect(&file.effects.ambient.connect)?;
        Ok(Self {
            policy: Policy::compile(file, root)?,
            rules: Rules::compile(&file.effects, root)?,
            ambient,
        })
    }
}

/// The effects that neither a warrant nor ambient covers.
pub(super) fn exceeded(effects: &[Effect], warrant: &Warrant, ambient: &Ambient) -> Vec<Effect> {
    let beyond = |effect: &&Effect| judge(effect, [warrant], ambient) == Standing::Exceeded;
    effects.iter().filter(beyond).cloned().collect()
}
