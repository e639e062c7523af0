//! The effects that policy names for a tool or for a server's start, and the warrant they make.

use serde_json::{Map, Value};

use super::grant::{DELETE, FileGrant, READ, RunGrant, Scope, WRITE, Warrant};
use super::peers::peer;
use super::template::Template;
use crate::config::{ExecEntry, Problem, StartupSection, ToolEffects};
use crate::policy::{ApprovedPath, PathGlobs, literal};

/// Effects as policy names them, with places for arguments.
#[derive(Debug)]
pub(super) struct Named {
    read: Vec<Template>,
    write: Vec<Template>,
    delete: Vec<Template>,
    exec: Vec<NamedRun>,
    connect: Vec<Template>,
}

#[derive(Debug)]
struct NamedRun {
    program: Template,
    args: Option<Vec<Template>>,
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

impl Named {
    /// The effects of a tool. A template with arguments is checked when they are known.
    pub(super) fn compile(effects: &ToolEffects, key: &str, root: &str) -> Result<Self, Problem> {
        let glob = |text: &str| PathGlobs::new(&[text], root).err().map(|(_, why)| why);
        let address = |text: &str| peer(text, true).err();
        let globs = |name: &str, texts: &[String]| {
            let compile = |(index, text): (usize, &String)| {
                template(text, &format!("{key}.{name}[{index}]"), &glob)
            };
            texts.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()
        };
        let run = |(index, entry): (usize, &ExecEntry)| {
            let key = format!("{key}.exec[{index}]");
            let words = |args: &[String]| {
                let word = |(n, text): (usize, &String)| {
                    template(text, &format!("{key}.args[{n}]"), &unreadable)
                };
                args.iter().enumerate().map(word).collect::<Result<Vec<_>, _>>()
            };
            let args = entry.args().map(words).transpose()?;
            Ok(NamedRun { program: template(entry.program(), &key, &glob)?, args })
        };
        let connect = |(index, text): (usize, &String)| {
            template(text, &format!("{key}.connect[{index}]"), &address)
        };
        Ok(Self {
            read: globs("read", &effects.read)?,
            write: globs("write", &effects.write)?,
            delete: globs("delete", &effects.delete)?,
            exec: effects.exec.iter().enumerate().map(run).collect::<Result<_, Problem>>()?,
            connect: effects
                .connect
                .iter()
                .enumerate()
                .map(connect)
                .collect::<Result<_, Problem>>()?,
        })
    }

    /// The warrant of a server's start, beside running its programs. A start has no arguments.
    pub(super) fn startup(section: &StartupSection, root: &str) -> Result<Warrant, Problem> {
        let key = "effects.startup";
        let effects = ToolEffects {
            read: section.read.clone(),
            write: section.write.clone(),
            delete: section.delete.clone(),
            exec: section.exec.clone(),
            connect: section.connect.clone(),
        };
        let named = Self::compile(&effects, key, root)?;
        if let Some(place) = named.first_with_arguments() {
            let why = "a start has no arguments; write the path, program or peer itself";
            return Err(Problem::new(format!("{key}.{place}"), why));
        }
        let bad = |error: IssueError| Problem::new(key, error.to_string());
        named.expand(&Map::new(), &[], root).map_err(bad)
    }

    /// Where a template stands that is not literal, such as `read[0]`.
    fn first_with_arguments(&self) -> Option<String> {
        let lists = [
            ("read", &self.read),
            ("write", &self.write),
            ("delete", &self.delete),
            ("connect", &self.connect),
        ];
        let listed = lists.into_iter().find_map(|(name, templates)| {
            let index = templates.iter().position(|template| !template.is_literal())?;
            Some(format!("{name}[{index}]"))
        });
        listed.or_else(|| {
            let index = self.exec.iter().position(|run| {
                let words = run.args.iter().flatten();
                words.chain([&run.program]).any(|template| !template.is_literal())
            })?;
            Some(format!("exec[{index}]"))
        })
    }

    /// The warrant for a call with these arguments, some of which are paths.
    pub(super) fn expand(
        &self,
        arguments: &Map<String, Value>,
        paths: &[ApprovedPath],
        root: &str,
    ) -> Result<Warrant, IssueError> {
        // An argument that is a path grants the file it leads to; its characters stand for
        // themselves, so an argument `*` grants a file named `*`.
        let literal = |name: &str, text: &str| {
            let listed = format!("{name}[");
            let paths = paths
                .iter()
                .filter(|path| path.argument == name || path.argument.starts_with(&listed));
            let real: Vec<_> = paths.map(|path| literal(&path.real)).collect();
            if real.is_empty() { vec![literal(text)] } else { real }
        };
        let scope = |globs: Vec<String>| {
            let set = PathGlobs::new(&globs, root).map_err(|(index, why)| IssueError {
                text: globs.get(index).cloned().unwrap_or_default(),
                why,
            });
            set.map(|set| (!set.is_empty()).then_some(Scope::Globs(set)))
        };
        let mut warrant = Warrant::default();
        for (kinds, templates) in [(READ, &self.read), (WRITE, &self.write), (DELETE, &self.delete)]
        {
            let globs = templates.iter().flat_map(|t| t.expand(arguments, &literal)).collect();
            warrant.files.extend(scope(globs)?.map(|scope| FileGrant { kinds, scope }));
        }
        for run in &self.exec {
            let Ok(words) = run.words(arguments) else { continue };
            let program = scope(run.program.expand(arguments, &literal))?;
            warrant.runs.extend(program.map(|program| RunGrant { program, arguments: words }));
        }
        for template in &self.connect {
            for text in template.expand(arguments, &itself) {
                let written = template.is_literal();
                let peer = peer(&text, written).map_err(|why| IssueError { text, why })?;
                warrant.peers.push(peer);
            }
        }
        Ok(warrant)
    }
}

/// An argument that a word needs is absent.
struct Absent;

impl NamedRun {
    /// How the program's arguments must begin. An argument that is a list becomes as many words.
    fn words(&self, arguments: &Map<String, Value>) -> Result<Option<Vec<String>>, Absent> {
        let Some(args) = &self.args else { return Ok(None) };
        let mut words = Vec::new();
        for template in args {
            let expanded = template.expand(arguments, &itself);
            if expanded.is_empty() {
                return Err(Absent);
            }
            words.extend(expanded);
        }
        Ok(Some(words))
    }
}

fn itself(_: &str, text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// Reads a template at `key`; a literal one is checked at once.
fn template(
    text: &str,
    key: &str,
    check: &dyn Fn(&str) -> Option<String>,
) -> Result<Template, Problem> {
    let bad = |why| Problem::new(key, why);
    let template = Template::parse(text).map_err(bad)?;
    match template.is_literal().then(|| check(text)).flatten() {
        Some(why) => Err(bad(why)),
        None => Ok(template),
    }
}

/// Why a word can never be an argument that the kernel tells.
fn unreadable(word: &str) -> Option<String> {
    let never = word.contains(['\0', char::REPLACEMENT_CHARACTER]);
    never.then(|| "no argument of a program has a zero or U+FFFD".to_owned())
}
