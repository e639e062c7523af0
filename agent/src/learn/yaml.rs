//! The learned policy as a file for people to read: what it was learned from on top, and on every line
//! which records it comes from.

use std::fmt::Write;

use super::flow::{comment, scalar, value};
use super::header::{Aside, Header};
use super::item::Item;
use super::policy::{Grants, Learned, LearnedConstraint};
use super::trial::Trial;

/// Comments on top are broken at this width.
const WIDTH: usize = 100;

impl Learned {
    /// The policy as YAML. `trial` is what it says of the calls that it was learned from.
    pub fn to_yaml(&self, trial: Option<&Trial>) -> String {
        let mut out = String::new();
        self.head(&mut out, trial);
        line(&mut out, "default_action: DENY");
        self.write_actors(&mut out);
        self.write_constraints(&mut out);
        self.write_methods(&mut out);
        self.write_network(&mut out);
        self.write_effects(&mut out);
        self.tail(&mut out);
        out
    }

    fn head(&self, out: &mut String, trial: Option<&Trial>) {
        note(
            out,
            "Learned by `warrantd learn` from what was seen. Read every line before it is used.",
        );
        self.source.write(out);
        if let Some(trial) = trial {
            trial.write(out);
        }
        let reviews = self.items().filter(|item| !item.review.is_empty()).count()
            + self.constraints.values().map(|limits| limits.review.len()).sum::<usize>();
        if reviews > 0 {
            note(out, &format!("Lines that need eyes: {reviews}, each marked `REVIEW:`."));
        }
        note(
            out,
            "What the policy in force at the time called ambient is only counted in the log, not listed: \
             carry its `effects.ambient.read`, `network.unix` and `network.listen` over.",
        );
        line(out, "");
    }

    fn write_actors(&self, out: &mut String) {
        line(out, "\nactors:");
        for actor in &self.actors {
            entry(out, 2, "- id: ", &actor.id);
            line(out, "    allowed_tools:");
            actor.allowed_tools.iter().for_each(|tool| entry(out, 6, "- ", tool));
        }
    }

    fn write_constraints(&self, out: &mut String) {
        if self.constraints.is_empty() {
            return;
        }
        line(out, "\nconstraints:");
        for (tool, limits) in &self.constraints {
            line(out, &format!("  {}:{}", scalar(tool), empty(limits)));
            for why in &limits.review {
                line(out, &format!("    # REVIEW: {}", comment(why)));
            }
            for (name, arguments, key, items) in [
                ("path_arguments", &limits.path_arguments, "allowed_paths", &limits.allowed_paths),
                ("url_arguments", &limits.url_arguments, "allowed_urls", &limits.allowed_urls),
            ] {
                if arguments.is_empty() {
                    continue;
                }
                let arguments: Vec<_> = arguments.iter().map(|name| scalar(name)).collect();
                line(out, &format!("    {name}: [{}]", arguments.join(", ")));
                list(out, 4, key, items);
            }
        }
    }

    fn write_methods(&self, out: &mut String) {
        if !self.methods.is_empty() {
            line(out, "\nmethods:");
            list(out, 2, "allow", &self.methods);
        }
    }

    fn write_network(&self, out: &mut String) {
        let lists = [
            ("allow", &self.network_allow),
            ("listen", &self.network_listen),
            ("unix", &self.network_unix),
        ];
        if lists.iter().all(|(_, items)| items.is_empty()) {
            return;
        }
        line(out, "\nnetwork:");
        for (key, items) in lists.into_iter().filter(|(_, items)| !items.is_empty()) {
            list(out, 2, key, items);
        }
    }

    fn write_effects(&self, out: &mut String) {
        line(out, "\neffects:");
        if !(self.ambient_read.is_empty() && self.ambient_connect.is_empty()) {
            line(out, "  ambient:");
            for (key, items) in [("read", &self.ambient_read), ("connect", &self.ambient_connect)] {
                if !items.is_empty() {
                    list(out, 4, key, items);
                }
            }
        }
        if self.startup.lists().next().is_some() {
            line(out, "  startup:");
            grants(out, 4, &self.startup);
        }
        line(out, "  tools:");
        for (tool, effects) in &self.tools {
            let nothing = effects.lists().next().is_none();
            let nothing = if nothing { " {} # nothing beyond ambient" } else { "" };
            line(out, &format!("    {}:{nothing}", scalar(tool)));
            grants(out, 6, effects);
        }
        line(out, "  on_exceeded: withhold");
        line(out, "  on_incomplete: withhold");
    }

