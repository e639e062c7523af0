//! Tools that take paths, URLs or SQL are limited in what they may be given.
//!
//! What a tool takes is known by its accepted definition where tools are pinned; else its name is all there is
//! to go by.

use std::collections::BTreeMap;

use serde_json::Value;

use super::finding::{Finding, some};
use super::site::{Site, SiteServer};
use crate::config::{Action, Constraint, PinFile, Source, ToolEffects};
use crate::policy::{means_path, means_query, means_url};

/// What a tool takes that can lead anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Paths,
    Urls,
    Queries,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Paths, Self::Urls, Self::Queries];

    fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Urls => "URLs",
            Self::Queries => "SQL",
        }
    }

    fn todo(self) -> &'static str {
        match self {
            Self::Paths => "add `constraints: {TOOL: {allowed_paths: […]}}`",
            Self::Urls => "add `constraints: {TOOL: {allowed_urls: […]}}`",
            Self::Queries => {
                "add `constraints: {TOOL: {allowed_operations: [SELECT], allowed_tables: […]}}`"
            }
        }
    }

    /// Whether an argument of this name holds it.
    fn is_of(self, argument: &str) -> bool {
        match self {
            Self::Paths => means_path(argument) && !means_url(argument),
            Self::Urls => means_url(argument),
            Self::Queries => means_query(argument),
        }
    }

    /// Words of a tool's name that speak of it.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Paths => &["dir", "directory", "file", "files", "folder", "path"],
            Self::Urls => {
                &["browse", "crawl", "download", "fetch", "http", "navigate", "url", "web"]
            }
            Self::Queries => &["database", "db", "sql"],
        }
    }

    fn is_limited(self, constraint: &Constraint) -> bool {
        match self {
            Self::Paths => constraint.allowed_paths.is_some(),
            Self::Urls => constraint.allowed_urls.is_some(),
            Self::Queries => {
                constraint.allowed_operations.is_some()
                    || constraint.allowed_tables.is_some()
                    || constraint.dialect.is_some()
            }
        }
    }
}

/// How it is known what a tool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    ByDefinition,
    ByName,
}

/// Looks at every tool that somebody may call.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    site.servers().flat_map(of_server).collect()
}

fn of_server(server: SiteServer) -> Vec<Finding> {
    let defined = definitions(server);
    let mut open: BTreeMap<(Kind, Known), Vec<&str>> = BTreeMap::new();
    let mut unknown = Vec::new();
    let mut tools: Vec<(&str, &str)> = server.allowed().collect();
    tools.sort_unstable_by_key(|(actor, tool)| (*tool, *actor));
    tools.dedup();
    for (actor, tool) in tools {
        let constraints = constraints(server, actor, tool);
        let (kinds, known) = match defined.get(tool) {
            Some(definition) => (by_definition(definition), Known::ByDefinition),
            None => (by_name(tool), Known::ByName),
        };
        if known == Known::ByName && kinds.is_empty() && constraints.is_empty() {
            unknown.push(tool);
        }
        let bound = server.policy.effects.tools.get(tool).is_some_and(is_bound);
        for kind in kinds {
            let limited = constraints.iter().any(|constraint| kind.is_limited(constraint));
            if !limited && !bound {
                open.entry((kind, known)).or_default().push(tool);
            }
        }
    }
    let name = &server.config.id;
    let mut findings = Vec::new();
    for ((kind, known), mut tools) in open {
        tools.dedup();
        let by = if known == Known::ByName { " by their names" } else { "" };
        let what = format!("tools of `{name}` take any {}{by}: {}", kind.name(), some(&tools));
        findings
            .push(Finding::bad(what).at(server.place_in_policy("constraints")).todo(kind.todo()));
    }
    if server.policy.default_action == Action::Allow {
        let what = format!(
            "`{name}` allows tools that it does not list, and nobody limits what they take"
        );
        findings.push(
            Finding::note(what)
                .at(server.place_in_policy("default_action"))
                .todo("write `default_action: DENY` and list the tools of each actor"),
        );
    } else if findings.is_empty() {
        findings.push(Finding::ok(format!("tools of `{name}` are limited in what they take")));
    }
    unknown.dedup();
    if !unknown.is_empty() {
        let what = format!("what these tools of `{name}` take is not known: {}", some(&unknown));
        findings.push(Finding::note(what).at(server.pins().display().to_string()).todo(
            "pin the tools, so that their definitions are at hand (`pinning` in the policy)",
        ));
    }
    findings
}

/// What limits an actor's calls of a tool.
fn constraints<'a>(server: SiteServer<'a>, actor: &str, tool: &str) -> Vec<&'a Constraint> {
    let policy = server.policy;
    let own = policy.actors.iter().filter(|rule| rule.id == actor);
    let own = own.filter_map(|rule| rule.constraints.get(tool));
    policy.constraints.get(tool).into_iter().chain(own).collect()
}

