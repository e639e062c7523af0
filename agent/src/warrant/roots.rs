//! The directories that a policy's globs begin with: what a floor under the server must leave open.
//!
//! A glob becomes the directory before its first wildcard, so a floor is never narrower than the policy
//! and may be wider: `data/*.md` opens `data`. Whether a call kept to its warrant is still judged effect by
//! effect. A tool whose paths no glob names opens nothing.

use std::collections::BTreeSet;

use super::ambient::FLOOR;
use super::derive::{deletes, writes};
use super::grant::Scope;
use crate::config::{PolicyFile, ToolEffects};

/// Absolute paths, each of a file or of a directory with all that is below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// What may be read.
    pub read: BTreeSet<String>,
    /// What may be written.
    pub write: BTreeSet<String>,
    /// The same, named without a wildcard. A directory is meant itself; a file needs its directory, where
    /// programs put the temporary file by which they replace it.
    pub replace: BTreeSet<String>,
    /// What may be listed.
    pub list: BTreeSet<String>,
    /// What may be run.
    pub run: BTreeSet<String>,
}

impl Roots {
    /// The roots of a policy for a server whose root is `root`.
    pub fn of(policy: &PolicyFile, root: &str) -> Self {
        let mut roots = Self::default();
        // A process reads of itself under a number that is not known yet. It is the verdict that tells
        // its own files in /proc from others.
        roots.read.insert("/proc".to_owned());
        roots.write.insert("/dev/null".to_owned());
        roots.read.extend(FLOOR.iter().map(|glob| fixed(glob, root).0));
        let effects = &policy.effects;
        roots.read.extend(effects.ambient.read.iter().map(|glob| fixed(glob, root).0));
        let own = policy.actors.iter().flat_map(|actor| &actor.constraints);
        for (tool, constraint) in policy.constraints.iter().chain(own) {
            for glob in constraint.allowed_paths.iter().flatten() {
                roots.read.insert(fixed(glob, root).0);
                let derived = !effects.tools.contains_key(tool);
                if derived && (writes(tool) || deletes(tool)) {
                    roots.add_write(glob, root);
                }
            }
        }
        let start = &effects.startup;
        roots.read.extend(start.read.iter().map(|glob| fixed(glob, root).0));
        roots.run.extend(start.exec.iter().map(|entry| fixed(entry.program(), root).0));
        start.write.iter().chain(&start.delete).for_each(|glob| roots.add_write(glob, root));
        for (tool, named) in &effects.tools {
            // An argument is a path that the constraints of the tool limit.
            let own = policy.actors.iter().filter_map(|actor| actor.constraints.get(tool));
            let limits = policy.constraints.get(tool).into_iter().chain(own);
            let globs: Vec<_> =
                limits.flat_map(|limit| limit.allowed_paths.iter().flatten()).collect();
            roots.add_named(named, &globs, root);
        }
        roots.add_methods(policy, root);
        // Before it writes, a careful server looks at the directories that lead there.
        if roots.write.len() + roots.replace.len() > 1 {
            roots.list.insert(root.to_owned());
        }
        roots
    }

    /// What the resources may be that are read, and what else policy names for methods.
    fn add_methods(&mut self, policy: &PolicyFile, root: &str) {
        let own = policy.actors.iter().map(|actor| &actor.methods);
        for section in std::iter::once(&policy.methods).chain(own) {
            for limits in section.resources_read.iter().chain(&section.resources_subscribe) {
                let paths = limits.allowed_paths.iter().flatten().map(|glob| fixed(glob, root).0);
                self.read.extend(paths);
                let uris = limits.allowed_uris.iter().flatten();
                let files = uris.filter_map(|uri| uri.strip_prefix("file://"));
                self.read.extend(files.map(|glob| fixed(glob, root).0));
            }
            for (_, effects, _) in section.by_method() {
                // No argument but a URI is limited by path, and nobody writes by URI.
                if let Some(named) = effects {
                    self.add_named(named, &[], root);
                }
            }
        }
    }

    /// What effects name; `limits` are the globs of the paths that their arguments are.
    fn add_named(&mut self, named: &ToolEffects, limits: &[&String], root: &str) {
        self.read.extend(named.read.iter().filter_map(|text| literal(text, root)));
        self.run.extend(named.exec.iter().filter_map(|entry| literal(entry.program(), root)));
        for text in named.write.iter().chain(&named.delete) {
            if text.starts_with("${") {
                for glob in limits {
                    self.add_write(glob, root);
                }
            } else {
                self.add_write(text, root);
            }
        }
    }

    fn add_write(&mut self, glob: &str, root: &str) {
        let (path, whole) = fixed(glob, root);
        if whole { &mut self.replace } else { &mut self.write }.insert(path);
    }
}

/// Where something lies that a scope is about, in a form that holds for more than it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// An absolute path.
    pub path: String,
    /// How far it reaches.
    pub extent: Extent,
}

