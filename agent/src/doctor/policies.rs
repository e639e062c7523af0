//! Deny by default, and nothing that lets through what was judged.

use std::collections::BTreeSet;
use std::path::Path;

use super::finding::Finding;
use super::site::{Site, SiteServer};
use crate::config::{Action, CasesFile, Constraint, Mode, NetworkOpening, OnVerdict, Source};
use crate::policy::method_remarks;

/// Looks at every policy.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.policies() {
        let before = findings.len();
        decides(server, &mut findings);
        judges(server, &mut findings);
        constraints_bind(server, &mut findings);
        network_binds(server, &mut findings);
        if findings.len() == before {
            let name = server.policy_name();
            let what = format!("{name} denies by default, is enforced and withholds what exceeds");
            findings.push(Finding::ok(what));
        }
        let remarks = server.policy.remarks().into_iter().chain(method_remarks(server.policy));
        findings.extend(remarks.map(|remark| {
            let what = format!("{}: {}", server.policy_name(), remark.message);
            Finding::note(what).at(server.place_in_policy(&remark.key))
        }));
        if server.policy.pinning.is_none() {
            let what = format!(
                "the tools of {} are not pinned: what a server changes in them is recorded and not held back",
                server.policy_name()
            );
            findings.push(
                Finding::note(what)
                    .at(server.place_in_policy("pinning"))
                    .todo("add `pinning: {on_change: deny}`"),
            );
        }
    }
    findings.extend(untested(site));
    findings
}

/// What happens to calls that no rule is about.
fn decides(server: SiteServer, findings: &mut Vec<Finding>) {
    let name = server.policy_name();
    if server.policy.default_action == Action::Allow {
        let what = format!("{name} allows every tool that it does not deny");
        findings.push(
            Finding::bad(what)
                .at(server.place_in_policy("default_action"))
                .todo("write `default_action: DENY` and list the tools of each actor"),
        );
    }
    if server.policy.mode == Mode::Observe {
        let what = format!("{name} is only observed: what it denies is forwarded");
        findings.push(
            Finding::bad(what)
                .at(server.place_in_policy("mode"))
                .todo("see what `warrantd learn` makes of the log, then remove `mode: observe`"),
        );
    }
    if !server.policy.schemas.validate {
        let what = format!("{name} does not hold arguments against the tools' own schemas");
        findings.push(
            Finding::bad(what)
                .at(server.place_in_policy("schemas.validate"))
                .todo("remove `validate: false`"),
        );
    }
}

/// What happens to responses whose calls did too much.
fn judges(server: SiteServer, findings: &mut Vec<Finding>) {
    let effects = &server.policy.effects;
    for (key, then, when) in [
        ("on_exceeded", effects.on_exceeded, "a call did more than its warrant"),
        ("on_incomplete", effects.on_incomplete, "kernel events of a call were lost"),
    ] {
        if then == OnVerdict::Report {
            let what = format!("{} releases responses although {when}", server.policy_name());
            findings.push(
                Finding::bad(what)
                    .at(server.place_in_policy(&format!("effects.{key}")))
                    .todo("write `withhold`, `terminate` or `freeze`"),
            );
        }
    }
    if effects.network == NetworkOpening::Always {
        let what = format!("{} leaves its peers open between calls", server.policy_name());
        findings.push(
            Finding::note(what)
                .at(server.place_in_policy("effects.network"))
                .todo("remove `network: always` where the server can do without"),
        );
    }
}

/// Limits that limit nothing.
fn constraints_bind(server: SiteServer, findings: &mut Vec<Finding>) {
    let whole =
        server.policy.constraints.iter().map(|(tool, it)| (format!("constraints.{tool}"), it));
    let own = server.policy.actors.iter().enumerate().flat_map(|(index, actor)| {
        let each = actor.constraints.iter();
        each.map(move |(tool, it)| (format!("actors[{index}].constraints.{tool}"), it))
    });
    for (key, constraint) in whole.chain(own) {
        let Constraint { allowed_paths, allowed_urls, .. } = constraint;
        let paths = allowed_paths.iter().flatten().enumerate();
        for (index, glob) in paths.filter(|(_, glob)| is_everything(glob)) {
            let what = format!("{}: `{glob}` allows every path", server.policy_name());
            findings.push(
                Finding::bad(what)
                    .at(server.place_in_policy(&format!("{key}.allowed_paths[{index}]")))
                    .todo("name the directories that the tool is for"),
            );
        }
        let urls = allowed_urls.iter().flatten().enumerate();
        for (index, pattern) in urls.filter(|(_, pattern)| is_any_host(pattern)) {
            let what = format!(
                "{}: `{pattern}` allows every public host, a way out for whatever the server reads",
                server.policy_name()
            );
            findings.push(
                Finding::bad(what)
                    .at(server.place_in_policy(&format!("{key}.allowed_urls[{index}]")))
                    .todo("name the hosts that the tool is for"),
            );
        }
    }
}

