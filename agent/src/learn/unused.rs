//! What a policy allows and no record needs. Each entry is tried alone.

use std::collections::{BTreeMap, BTreeSet};

use super::access::{Sort, sort};
use super::argument::arguments;
use super::compare::Unused;
use super::flow;
use super::material::{Call, Material};
use super::trial::Court;
use crate::config::{Constraint, EffectsSection, PolicyFile, Problem, ToolEffects};
use crate::policy::url::{self, UrlRules};
use crate::policy::{self, PathGlobs, decide};
use crate::warrant::{Rules, Target};

/// The entries of a policy that nothing needs.
pub(super) fn unused(
    material: &Material,
    file: &PolicyFile,
    court: &Court,
) -> Result<Vec<Unused>, Problem> {
    let mut unused = Vec::new();
    let mut add = |key: String, value: &str| {
        unused.push(Unused { key, value: flow::comment(value) });
    };
    callers(material, file, &mut add);
    for (tool, limits) in &file.constraints {
        constraint(material, &format!("constraints.{tool}"), None, tool, limits, &mut add);
    }
    for (index, actor) in file.actors.iter().enumerate() {
        for (tool, limits) in &actor.constraints {
            let key = format!("actors[{index}].constraints.{tool}");
            constraint(material, &key, Some(&actor.id), tool, limits, &mut add);
        }
    }
    for (tool, effects) in &file.effects.tools {
        tool_effects(material, court, tool, effects, &mut add)?;
    }
    network(material, file, &mut add);
    unused.sort();
    Ok(unused)
}

fn callers(material: &Material, file: &PolicyFile, add: &mut impl FnMut(String, &str)) {
    let called: BTreeSet<(&str, &str)> =
        material.calls.iter().map(|call| (call.actor.as_str(), call.tool.as_str())).collect();
    let mut each = |id: &str, key: String, tools: &[String]| {
        if !called.iter().any(|(actor, _)| *actor == id) {
            return add(key, id);
        }
        for (index, tool) in tools.iter().enumerate() {
            if !called.contains(&(id, tool.as_str())) {
                add(format!("{key}.allowed_tools[{index}]"), tool);
            }
        }
    };
    for (index, actor) in file.actors.iter().enumerate() {
        each(&actor.id, format!("actors[{index}]"), &actor.allowed_tools);
    }
    for (id, tools) in &file.allowed_tools {
        each(id, format!("allowed_tools.{id}"), tools);
    }
}

fn constraint(
    material: &Material,
    key: &str,
    actor: Option<&str>,
    tool: &str,
    limits: &Constraint,
    add: &mut impl FnMut(String, &str),
) {
    let own = |call: &&Call| call.tool == tool && actor.is_none_or(|actor| call.actor == actor);
    let calls: Vec<&Call> = material.calls.iter().filter(own).collect();
    if calls.is_empty() {
        return; // said of the tool itself
    }
    for (index, pattern) in limits.allowed_paths.iter().flatten().enumerate() {
        let used = calls.iter().any(|call| {
            let root = call.root.as_deref();
            PathGlobs::new(&[pattern], root.unwrap_or("/")).is_ok_and(|globs| {
                arguments(call).iter().flat_map(|a| a.paths(root)).any(|path| globs.matches(&path))
            })
        });
        if !used {
            add(format!("{key}.allowed_paths[{index}]"), pattern);
        }
    }
    for (index, pattern) in limits.allowed_urls.iter().flatten().enumerate() {
        let only = [pattern.clone()];
        let Ok(rules) = UrlRules::compile(Some(&only), &[]) else { continue };
        let named = |call: &&Call| {
            arguments(call)
                .iter()
                .flat_map(|a| &a.texts)
                .any(|text| url::judge(&rules, text).is_ok())
        };
        if !calls.iter().any(named) {
            add(format!("{key}.allowed_urls[{index}]"), pattern);
        }
    }
}

