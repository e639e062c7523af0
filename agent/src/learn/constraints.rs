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

fn paths(
    material: &Material,
    calls: &[&Call],
    effects: &ToolEffects,
    learned: &mut LearnedConstraint,
) {
    let mut named: BTreeMap<String, Paths> = BTreeMap::new();
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        for argument in arguments(call) {
            let is_path = effects.path_arguments.contains(&argument.name)
                || (means_path(&argument.name) && argument.texts.iter().any(|t| t.contains('/')));
            if argument.redacted && means_path(&argument.name) {
                *lost.entry(argument.name.clone()).or_default() += 1;
            }
            for path in argument.paths(call.root.as_deref()).into_iter().filter(|_| is_path) {
                let paths = named.entry(argument.name.clone()).or_default();
                paths.entry(path).or_default().add(call.place);
            }
        }
    }
    for (argument, led) in &effects.led_to {
        for (path, from) in led {
            let paths = named.entry(argument.clone()).or_default();
            paths.entry(path.clone()).or_default().merge(from);
        }
    }
    if named.is_empty() {
        return;
    }
    let covers = |call: &&&Call| {
        arguments(call).iter().any(|a| named.contains_key(&a.name) && (a.redacted || !a.texts.is_empty()))
    };
    let without = calls.len() - calls.iter().filter(covers).count();
    if without > 0 {
        // A limit on paths denies every call that names none.
        let names: Vec<_> = named.keys().map(String::as_str).collect();
        learned.review.push(format!(
            "paths are not limited: {without} of {} calls name none ({})",
            calls.len(),
            names.join(", ")
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
    for (argument, count) in lost {
        learned.review.push(format!(
            "argument `{argument}` is taken out of the log in {count} calls; what they touched stands for it"
        ));
    }
    if effects.led_to.values().any(|led| !led.is_empty()) {
        let names: Vec<_> = effects.led_to.keys().map(|name| format!("`{name}`")).collect();
        learned.review.push(format!(
            "{} led to another file than it names (a link?); that is allowed, too",
            names.join(", ")
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
