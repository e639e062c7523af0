//! The configured policies, asked what they must never allow.

use serde_json::{Map, Value, json};

use super::finding::{Finding, some};
use super::site::{Site, SiteServer};
use crate::config::{Action, Constraint};
use crate::mcp::methods::Side;
use crate::policy::{Asked, Call, Policy, decide, decide_method};

/// Who and what nobody has.
const NOBODY: &str = "warrantd-doctor-nobody";
const NOTHING: &str = "warrantd-doctor-nothing";

/// Asks every policy.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    site.servers().map(of_server).collect()
}

fn of_server(server: SiteServer) -> Finding {
    let id = &server.config.id;
    let Some(policy) = server.compiled() else {
        return Finding::bad(format!("the policy of server `{id}` cannot be asked"))
            .todo("run `warrantd check`");
    };
    let mut asked = 0;
    let mut allowed = Vec::new();
    for (what, action) in answers(server, policy) {
        asked += 1;
        if action == Action::Allow {
            allowed.push(what);
        }
    }
    if allowed.is_empty() {
        let what =
            format!("the policy of server `{id}` denied {asked} calls that it must never allow");
        return Finding::ok(what);
    }
    Finding::bad(format!("the policy of server `{id}` allows {}", some(&allowed)))
        .at(server.policy_file().display().to_string())
        .todo("see `warrantd explain` for the rule that allows it, and write a narrower one")
}

/// Questions that have no other answer than no.
fn answers<'a>(
    server: SiteServer<'a>,
    policy: &'a Policy,
) -> impl Iterator<Item = (String, Action)> + 'a {
    let ask = move |actor: &str, tool: &str, arguments: &Map<String, Value>| {
        let resolve = |path: &str| path.to_owned();
        let call = Call { actor, tool, arguments, resolve: &resolve, schema: None };
        decide(policy, call).action
    };
    let none = Map::new();
    let mut answers = vec![("callers it does not know".to_owned(), ask(NOBODY, NOTHING, &none))];
    for actor in policy.actor_ids() {
        answers.push((format!("`{actor}` a tool that nobody listed"), ask(actor, NOTHING, &none)));
        let asked = Asked {
            actor,
            method: "warrantd-doctor/nothing",
            params: &none,
            resolve: &|path| path.to_owned(),
        };
        let action = decide_method(policy, Side::Client, asked).action;
        answers.push((format!("`{actor}` a method that nobody knows"), action));
    }
    for (actor, tool) in server.allowed() {
        let own = server.policy.actors.iter().filter(|rule| rule.id == actor);
        let own = own.filter_map(|rule| rule.constraints.get(tool));
        for constraint in server.policy.constraints.get(tool).into_iter().chain(own) {
            for (what, arguments) in never(constraint) {
                answers.push((format!("`{tool}` {what}"), ask(actor, tool, &arguments)));
            }
        }
    }
    answers.into_iter()
}

/// Arguments that a constraint exists to refuse, or that it cannot judge.
fn never(constraint: &Constraint) -> Vec<(&'static str, Map<String, Value>)> {
    let mut all = Vec::new();
    let mut add = |what, names: Option<&Vec<String>>, usual: &str, value: Value| {
        let name = names.and_then(|names| names.first()).map_or(usual, String::as_str);
        all.push((what, Map::from_iter([(name.to_owned(), value)])));
    };
    if constraint.allowed_paths.is_some() {
        let names = constraint.path_arguments.as_ref();
        let up = "../../../../../../../../../../etc/shadow";
        add("a path that leads out of its directories", names, "path", json!(up));
        add("a path that is no text", names, "path", json!({"a": 1}));
        add("a path with a byte that ends it", names, "path", json!("public/a\u{0}b"));
    }
    if constraint.allowed_urls.is_some() {
        let names = constraint.url_arguments.as_ref();
        let metadata = "http://169.254.169.254/latest/meta-data/";
        add("the metadata service of a cloud", names, "url", json!(metadata));
        add("a URL that can be read in two ways", names, "url", json!("http://a@b@127.0.0.1/"));
        add("a file by its URL", names, "url", json!("file:///etc/shadow"));
    }
    if constraint.allowed_operations.is_some() || constraint.allowed_tables.is_some() {
        let names = constraint.query_arguments.as_ref();
        add("SQL that cannot be read", names, "query", json!("SELECT 'a"));
        add("two statements in one", names, "query", json!("SELECT 1; DROP DATABASE everything"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::{none_found, only_finding};
    use super::super::site::tests::Place;
    use super::*;

    fn check(policy: &str) -> Vec<Finding> {
        super::check(&Place::new().site("", "", policy))
    }

    #[test]
    fn policies_that_deny_say_how_often_they_were_asked() {
        let findings = check(
            "actors: [{id: ada, allowed_tools: [read, fetch, query, free]}]
constraints:
  read: {allowed_paths: ['public/**'], path_arguments: [where]}
  fetch: {allowed_urls: ['https://*.example.com/**']}
  query: {dialect: postgres, allowed_operations: [SELECT], allowed_tables: [users]}
  free: {timeout_seconds: 5}
",
        );
        none_found(&findings);
        assert!(findings[0].what.contains("denied 11 calls"), "{findings:#?}");
    }

    #[test]
    fn what_a_policy_lets_through_is_named() {
        let all = check("default_action: ALLOW\nactors: [{id: ada}]");
        only_finding(&all, "allows `ada` a tool that nobody listed");
        let wide = "actors: [{id: ada, allowed_tools: [read]}]\n\
                    constraints: {read: {allowed_paths: ['/**']}}";
        only_finding(&check(wide), "`read` a path that leads out of its directories");
    }
}
