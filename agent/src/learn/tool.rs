//! What the calls of one tool did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::access::{Access, Sort, sort};
use super::argument::{Argument, arguments};
use super::evidence::{Evidence, Place};
use super::exec::Execs;
use super::glob::{Circumstances, literal, without_random};
use super::grants::{Globs, programs, transient};
use super::material::{Call, Material, below};
use super::peers::Peers;
use super::review;
use crate::policy::means_path;
use crate::warrant::{Effect, Target};

/// What a tool does, explained by its arguments as far as it goes.
#[derive(Debug, Clone, Default)]
pub(super) struct ToolEffects {
    pub(super) files: BTreeMap<Access, Globs>,
    pub(super) execs: Execs,
    pub(super) peers: Peers,
    /// Effects that no policy can allow.
    pub(super) never: BTreeMap<String, Evidence>,
    /// Arguments from which effects on files follow.
    pub(super) path_arguments: BTreeSet<String>,
    /// Paths that were touched where an argument was taken out of the log or led elsewhere, by argument.
    pub(super) led_to: BTreeMap<String, BTreeMap<String, Evidence>>,
}

/// How a path follows from an argument, the closest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Follows {
    Itself,
    Beside,
    Below,
}

/// An explanation of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Explanation {
    // In the order in which explanations are preferred.
    follows: Follows,
    /// How much of the path is named.
    named: Reverse<usize>,
    /// The argument's name does not say that it is a path.
    unnamed: bool,
    argument: String,
    template: String,
}

impl ToolEffects {
    /// Learns from all calls of a tool.
    pub(super) fn of(material: &Material, calls: &[&Call]) -> Self {
        let mut tool = Self::default();
        let parts = Parts::of(calls);
        for call in calls {
            tool.learn(material, call, &parts);
        }
        tool
    }

    fn learn(&mut self, material: &Material, call: &Call, parts: &Parts) {
        let arguments = arguments(call);
        let redacted: Vec<_> = arguments.iter().filter(|a| a.redacted).map(|a| &a.name).collect();
        let note = redacted.first().map(|name| {
            format!("argument `{name}` is taken out of the log, so whether this follows from it is not known")
        });
        let made = transient(&call.effects);
        let run = programs(&call.effects);
        let mut unexplained: BTreeSet<&str> = BTreeSet::new();
        let mut explained_by: BTreeSet<String> = BTreeSet::new();
        for effect in &call.effects {
            match sort(effect) {
                Sort::File(Access::Exec, file) => {
                    let (program, argument) = explain(&file.path, &arguments, call.root.as_deref())
                        .filter(|e| e.follows == Follows::Itself)
                        .map_or_else(
                            || (literal(&file.path), None),
                            |e| (e.template, Some(e.argument)),
                        );
                    self.path_arguments.extend(argument);
                    self.execs.ran(program, &file.path, effect, &arguments, call.place);
                }
                Sort::File(Access::Read | Access::Map, file)
                    if run.contains(file.path.as_str()) => {}
                Sort::File(access, file) => {
                    let path = file.path.as_str();
                    let globs = self.files.entry(access).or_default();
                    if let Some(Explanation { argument, template, .. }) =
                        explain(path, &arguments, call.root.as_deref())
                    {
                        globs.explained(template.clone(), call.place);
                        if let Some(why) = review::path(path) {
                            globs.remark(&template, format!("{why}: {}", path.escape_debug()));
                        }
                        explained_by.insert(argument.clone());
                        self.path_arguments.insert(argument);
                    } else if let Some(template) = parts.explain(path, &arguments) {
                        globs.explained(template, call.place);
                    } else {
                        let inside = material.root_of(path).is_some();
                        let about = Circumstances { made: made.contains(path), inside };
                        globs.path(path, about, call.place, note.clone());
                        if matches!(access, Access::Read | Access::Write) {
                            unexplained.insert(path);
                        }
                    }
                }
                Sort::Peer => self.peers.reached(effect, &arguments, call.place),
                Sort::Port | Sort::Unix(_) => {} // the network's, whoever did it
                Sort::Never(why) => never(&mut self.never, effect, why, call.place),
            }
        }
        self.follow(call, &arguments, &unexplained, &explained_by);
    }