/// How far a place reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A file or directory, and what replaces it.
    Entry,
    /// A directory and everything below.
    Below,
}

impl Scope {
    /// The places that a scope lies in, for a server whose root is `root`: of a glob what stands before
    /// its first wildcard.
    pub fn places(&self, root: &str) -> Vec<Place> {
        let place = |path: &String, extent| Place { path: path.clone(), extent };
        match self {
            Self::Exactly(path) | Self::Beside(path) => vec![place(path, Extent::Entry)],
            Self::Subtree(path) => vec![place(path, Extent::Below)],
            Self::Globs(globs) => {
                let fixed = globs.patterns().iter().map(|glob| fixed(glob, root));
                fixed
                    .map(|(path, whole)| {
                        place(&path, if whole { Extent::Entry } else { Extent::Below })
                    })
                    .collect()
            }
        }
    }
}

/// What a template names before its first argument; nothing when it begins with one.
fn literal(text: &str, root: &str) -> Option<String> {
    (!text.starts_with("${")).then(|| fixed(text, root).0)
}

/// The part of a glob before its first wildcard or argument, as an absolute path that ends with a whole
/// component, and whether that is all of it.
fn fixed(glob: &str, root: &str) -> (String, bool) {
    let end = glob.find(['*', '?', '[', '{', '$', '\\']);
    let plain = match end {
        // What stands before is cut back to a whole component.
        Some(end) => glob[..end]
            .rsplit_once('/')
            .map_or("", |(dir, _)| if dir.is_empty() { "/" } else { dir }),
        None => glob,
    };
    // `docs/` means what is below, as `docs/**` does.
    let whole = end.is_none() && !glob.ends_with('/');
    let base = if plain.starts_with('/') || glob.starts_with("**") { "" } else { root };
    let mut path = String::new();
    for part in base.split('/').chain(plain.split('/')) {
        if !matches!(part, "" | ".") {
            path.push('/');
            path.push_str(part);
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    (path, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_begins_with_a_directory() {
        for (glob, expected) in [
            ("data/public/**", "/srv/data/public"),
            ("data/*.md", "/srv/data"),
            ("data/dr*/x", "/srv/data"),
            ("*.md", "/srv"),
            ("./data/", "/srv/data"),
            (".", "/srv"),
            ("/opt/x/{a,b}", "/opt/x"),
            ("/*", "/"),
            ("/x*", "/"),
            ("**/*.md", "/"),
            ("/opt/a\\*b", "/opt"),
            ("out/${arguments.name}", "/srv/out"),
            ("/etc/hosts", "/etc/hosts"),
        ] {
            assert_eq!(fixed(glob, "/srv").0, expected, "{glob}");
        }
    }

    fn roots(policy: &str) -> Roots {
        Roots::of(&serde_yaml::from_str(policy).expect("a policy"), "/srv")
    }

    #[test]
    fn writing_tools_write_where_they_may_and_readers_do_not() {
        let roots = roots(
            "
constraints:
  read_file: {allowed_paths: ['data/**']}
  write_file: {allowed_paths: ['data/drafts/**', notes/today.md]}
actors:
  - {id: a, allowed_tools: [delete_file], constraints: {delete_file: {allowed_paths: ['bin/**']}}}
",
        );
        let expected = ["/dev/null", "/srv/bin", "/srv/data/drafts"];
        assert_eq!(roots.write.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert_eq!(roots.replace.iter().collect::<Vec<_>>(), ["/srv/notes/today.md"]);
        assert!(roots.read.contains("/srv/data") && roots.read.contains("/usr/lib"));
        assert!(!roots.read.contains("/srv") && !roots.read.contains("/etc"));
        assert!(roots.run.is_empty() && roots.list.contains("/srv"));
    }

    #[test]
    fn named_effects_take_the_place_of_derived_ones() {
        let roots = roots(
            "
constraints:
  write_file: {allowed_paths: ['data/**']}
  commit: {allowed_paths: ['repo/**']}
effects:
  ambient: {read: [/etc/hosts]}
  startup: {read: [conf/**], write: ['cache/**'], exec: [{program: /usr/bin/id, args: [-u]}]}
  tools:
    write_file: {read: ['${arguments.path}'], write: ['out/**', '/var/x/${arguments.path}']}
    drop: {delete: ['old/**']}
    commit: {write: ['${arguments.path}/**'], exec: [/usr/bin/git]}
",
        );
        let expected = ["/dev/null", "/srv/cache", "/srv/old", "/srv/out", "/srv/repo", "/var/x"];
        assert_eq!(roots.write.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert!(roots.read.contains("/etc/hosts") && roots.read.contains("/srv/conf"));
        assert_eq!(roots.run.iter().collect::<Vec<_>>(), ["/usr/bin/git", "/usr/bin/id"]);
    }
}