    fn tail(&self, out: &mut String) {
        line(out, "");
        note(out, "rate_limits: none are learned. The most calls seen, by tool and actor:");
        for rate in &self.rates {
            let (tool, actor) = (comment(&rate.tool), comment(&rate.actor));
            let (minute, hour) = (rate.per_minute, rate.per_hour);
            line(out, &format!("#   {tool} ({actor}): {minute} in a minute, {hour} in an hour"));
        }
        if !self.not_allowed.is_empty() {
            line(out, "#");
            note(out, "Seen and not learned:");
        }
        for item in &self.not_allowed {
            let seen = &item.seen;
            line(out, &format!("#   REVIEW: {} ({seen})", comment(item.text())));
        }
    }

    /// Every line.
    fn items(&self) -> impl Iterator<Item = &Item> {
        let actors =
            self.actors.iter().flat_map(|a| std::iter::once(&a.id).chain(&a.allowed_tools));
        let limits =
            self.constraints.values().flat_map(|c| c.allowed_paths.iter().chain(&c.allowed_urls));
        let network = [&self.network_allow, &self.network_listen, &self.network_unix];
        let ambient = [&self.ambient_read, &self.ambient_connect, &self.not_allowed, &self.methods];
        let tools = self.tools.values().chain([&self.startup]).flat_map(Grants::lists);
        actors
            .chain(limits)
            .chain(network.into_iter().chain(ambient).flatten())
            .chain(tools.flat_map(|(_, items)| items))
    }
}

impl Header {
    fn write(&self, out: &mut String) {
        line(out, "#");
        note(out, &format!("server: {}", self.server));
        for (file, (first, last)) in &self.files {
            note(out, &format!("log: {file}, seq {first} to {last}"));
        }
        if let Some((from, to)) = &self.span {
            note(out, &format!("time: {from} to {to}"));
        }
        for root in &self.roots {
            note(out, &format!("the server's directory: {root}"));
        }
        let (calls, actors) = (many(self.calls, "call"), many(self.actors, "actor"));
        let outside = many(self.outside, "record");
        note(out, &format!("learned from: {calls} by {actors}, {outside} outside of calls"));
        for aside in &self.aside {
            aside.write("", out);
        }
        for aside in &self.outside_aside {
            aside.write(" outside of calls", out);
        }
        for (method, seen) in &self.methods {
            note(out, &format!("not learned from: `{method}`, which MCP does not have ({seen})"));
        }
        line(out, "#");
    }
}

impl Aside {
    fn write(&self, place: &str, out: &mut String) {
        let numbers: Vec<_> = self.seqs.iter().map(u64::to_string).collect();
        let more = if self.seqs.len() < self.seen.count { ", …" } else { "" };
        let (count, why) = (many(self.seen.count, self.seen.unit.word()), self.reason.text());
        let numbers = numbers.join(", ");
        note(out, &format!("not learned from: {count}{place}, {why} (seq {numbers}{more})"));
    }
}

impl Trial {
    fn write(&self, out: &mut String) {
        if self.refused.is_empty() {
            note(out, "Under this policy all of these calls are allowed and WITHIN.");
        } else {
            let (refused, calls) = (self.refused.len(), self.calls);
            note(
                out,
                &format!("Under this policy {refused} of these {calls} calls are not WITHIN:"),
            );
        }
        for refusal in self.refused.iter().take(20) {
            note(out, &format!("  seq {}: {}", refusal.seq, refusal.why));
        }
    }
}

/// What stands after the name of a tool whose limits are all comments.
fn empty(limits: &LearnedConstraint) -> &'static str {
    let none = limits.path_arguments.is_empty() && limits.url_arguments.is_empty();
    if none { " {}" } else { "" }
}

fn grants(out: &mut String, indent: usize, grants: &Grants) {
    for (key, items) in grants.lists() {
        list(out, indent, key, items);
    }
}

fn list(out: &mut String, indent: usize, key: &str, items: &[Item]) {
    line(out, &format!("{:indent$}{key}:", ""));
    for item in items {
        entry(out, indent + 2, "- ", item);
    }
}

/// One value and where it comes from.
fn entry(out: &mut String, indent: usize, before: &str, item: &Item) {
    let text = value(&item.value);
    let seen = &item.seen;
    let about = if item.review.is_empty() {
        seen.to_string()
    } else {
        format!("REVIEW: {} ({seen})", comment(&item.review.join("; ")))
    };
    line(out, &format!("{:indent$}{before}{text} # {about}", ""));
}

/// `1 call`, `2 calls`.
fn many(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A comment, broken into lines.
fn note(out: &mut String, text: &str) {
    let mut row = String::from("#");
    for word in comment(text).split(' ') {
        if row.len() > 1 && row.len() + 1 + word.len() > WIDTH {
            line(out, &row);
            row = String::from("#  ");
        }
        row.push(' ');
        row.push_str(word);
    }
    line(out, &row);
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}"); // Writing to a String cannot fail.
}