    /// Where path arguments led that explain nothing: an argument that was taken out, or a link.
    fn follow(
        &mut self,
        call: &Call,
        arguments: &[Argument],
        unexplained: &BTreeSet<&str>,
        explained_by: &BTreeSet<String>,
    ) {
        for argument in arguments {
            let named = means_path(&argument.name);
            let lost = argument.redacted && named;
            let paths = argument.paths(call.root.as_deref());
            let link = named
                && !argument.redacted
                && !paths.is_empty()
                && !explained_by.contains(&argument.name)
                && unexplained.len() == 1;
            if lost || link {
                let led = self.led_to.entry(argument.name.clone()).or_default();
                for path in unexplained {
                    led.entry((*path).to_owned()).or_default().add(call.place);
                }
            }
        }
    }
}

/// Enters an effect that no policy can allow.
pub(super) fn never(list: &mut BTreeMap<String, Evidence>, effect: &Effect, why: &str, at: Place) {
    let what = match &effect.target {
        Target::File(file) => format!("{} {}", effect.kind, file.path.escape_debug()),
        Target::Peer(peer) => format!("{} {} {}", effect.kind, peer.protocol, peer.peer),
    };
    list.entry(format!("{what}: {why}")).or_default().add(at);
}

/// The closest explanation of a path by the arguments of its call.
fn explain(path: &str, arguments: &[Argument], root: Option<&str>) -> Option<Explanation> {
    let mut best: Option<Explanation> = None;
    for argument in arguments {
        for named in argument.paths(root) {
            let Some((follows, rest)) = follows(path, &named) else { continue };
            let template = format!("${{arguments.{}}}{rest}", argument.name);
            let found = Explanation {
                follows,
                named: Reverse(named.len()),
                unnamed: !means_path(&argument.name),
                argument: argument.name.clone(),
                template,
            };
            if best.as_ref().is_none_or(|best| found < *best) {
                best = Some(found);
            }
        }
    }
    best
}

/// How a path follows from one that was named, and what the template has after the argument.
fn follows(path: &str, named: &str) -> Option<(Follows, String)> {
    if path == named {
        return Some((Follows::Itself, String::new()));
    }
    if named == "/" {
        return None;
    }
    if let Some(rest) = path.strip_prefix(named)
        && rest.starts_with('.')
        && !rest.contains('/')
    {
        let ending = without_random(rest).unwrap_or_else(|| literal(rest));
        return Some((Follows::Beside, ending));
    }
    below(path, named).map(|_| (Follows::Below, "/**".to_owned()))
}

/// Arguments that are parts of paths: `/data/${arguments.name}.json`.
#[derive(Debug, Default)]
struct Parts {
    templates: BTreeSet<String>,
}

/// A part of a path is at least this long, so that it is not there by chance.
const PART: usize = 3;

impl Parts {
    /// The templates by which two different values at least explain a path.
    fn of(calls: &[&Call]) -> Self {
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for call in calls {
            let arguments = arguments(call);
            for effect in &call.effects {
                let Sort::File(_, file) = sort(effect) else { continue };
                for (template, value) in parts(&file.path, &arguments) {
                    values.entry(template).or_default().insert(value.to_owned());
                }
            }
        }
        let several =
            |(template, values): (String, BTreeSet<String>)| (values.len() > 1).then_some(template);
        Self { templates: values.into_iter().filter_map(several).collect() }
    }

    fn explain(&self, path: &str, arguments: &[Argument]) -> Option<String> {
        let known = parts(path, arguments).map(|(template, _)| template);
        known.filter(|template| self.templates.contains(template)).min()
    }
}

/// Templates for a path in which an argument stands once, as a whole word.
fn parts<'a>(
    path: &'a str,
    arguments: &'a [Argument],
) -> impl Iterator<Item = (String, &'a str)> + 'a {
    let texts = arguments
        .iter()
        .filter(|argument| !means_path(&argument.name))
        .flat_map(|argument| argument.texts.iter().map(move |text| (argument, text.as_str())));
    texts.filter_map(move |(argument, text)| {
        let plain = text.len() >= PART && !text.contains('/') && text != "...";
        let (before, after) = path.split_once(text).filter(|_| plain)?;
        let word = |c: char| c.is_alphanumeric();
        let whole = !before.ends_with(word) && !after.starts_with(word);
        let once = !after.contains(text);
        let template =
            format!("{}${{arguments.{}}}{}", literal(before), argument.name, literal(after));
        (whole && once).then_some((template, text))
    })
}
