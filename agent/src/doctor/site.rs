//! A configuration as it is written and as it is meant, with its policies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{
    ConfigError, DaemonConfig, PolicyFile, Problem, ServerConfig, Source, Written,
};
use crate::policy::Policy;
use crate::serve::{Loaded, load, load_policy};

/// A configuration that is looked at.
pub struct Site {
    file: PathBuf,
    written: Written,
    /// As written.
    pub(super) config: DaemonConfig,
    /// As it would be served.
    pub(super) loaded: Loaded,
    policies: Vec<(Source, PolicyFile)>,
}

/// A server of it, with its policy.
#[derive(Clone, Copy)]
pub(super) struct SiteServer<'a> {
    site: &'a Site,
    index: usize,
    pub(super) config: &'a ServerConfig,
    pub(super) policy: &'a PolicyFile,
    source: &'a Source,
}

impl Site {
    /// Reads the daemon's file, its drop-ins and its policies, and checks them as a start would.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let loaded = load(file)?;
        let (written, config) = Written::read(file)?;
        let base = file.parent().unwrap_or(Path::new(""));
        let policies = config.servers.iter().map(|server| load_policy(&base.join(&server.policy)));
        let policies = policies.collect::<Result<_, _>>()?;
        Ok(Self { file: file.to_owned(), written, config, loaded, policies })
    }

    /// Where the daemon listens for operators.
    pub fn runtime_dir(&self) -> &Path {
        &self.config.runtime_dir
    }

    /// The file and its line of a key, which may be a drop-in's.
    pub(super) fn place(&self, key: &str) -> String {
        let error = self.written.error(Problem::new(key, ""));
        match self.written.sources().find(|source| source.file() == error.file) {
            Some(source) => place(source, &error.key),
            None => self.file.display().to_string(),
        }
    }

    /// A path that is relative to the file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The files that it was read from: the daemon's, its drop-ins and the policies, each once.
    pub(super) fn files(&self) -> BTreeSet<&Path> {
        let policies = self.policies.iter().map(|(source, _)| source.file());
        self.written.sources().map(Source::file).chain(policies).collect()
    }

    /// The servers with their policies.
    pub(super) fn servers(&self) -> impl Iterator<Item = SiteServer<'_>> {
        let all = self.config.servers.iter().zip(&self.policies).enumerate();
        all.map(|(index, (config, (source, policy)))| SiteServer {
            site: self,
            index,
            config,
            policy,
            source,
        })
    }

    /// The policies, each once, with one of their servers.
    pub(super) fn policies(&self) -> impl Iterator<Item = SiteServer<'_>> {
        let mut seen = BTreeSet::new();
        self.servers().filter(move |server| seen.insert(server.source.file().to_owned()))
    }
}

impl SiteServer<'_> {
    /// The file and line of a key of its configuration.
    pub(super) fn place(&self, key: &str) -> String {
        let dot = if key.is_empty() { "" } else { "." };
        self.site.place(&format!("servers[{}]{dot}{key}", self.index))
    }

    /// The file and line of a key of its policy.
    pub(super) fn place_in_policy(&self, key: &str) -> String {
        place(self.source, key)
    }

    /// The name of its policy's file.
    pub(super) fn policy_name(&self) -> String {
        let file = self.source.file();
        file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
    }

    /// The file of its policy.
    pub(super) fn policy_file(&self) -> &Path {
        self.source.file()
    }

    /// Its policy as it decides.
    pub(super) fn compiled(&self) -> Option<&Policy> {
        self.site.loaded.servers.get(self.index).map(|loaded| &loaded.server.policy)
    }

    /// The file of its accepted tools.
    pub(super) fn pins(&self) -> PathBuf {
        let own = self.policy.pinning.as_ref().and_then(|pinning| pinning.file.clone());
        own.unwrap_or_else(|| self.site.config.pin_file(&self.config.id))
    }

    /// Its tools with the actors that may call them, the kit's JSON form included. Tools that nobody may call
    /// are left out.
    pub(super) fn allowed(&self) -> impl Iterator<Item = (&str, &str)> {
        let listed = self.policy.actors.iter().flat_map(|actor| {
            actor.allowed_tools.iter().map(|tool| (actor.id.as_str(), tool.as_str()))
        });
        let mapped = self.policy.allowed_tools.iter().flat_map(|(actor, tools)| {
            tools.iter().map(move |tool| (actor.as_str(), tool.as_str()))
        });
        let denied = &self.policy.global_deny_list;
        listed.chain(mapped).filter(move |(_, tool)| !denied.iter().any(|other| other == tool))
    }
}

/// `file:line (key)`; the file alone when the key is not written.
fn place(source: &Source, key: &str) -> String {
    let file = source.file().display();
    let error = source.error(Problem::new(key, ""));
    if key.is_empty() {
        file.to_string()
    } else if source.has(key) {
        format!("{file}:{} ({key})", error.line)
    } else {
        format!("{file} ({key})")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A directory in which configuration, policy, state, logs and sockets are; files of it.
    pub(in crate::doctor) struct Place {
        pub(in crate::doctor) dir: tempfile::TempDir,
    }

    impl Place {
        pub(in crate::doctor) fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            std::fs::create_dir(dir.path().join("root")).expect("made");
            Self { dir }
        }

        /// Writes a file and gives its path.
        pub(in crate::doctor) fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(&path, text).expect("written");
            path
        }

        /// A site with one server, `files`: more keys of the daemon's file, of its server, and the policy.
        pub(in crate::doctor) fn site(&self, daemon: &str, server: &str, policy: &str) -> Site {
            let dir = self.dir.path().display();
            self.file("policy.yaml", policy);
            let text = format!(
                "runtime_dir: {dir}/run\nstate_dir: {dir}/state\n{daemon}\nservers:\n  - id: files\n    \
                 command: [/bin/cat]\n    root: {dir}/root\n    policy: policy.yaml\n    {server}\n"
            );
            let file = self.file("warrantd.yaml", &text);
            Site::read(&file).unwrap_or_else(|error| panic!("{error}\n{text}"))
        }
    }

    /// A site that serves one tool.
    pub(in crate::doctor) const POLICY: &str = "actors: [{id: ada, allowed_tools: [read_file]}]\n";

    #[test]
    fn places_are_lines_of_the_right_file() {
        let place = Place::new();
        let site = place.site("actors: [{id: ada, uids: [7]}]", "", POLICY);
        assert!(site.place("actors[0].uids").ends_with("warrantd.yaml:3 (actors[0].uids)"));
        assert!(site.place("audit").ends_with("warrantd.yaml (audit)"), "it is not written");
        let server = site.servers().next().expect("a server");
        assert!(server.place("command").ends_with("(servers[0].command)"));
        assert!(server.place_in_policy("actors[0].id").ends_with("policy.yaml:1 (actors[0].id)"));
        assert_eq!(site.files().len(), 2);
        assert_eq!(server.pins(), place.dir.path().join("state/pins/files.yaml"));
    }

    #[test]
    fn tools_that_nobody_may_call_do_not_count() {
        let place = Place::new();
        let policy = "global_deny_list: [rm]\nactors: [{id: ada, allowed_tools: [cat, rm]}]\n\
                      allowed_tools: {bob: [ls, rm]}\n";
        let site = place.site("", "", policy);
        let server = site.servers().next().expect("a server");
        assert_eq!(server.allowed().collect::<Vec<_>>(), [("ada", "cat"), ("bob", "ls")]);
    }
}
