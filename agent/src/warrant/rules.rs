//! The `effects` of a policy, ready to issue warrants.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::derive::derive;
use super::grant::{FileGrant, READ, Scope, Warrant};
use super::named::{IssueError, Named};
use crate::config::{EffectsSection, PolicyFile, Problem};
use crate::policy::{Decision, method_arguments};

/// The effects that policy names.
#[derive(Debug)]
pub struct Rules {
    tools: BTreeMap<String, Named>,
    methods: BTreeMap<&'static str, Named>,
    startup: Warrant,
    root: String,
}

impl Rules {
    /// Validates what a policy says of effects, for a server whose root is `root`.
    pub fn of(policy: &PolicyFile, root: &str) -> Result<Self, Problem> {
        let mut rules = Self::compile(&policy.effects, root)?;
        for (method, effects, _) in policy.methods.by_method() {
            if let Some(effects) = effects {
                let key = format!("methods.{method}.effects");
                rules.methods.insert(method, Named::compile(effects, &key, root)?);
            }
        }
        Ok(rules)
    }

    /// Validates the section for a server whose root is `root`.
    pub fn compile(section: &EffectsSection, root: &str) -> Result<Self, Problem> {
        let tools = section.tools.iter().map(|(name, effects)| {
            let key = format!("effects.tools.{name}");
            Ok((name.clone(), Named::compile(effects, &key, root)?))
        });
        Ok(Self {
            tools: tools.collect::<Result<_, Problem>>()?,
            methods: BTreeMap::new(),
            startup: Named::startup(&section.startup, root)?,
            root: root.to_owned(),
        })
    }

    /// The warrant of a server's start: to run its own programs, by absolute path after symbolic
    /// links, and what policy adds.
    pub fn startup(&self, programs: &[String]) -> Warrant {
        Warrant::to_run(programs).and(self.startup.clone())
    }

    /// The warrant of a call that `decision` allowed.
    pub fn issue(
        &self,
        decision: &Decision,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Warrant, IssueError> {
        match self.tools.get(tool) {
            Some(named) => named.expand(arguments, &decision.paths, &self.root),
            None => Ok(derive(tool, decision, &self.root)),
        }
    }

    /// The warrant of another request that `decision` allowed: what policy names, or to read the file
    /// that a resource is.
    pub fn issue_method(
        &self,
        decision: &Decision,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<Warrant, IssueError> {
        match self.methods.get(method) {
            Some(named) => {
                named.expand(&method_arguments(method, params), &decision.paths, &self.root)
            }
            None if method == "resources/read" => {
                let read = |real: String| FileGrant { kinds: READ, scope: Scope::Exactly(real) };
                let paths = decision.paths.iter().map(|path| read(path.real.clone()));
                Ok(Warrant { files: paths.collect(), ..Warrant::default() })
            }
            None => Ok(Warrant::default()),
        }
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
  drop: {delete: ['${arguments.path}']}
  log: {exec: [/bin/true, {program: /bin/git, args: [log, '${arguments.revision}', '${arguments.files}']}]}
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
            urls: Vec::new(),
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
        // A backslash does not undo the escape of what follows it.
        assert!(!covers("read", r#"{"path":"\\*"}"#, &read("/srv/[b]")));
        assert!(covers("read", r#"{"path":"\\*"}"#, &read("/srv/\\*")));
    }

    #[test]
    fn a_leave_to_delete_is_no_leave_to_write() {
        let arguments = r#"{"path":"a"}"#;
        assert!(covers("drop", arguments, &file(EffectKind::FileDelete, "/srv/a")));
        assert!(covers("drop", arguments, &file(EffectKind::FileRename, "/srv/a")));
        for kind in [EffectKind::FileRead, EffectKind::FileWrite, EffectKind::FileCreate] {
            assert!(!covers("drop", arguments, &file(kind, "/srv/a")), "{kind}");
        }
        assert!(!covers("drop", arguments, &file(EffectKind::FileDelete, "/srv/b")));
    }

    #[test]
    fn programs_are_granted_with_the_arguments_of_the_call() {
        let exec = |argv: &str| Effect {
            argv: argv.split(' ').map(str::to_owned).collect(),
            ..file(EffectKind::Exec, "/bin/git")
        };
        let arguments = r#"{"revision":"main","files":["a","b"]}"#;
        assert!(covers("log", arguments, &exec("git log main a b")));
        assert!(covers("log", arguments, &exec("git log main a b c")));
        assert!(!covers("log", arguments, &exec("git log main a")));
        assert!(!covers("log", arguments, &exec("git log --exec=evil a b")));
        for absent in [r#"{"revision":"main"}"#, r#"{"revision":"main","files":[]}"#, "{}"] {
            assert!(!covers("log", absent, &exec("git log main")), "an absent argument: {absent}");
        }
        assert!(covers("log", "{}", &file(EffectKind::Exec, "/bin/true")));
    }

    #[test]
    fn a_start_has_its_programs_and_what_policy_names() {
        let text = "{startup: {read: [conf/**], write: [run/pid], exec: [{program: /bin/id, args: [-u]}]}}";
        let section: EffectsSection = serde_yaml::from_str(text).expect("effects");
        let rules = Rules::compile(&section, "/srv").expect("compiles");
        let start = rules.startup(&["/opt/server".to_owned()]);
        for effect in [
            file(EffectKind::Exec, "/opt/server"),
            file(EffectKind::FileRead, "/srv/conf/a"),
            file(EffectKind::FileCreate, "/srv/run/pid"),
        ] {
            assert!(start.covers(&effect), "{effect}");
        }
        assert!(!start.covers(&file(EffectKind::FileDelete, "/srv/run/pid")));
        assert!(!start.covers(&file(EffectKind::Exec, "/bin/id")), "its arguments are not known");
    }

    #[test]
    fn a_start_has_no_arguments_and_mistakes_are_named() {
        for (text, key) in [
            ("{startup: {read: [a, '${arguments.x}']}}", "effects.startup.read[1]"),
            (
                "{startup: {exec: [{program: /b, args: ['${arguments.x}']}]}}",
                "effects.startup.exec[0]",
            ),
            ("{startup: {connect: ['a b']}}", "effects.startup.connect[0]"),
            ("{tools: {t: {delete: [../x]}}}", "effects.tools.t.delete[0]"),
            ("{tools: {t: {exec: [{program: '[', args: []}]}}}", "effects.tools.t.exec[0]"),
            (
                "{tools: {t: {exec: [{program: /b, args: [a, '${x}']}]}}}",
                "effects.tools.t.exec[0].args[1]",
            ),
        ] {
            let section: EffectsSection = serde_yaml::from_str(text).expect("effects");
            let problem = Rules::compile(&section, "/srv").expect_err(text);
            assert_eq!(problem.key, key);
        }
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