fn tool_effects(
    material: &Material,
    court: &Court,
    tool: &str,
    effects: &ToolEffects,
    add: &mut impl FnMut(String, &str),
) -> Result<(), Problem> {
    let calls: Vec<&Call> = material.calls.iter().filter(|call| call.tool == tool).collect();
    if calls.is_empty() {
        return Ok(()); // said of the tool itself
    }
    for (list, index, text, alone) in entries(effects) {
        let mut used = false;
        for call in &calls {
            used = used || uses(court, call, &alone)?;
        }
        if !used {
            add(format!("effects.tools.{tool}.{list}[{index}]"), &text);
        }
    }
    Ok(())
}

/// Each entry alone: its list, its place there, its text.
fn entries(effects: &ToolEffects) -> Vec<(&'static str, usize, String, ToolEffects)> {
    let mut all = Vec::new();
    let lists = [
        ("read", &effects.read),
        ("write", &effects.write),
        ("delete", &effects.delete),
        ("connect", &effects.connect),
    ];
    for (list, texts) in lists {
        for (index, text) in texts.iter().enumerate() {
            let only = vec![text.clone()];
            let none = ToolEffects::default();
            let alone = match list {
                "read" => ToolEffects { read: only, ..none },
                "write" => ToolEffects { write: only, ..none },
                "delete" => ToolEffects { delete: only, ..none },
                _ => ToolEffects { connect: only, ..none },
            };
            all.push((list, index, text.clone(), alone));
        }
    }
    for (index, entry) in effects.exec.iter().enumerate() {
        let words = entry.args().map(|args| format!(" {}", args.join(" "))).unwrap_or_default();
        let text = format!("{}{words}", entry.program());
        let alone = ToolEffects { exec: vec![entry.clone()], ..ToolEffects::default() };
        all.push(("exec", index, text, alone));
    }
    all
}

/// Whether a call does something that this grants.
fn uses(court: &Court, call: &Call, alone: &ToolEffects) -> Result<bool, Problem> {
    let root = call.root.as_deref();
    let Some(home) = court.home(root) else { return Ok(false) };
    let section = EffectsSection {
        tools: BTreeMap::from([(call.tool.clone(), alone.clone())]),
        ..EffectsSection::default()
    };
    let rules = Rules::compile(&section, root.unwrap_or("/"))?;
    let (actor, tool, arguments) = (call.actor.as_str(), call.tool.as_str(), &call.arguments);
    let asked = policy::Call { actor, tool, arguments, resolve: &str::to_owned, schema: None };
    let decision = decide(&home.policy, asked);
    let warrant = rules.issue(&decision, tool, arguments);
    Ok(warrant.is_ok_and(|warrant| call.effects.iter().any(|effect| warrant.covers(effect))))
}

fn network(material: &Material, file: &PolicyFile, add: &mut impl FnMut(String, &str)) {
    let inside = material.calls.iter().flat_map(|call| &call.effects);
    let outside = material.outside.iter().flat_map(|outside| &outside.effects);
    let peers: Vec<_> = inside
        .chain(outside)
        .filter_map(|effect| match (sort(effect), &effect.target) {
            (Sort::Peer, Target::Peer(peer)) => Some(peer),
            _ => None,
        })
        .collect();
    for (index, rule) in file.network.allow.iter().enumerate() {
        let protocol = rule.protocol.map(policy::network::Protocol::from);
        let pattern = rule.host.as_deref().and_then(|host| url::HostPattern::compile(host).ok());
        let used = peers.iter().any(|peer| {
            let who = match (&rule.cidr, &pattern) {
                (Some(net), _) => net.contains(&peer.peer.ip().to_canonical()),
                (None, Some(pattern)) => peer.names.iter().any(|name| pattern.covers(name)),
                (None, None) => false,
            };
            who && protocol.is_none_or(|protocol| protocol == peer.protocol)
                && (rule.ports.is_empty() || rule.ports.contains(&peer.peer.port()))
        });
        if !used {
            let whom = rule.cidr.map(|net| net.to_string()).or_else(|| rule.host.clone());
            let ports: Vec<_> = rule.ports.iter().map(u16::to_string).collect();
            let ports = if ports.is_empty() {
                String::new()
            } else {
                format!(" port {}", ports.join(", "))
            };
            add(format!("network.allow[{index}]"), &format!("{}{ports}", whom.unwrap_or_default()));
        }
    }
}
