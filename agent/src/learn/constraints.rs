//! Limits on what arguments may name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::argument::{Argument, arguments};
use super::evidence::Evidence;
use super::item::{Item, Unit};
use super::material::{Call, Material};
use super::places::{self, Paths};
use super::policy::LearnedConstraint;
use super::tool::ToolEffects;
use crate::policy::url::{self, Host, special};
use crate::policy::{means_path, means_url};

/// The limits of a tool; `None` when nothing clear follows from its calls.
pub(super) fn constraint(
    material: &Material,
    calls: &[&Call],
    effects: &ToolEffects,
) -> Option<LearnedConstraint> {
    let mut learned = LearnedConstraint::default();
    paths(material, calls, effects, &mut learned);
    urls(material, calls, &mut learned);
    let nothing = learned.path_arguments.is_empty()
        && learned.url_arguments.is_empty()
        && learned.review.is_empty();
    (!nothing).then_some(learned)
}

/// The path arguments of a tool.
#[derive(Debug, Default)]
struct Named {
    /// What each of them named.
    paths: BTreeMap<String, Paths>,
    /// In how many calls each was taken out of the log.
    redacted: BTreeMap<String, usize>,
    /// Those that led to another file than they name.
    links: BTreeSet<String>,
}

impl Named {
    fn of(material: &Material, calls: &[&Call], effects: &ToolEffects) -> Self {
        let mut named = Self::default();
        for call in calls {
            for argument in arguments(call) {
                let is_path = means_path(&argument.name);
                if argument.redacted && is_path {
                    *named.redacted.entry(argument.name.clone()).or_default() += 1;
                }
                // A name that means a path may still stand for something else: `target: production`.
                let slash = is_path && argument.texts.iter().any(|text| text.contains('/'));
                if slash || effects.path_arguments.contains(&argument.name) {
                    named.paths.entry(argument.name).or_default();
                }
            }
        }
        // Where an argument led that says nothing itself: only within what is the server's.
        let inside = |path: &str| material.roots.is_empty() || material.root_of(path).is_some();
        for (argument, led) in &effects.led_to {
            for (path, from) in led.iter().filter(|(path, _)| inside(path)) {
                if !named.redacted.contains_key(argument) {
                    named.links.insert(argument.clone());
                }
                let paths = named.paths.entry(argument.clone()).or_default();
                paths.entry(path.clone()).or_default().merge(from);
            }
        }
        for call in calls {
            for argument in arguments(call) {
                let Some(paths) = named.paths.get_mut(&argument.name) else { continue };
                for path in argument.all_paths(call.root.as_deref()) {
                    paths.entry(path).or_default().add(call.place);
                }
            }
        }
        named
    }
}

fn paths(
    material: &Material,
    calls: &[&Call],
    effects: &ToolEffects,
    learned: &mut LearnedConstraint,
) {
    let Named { paths: named, redacted, links } = Named::of(material, calls, effects);
    if named.is_empty() {
        return;
    }
    let covers = |call: &&&Call| {
        arguments(call)
            .iter()
            .any(|a| named.contains_key(&a.name) && (a.redacted || !a.texts.is_empty()))
    };
    let without = calls.len() - calls.iter().filter(covers).count();
    if without > 0 {
        // A limit on paths denies every call that names none.
        let list: Vec<_> = named.keys().map(String::as_str).collect();
        learned.review.push(format!(
            "paths are not limited: {without} of {} calls name none ({})",
            calls.len(),
            list.join(", ")
        ));
        return;
    }
    let mut all = Paths::new();
    for (argument, paths) in &named {
        learned.path_arguments.push(argument.clone());
        for (path, from) in paths {
            all.entry(path.clone()).or_default().merge(from);
        }
    }
    learned.allowed_paths = places::named(material, &all, Unit::Call);
    for (argument, count) in redacted {
        learned.review.push(format!(
            "argument `{argument}` is taken out of the log in {count} calls; what they touched stands for it"
        ));
    }
    if !links.is_empty() {
        let list: Vec<_> = links.iter().map(|name| format!("`{name}`")).collect();
        learned.review.push(format!(
            "{} led to another file than it names (a link?); that is allowed, too",
            list.join(", ")
        ));
    }
}

fn urls(material: &Material, calls: &[&Call], learned: &mut LearnedConstraint) {
    let mut origins: BTreeMap<String, (Evidence, BTreeSet<String>)> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut with = 0;
    for call in calls {
        let mut any = false;
        for argument in arguments(call).iter().filter(|argument| is_url(argument)) {
            names.insert(argument.name.clone());
            for text in &argument.texts {
                let Ok(peer) = url::peer(text) else { continue };
                any = true;
                let entry = origins.entry(pattern(&peer)).or_default();
                entry.0.add(call.place);
                if let Host::Ip(ip) = peer.host
                    && let Some(class) = special(ip)
                {
                    entry.1.insert(format!("a special address ({class})"));
                }
            }
        }
        with += usize::from(any);
    }
    if origins.is_empty() {
        return;
    }
    if with < calls.len() {
        let without = calls.len() - with;
        let all = calls.len();
        learned.review.push(format!("URLs are not limited: {without} of {all} calls name none"));
        return;
    }
    learned.url_arguments.extend(names);
    let item = |(origin, (from, notes)): (&String, &(Evidence, BTreeSet<String>))| -> Item {
        let mut item = material.item(Value::from(origin.clone()), from, Unit::Call);
        item.review.extend(notes.iter().cloned());
        item
    };
    learned.allowed_urls = origins.iter().map(item).collect();
}

/// Whether all of an argument reads as URLs.
fn is_url(argument: &Argument) -> bool {
    let named = means_url(&argument.name);
    let reads = |text: &String| url::peer(text).is_ok();
    let web = |text: &String| text.starts_with("http://") || text.starts_with("https://");
    !argument.texts.is_empty()
        && argument.texts.iter().all(|text| reads(text) && (named || web(text)))
}

/// Everything of an origin.
fn pattern(peer: &url::UrlPeer) -> String {
    let host = match &peer.host {
        Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        host => host.to_string(),
    };
    let usual = matches!(
        (peer.scheme.as_str(), peer.port),
        ("http" | "ws", 80) | ("https" | "wss", 443) | ("ftp", 21) | ("ssh" | "sftp", 22)
    );
    if usual {
        format!("{}://{host}/**", peer.scheme)
    } else {
        format!("{}://{host}:{}/**", peer.scheme, peer.port)
    }
}