fn is_everything(glob: &str) -> bool {
    matches!(glob, "**" | "/**" | "**/*" | "/**/*")
}

/// Whether a URL pattern leaves the host open.
fn is_any_host(pattern: &str) -> bool {
    let rest = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    matches!(host, "*" | "**" | "")
}

/// Network rules that open everything.
fn network_binds(server: SiteServer, findings: &mut Vec<Finding>) {
    for (index, rule) in server.policy.network.allow.iter().enumerate() {
        let everybody = rule.cidr.is_some_and(|net| net.prefix_len() == 0);
        if everybody || rule.host.as_deref() == Some("*") {
            let whom = if everybody { "every public address" } else { "every name" };
            let what = format!("{} lets the server reach {whom}", server.policy_name());
            findings.push(
                Finding::bad(what)
                    .at(server.place_in_policy(&format!("network.allow[{index}]")))
                    .todo("list the peers that its tools are for"),
            );
        }
    }
}

/// Policies of which no test says what they should decide.
fn untested(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.policies() {
        let file = server.policy_file();
        let name = server.policy_name();
        findings.push(if is_tested(file) {
            Finding::ok(format!("{name} has test cases; `warrantd test` runs them"))
        } else {
            Finding::note(format!("no test says what {name} should decide"))
                .at(file.display().to_string())
                .todo("write cases beside it or in `tests/`, and run `warrantd test` with every change")
        });
    }
    findings
}

/// Whether a file of cases beside a policy, or in `tests/` there, is about it.
fn is_tested(policy: &Path) -> bool {
    const MOST: usize = 200;
    let dir = policy.parent().unwrap_or(Path::new(""));
    let dirs: BTreeSet<_> = ["", "tests", "../tests"].map(|place| dir.join(place)).into();
    let files = dirs.iter().filter_map(|dir| dir.read_dir().ok()).flatten().flatten();
    let yaml = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml") && path != policy);
    yaml.take(MOST).any(|path| {
        let cases = Source::read(&path).ok().filter(|source| source.has("cases"));
        let cases = cases.and_then(|source| source.parse::<CasesFile>().ok());
        let about = cases.map(|cases| path.parent().unwrap_or(Path::new("")).join(cases.policy));
        let same = |other: &Path| other.canonicalize().ok() == policy.canonicalize().ok();
        about.is_some_and(|about| about.exists() && same(&about))
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn check(policy: &str) -> Vec<Finding> {
        let place = Place::new();
        super::check(&place.site("", "", &format!("{POLICY}{policy}")))
    }

    #[test]
    fn what_lets_through_is_found() {
        for (policy, says) in [
            ("default_action: ALLOW", "allows every tool"),
            ("mode: observe", "only observed"),
            ("schemas: {validate: false}", "own schemas"),
            ("effects: {on_exceeded: report}", "did more than its warrant"),
            ("effects: {on_incomplete: report}", "were lost"),
            ("constraints: {read_file: {allowed_paths: ['**']}}", "every path"),
            ("constraints: {fetch: {allowed_urls: ['https://**']}}", "every public host"),
            ("constraints: {fetch: {allowed_urls: ['https://*/a']}}", "every public host"),
            (
                "network: {allow: [{cidr: 0.0.0.0/0}]}\neffects: {network: always}",
                "every public address",
            ),
            ("network: {allow: [{host: '*'}]}\neffects: {network: always}", "every name"),
        ] {
            only_finding(&check(policy), says);
        }
    }

    #[test]
    fn what_holds_is_fine() {
        for policy in [
            "",
            "default_action: DENY\nmode: enforce\neffects: {on_exceeded: freeze}",
            "constraints: {read_file: {allowed_paths: ['public/**', '/srv/**']}}",
            "constraints: {fetch: {allowed_urls: ['https://*.example.com/**']}}",
            "network: {allow: [{cidr: 10.0.0.0/8}, {host: '*.example.com'}]}\n\
             effects: {network: always}",
        ] {
            none_found(&check(policy));
        }
        assert!(of(Level::Ok, &check("")).concat().contains("denies by default"));
    }

    #[test]
    fn pinning_and_tests_are_asked_for() {
        let notes = |policy| of(Level::Note, &check(policy)).concat();
        assert!(notes("").contains("not pinned") && notes("").contains("no test says"));
        assert!(!notes("pinning: {on_change: deny}").contains("not pinned"));
        let place = Place::new();
        place.file("tests/p.yaml", "policy: ../policy.yaml\ncases: []\n");
        place.file("other.yaml", "policy: elsewhere.yaml\ncases: []\n");
        let tested = super::check(&place.site("", "", POLICY));
        assert!(of(Level::Ok, &tested).concat().contains("has test cases"), "{tested:#?}");
    }
}
