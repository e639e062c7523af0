//! The `effects` of a policy, ready to issue warrants.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::derive::derive;
use super::grant::{EXEC, FileGrant, READ, Scope, WRITE, Warrant};
use super::peers::peer;
use super::template::Template;
use crate::config::{EffectsSection, Problem, ToolEffects};
use crate::policy::{Decision, PathGlobs};

/// The effects that policy names for tools.
#[derive(Debug)]
pub struct Rules {
    tools: BTreeMap<String, Tool>,
    root: String,
}

#[derive(Debug)]
struct Tool {
    read: Vec<Template>,
    write: Vec<Template>,
    exec: Vec<Template>,
    connect: Vec<Template>,
}

/// A warrant cannot be made from the arguments, so the call is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no warrant can be made: `{text}` {why}")]
pub struct IssueError {
    /// What the effect became.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Rules {
    /// Validates the section for a server whose root is `root`.
    pub fn compile(section: &EffectsSection, root: &str) -> Result<Self, Problem> {
        let tools = section.tools.iter().map(|(name, effects)| {
            let key = format!("effects.tools.{name}");
            Ok((name.clone(), Tool::compile(effects, &key, root)?))
        });
        Ok(Self { tools: tools.collect::<Result<_, Problem>>()?, root: root.to_owned() })
    }