/// Whether what policy says a tool may do does not depend on what it is given.
fn is_bound(effects: &ToolEffects) -> bool {
    let ToolEffects { read, write, delete, connect, exec } = effects;
    let texts = [read, write, delete, connect].into_iter().flatten().map(String::as_str);
    let mut all = texts.chain(exec.iter().map(crate::config::ExecEntry::program));
    all.all(|text| !text.contains("${arguments."))
}

/// The accepted definitions of a server's tools.
fn definitions(server: SiteServer) -> BTreeMap<String, Value> {
    let file = server.pins();
    let pins = Source::read(&file).and_then(|source| source.parse::<PinFile>());
    let tools = pins.map(|pins| pins.tools).unwrap_or_default();
    tools
        .into_iter()
        .filter_map(|(name, entry)| {
            let definition: Value = serde_json::from_str(&entry.definition).ok()?;
            Some((name, definition))
        })
        .collect()
}

fn by_definition(definition: &Value) -> Vec<Kind> {
    let properties = definition.pointer("/inputSchema/properties").and_then(Value::as_object);
    // What searches takes a `query`, too.
    let speaks_of_sql = definition.to_string().to_ascii_lowercase().contains("sql");
    let mut kinds: Vec<Kind> = Vec::new();
    for (name, property) in properties.into_iter().flatten() {
        let uri = property.get("format").and_then(Value::as_str) == Some("uri");
        kinds.extend(Kind::ALL.into_iter().filter(|kind| match kind {
            Kind::Queries => kind.is_of(name) && speaks_of_sql,
            Kind::Urls => kind.is_of(name) || uri,
            Kind::Paths => kind.is_of(name),
        }));
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn by_name(tool: &str) -> Vec<Kind> {
    let words = words(tool);
    let speaks = |kind: &Kind| words.iter().any(|word| kind.words().contains(&word.as_str()));
    Kind::ALL.into_iter().filter(speaks).collect()
}

/// `read`, `text`, `file` of `read_text_file`, `readTextFile` and `read-text.file`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::Place;
    use super::*;
    use crate::policy::pin::Definition;

    fn policy(tool: &str, rest: &str) -> String {
        format!("actors: [{{id: ada, allowed_tools: [{tool}]}}]\n{rest}\n")
    }

    fn check(tool: &str, rest: &str) -> Vec<Finding> {
        super::check(&Place::new().site("", "", &policy(tool, rest)))
    }

    /// With the tool's definition accepted.
    fn pinned(tool: &str, properties: &Value, rest: &str) -> Vec<Finding> {
        let place = Place::new();
        let definition = json!({
            "name": tool,
            "inputSchema": {"type": "object", "properties": properties},
        });
        let definition = Definition::read(&definition).expect("a definition");
        let entry = json!({
            "hash": definition.hash(), "at": "", "by": "", "description": "",
            "definition": definition.text(),
        });
        place.file("state/pins/files.yaml", &json!({"tools": {tool: entry}}).to_string());
        super::check(&place.site("", "", &policy(tool, rest)))
    }

    #[test]
    fn a_tool_that_takes_anything_is_found_by_its_definition() {
        let string = json!({"type": "string"});
        only_finding(&pinned("t", &json!({"path": string}), ""), "take any paths: t");
        only_finding(&pinned("t", &json!({"sql": string}), ""), "take any SQL");
        only_finding(&pinned("t", &json!({"href": string}), ""), "take any URLs");
        let uri = json!({"page": {"type": "string", "format": "uri"}});
        only_finding(&pinned("t", &uri, ""), "take any URLs");
        none_found(&pinned("t", &json!({"text": string, "query": string}), ""));
        only_finding(&pinned("run_sql", &json!({"query": string}), ""), "take any SQL");
        let only_denied = "constraints: {t: {denied_paths: ['**/.env']}}";
        only_finding(&pinned("t", &json!({"path": string}), only_denied), "take any paths");
    }

    #[test]
    fn a_tool_that_is_limited_is_fine() {
        let path = json!({"path": {"type": "string"}});
        none_found(&pinned("t", &path, "constraints: {t: {allowed_paths: [a]}}"));
        none_found(&pinned("t", &path, "effects: {tools: {t: {read: ['public/**']}}}"));
        let open = "effects: {tools: {t: {read: ['${arguments.path}']}}}";
        only_finding(&pinned("t", &path, open), "take any paths");
        let own = "constraints: {query_db: {allowed_operations: [SELECT]}}";
        none_found(&check("query_db", own));
    }

    #[test]
    fn without_a_definition_the_name_counts() {
        for (tool, says) in [("readFile", "paths"), ("web_fetch", "URLs"), ("execute-sql", "SQL")] {
            only_finding(&check(tool, ""), &format!("any {says} by their names"));
        }
        let findings = check("remember", "");
        none_found(&findings);
        assert!(of(Level::Note, &findings).concat().contains("is not known: remember"));
    }

    #[test]
    fn names_fall_into_words() {
        assert_eq!(words("read_textFile-v2"), ["read", "text", "file", "v2"]);
        assert!(by_name("profile").is_empty() && by_name("webhook_stats").is_empty());
    }
}