    /// The warrant of a call that `decision` allowed.
    pub fn issue(
        &self,
        decision: &Decision,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Warrant, IssueError> {
        let Some(rules) = self.tools.get(tool) else {
            return Ok(derive(tool, &decision.paths, &self.root));
        };
        // An argument that is a path grants the file it leads to; its characters stand for
        // themselves, so an argument `*` grants a file named `*`.
        let literal = |name: &str, text: &str| {
            let listed = format!("{name}[");
            let paths = decision
                .paths
                .iter()
                .filter(|path| path.argument == name || path.argument.starts_with(&listed));
            let real: Vec<_> = paths.map(|path| globset::escape(&path.real)).collect();
            if real.is_empty() { vec![globset::escape(text)] } else { real }
        };
        let mut warrant = Warrant::default();
        for (kinds, templates) in [(READ, &rules.read), (WRITE, &rules.write), (EXEC, &rules.exec)]
        {
            let globs: Vec<String> =
                templates.iter().flat_map(|t| t.expand(arguments, &literal)).collect();
            let scope = PathGlobs::new(&globs, &self.root).map_err(|(index, why)| IssueError {
                text: globs.get(index).cloned().unwrap_or_default(),
                why,
            })?;
            if !scope.is_empty() {
                warrant.files.push(FileGrant { kinds, scope: Scope::Globs(scope) });
            }
        }
        for template in &rules.connect {
            for text in template.expand(arguments, &|_, text| vec![text.to_owned()]) {
                let written = template.is_literal();
                let peer = peer(&text, written).map_err(|why| IssueError { text, why })?;
                warrant.peers.push(peer);
            }
        }
        Ok(warrant)
    }
}

impl Tool {
    fn compile(effects: &ToolEffects, key: &str, root: &str) -> Result<Self, Problem> {
        // A template with arguments is checked when they are known.
        let templates = |name: &str, texts: &[String], check: &dyn Fn(&str) -> Option<String>| {
            let compile = |(index, text): (usize, &String)| {
                let bad = |why| Problem::new(format!("{key}.{name}[{index}]"), why);
                let template = Template::parse(text).map_err(bad)?;
                match template.is_literal().then(|| check(text)).flatten() {
                    Some(why) => Err(bad(why)),
                    None => Ok(template),
                }
            };
            texts.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()
        };
        let glob = |text: &str| PathGlobs::new(&[text], root).err().map(|(_, why)| why);
        let address = |text: &str| peer(text, true).err();
        Ok(Self {
            read: templates("read", &effects.read, &glob)?,
            write: templates("write", &effects.write, &glob)?,
            exec: templates("exec", &effects.exec, &glob)?,
            connect: templates("connect", &effects.connect, &address)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::tests::{file, peer as peer_effect};
    use super::super::effect::{Effect, EffectKind};
    use super::*;
    use crate::config::Action;
    use crate::policy::ApprovedPath;

    const EFFECTS: &str = "
tools:
  read: {read: ['${arguments.path}', '/etc/hosts']}
  below: {read: ['${arguments.path}/**']}
  fetch: {connect: ['${arguments.host}:${arguments.port}', 192.0.2.0/24]}
  fetch_any: {connect: ['${arguments.host}']}
  browse: {connect: ['${arguments.url}', '*.cdn.example']}
";

    fn warrant(tool: &str, arguments: &str) -> Result<Warrant, IssueError> {
        let section: EffectsSection = serde_yaml::from_str(EFFECTS).expect("effects");
        let arguments: Map<String, Value> = serde_json::from_str(arguments).expect("arguments");
        let path = arguments.get("path").and_then(Value::as_str).map(|path| ApprovedPath {
            argument: "path".into(),
            lexical: format!("/srv/{path}"),
            real: format!("/srv/{path}"),
        });
        let decision = Decision {
            action: Action::Allow,
            rule: String::new(),
            reason: String::new(),
            paths: path.into_iter().collect(),
            queries: Vec::new(),
            timeout: None,
            bad_arguments: false,
        };
        Rules::compile(&section, "/srv").expect("compiles").issue(&decision, tool, &arguments)
    }

    fn covers(tool: &str, arguments: &str, effect: &Effect) -> bool {
        warrant(tool, arguments).expect("issued").covers(effect)
    }

    #[test]
    fn an_argument_grants_the_file_it_leads_to() {
        let read = |path| file(EffectKind::FileRead, path);
        let arguments = r#"{"path":"a"}"#;
        assert!(covers("read", arguments, &read("/srv/a")));
        assert!(covers("read", arguments, &read("/etc/hosts")));
        assert!(!covers("read", arguments, &read("/srv/b")));
        assert!(!covers("read", arguments, &file(EffectKind::FileWrite, "/srv/a")));
        assert!(covers("below", arguments, &read("/srv/a/b/c")));
    }

    #[test]
    fn an_argument_cannot_widen_its_warrant() {
        let read = |path| file(EffectKind::FileRead, path);
        assert!(!covers("read", r#"{"path":"**"}"#, &read("/srv/b")));
        assert!(covers("read", r#"{"path":"**"}"#, &read("/srv/**")));
        assert!(!covers("read", r#"{"path":"{a,b}"}"#, &read("/srv/b")));
    }

    #[test]
    fn peers_are_granted_by_address_and_port() {
        let arguments = r#"{"host":"127.0.0.1","port":80}"#;
        assert!(covers("fetch", arguments, &peer_effect(EffectKind::Connect, "127.0.0.1:80")));
        assert!(!covers("fetch", arguments, &peer_effect(EffectKind::Connect, "127.0.0.1:81")));
        assert!(covers("fetch", arguments, &peer_effect(EffectKind::Send, "192.0.2.9:53")));
        assert!(warrant("fetch", r#"{"host":"exa mple.com","port":80}"#).is_err());
    }

    #[test]
    fn peers_are_granted_by_the_names_that_led_to_them() {
        let named = |address, name: &str| {
            let mut effect = peer_effect(EffectKind::Connect, address);
            if let super::super::effect::Target::Peer(peer) = &mut effect.target {
                peer.names = vec!["other.example".to_owned(), name.to_owned()];
            }
            effect
        };
        let arguments = r#"{"host":"API.example.com","port":443}"#;
        assert!(covers("fetch", arguments, &named("8.8.8.8:443", "api.example.com")));
        assert!(!covers("fetch", arguments, &named("8.8.8.8:80", "api.example.com")));
        assert!(!covers("fetch", arguments, &named("8.8.8.8:443", "evil.example")));
        assert!(!covers("fetch", arguments, &peer_effect(EffectKind::Connect, "8.8.8.8:443")));
        let url = r#"{"url":"https://api.example.com/a?b"}"#;
        assert!(covers("browse", url, &named("8.8.8.8:443", "api.example.com")));
        assert!(!covers("browse", url, &named("8.8.8.8:80", "api.example.com")));
        assert!(covers("browse", "{}", &named("8.8.8.8:8443", "a.cdn.example")));
        assert!(!covers("browse", "{}", &named("8.8.8.8:8443", "cdn.example")));
    }

    #[test]
    fn an_argument_is_one_peer_and_never_many() {
        for host in ["0.0.0.0/0", "*", "*.com", "::/0"] {
            let arguments = serde_json::json!({"host": host, "url": host}).to_string();
            assert!(warrant("fetch_any", &arguments).is_err(), "{host}");
            assert!(warrant("browse", &arguments).is_err(), "{host}");
        }
        assert!(warrant("fetch_any", r#"{"host":"192.0.2.1"}"#).is_ok());
    }
}
