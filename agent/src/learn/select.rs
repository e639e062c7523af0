//! Which records are learned from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::entry::{Entry, EntryEffects, LogFile};
use super::evidence::Place;
use super::material::{Call, Material, Outside, Reason};
use crate::audit::{Attribution, Event, Status};
use crate::config::{Action, Mode};
use crate::warrant::{Effect, EffectKind, Target, Verdict};

/// Why nothing can be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// The log has no record of any server.
    #[error("the log has no record of any server")]
    Empty,
    /// Several servers, and none was chosen.
    #[error("the log is of several servers; choose one with --server: {}", .0.join(", "))]
    Several(Vec<String>),
    /// The chosen server is not there.
    #[error("the log has no record of server `{0}`; it has: {known}", known = .1.join(", "))]
    Unknown(String, Vec<String>),
    /// No call can be learned from.
    #[error("there is no call of server `{server}` to learn from ({why})")]
    Nothing {
        /// The server.
        server: String,
        /// What there is instead.
        why: String,
    },
}

/// What `files` tell of `server`, or of the only one. `roots` are the directories that the server is meant
/// to work in; those that the log names when empty.
pub fn select(
    files: &[LogFile],
    server: Option<&str>,
    roots: &[String],
) -> Result<Material, LearnError> {
    let mut files: Vec<&LogFile> = files.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let server = choose(&files, server)?;
    let mut material = Material {
        files: files.iter().map(|file| file.name.clone()).collect(),
        roots: roots.iter().cloned().collect(),
        ..Material::default()
    };
    let own = |entry: &&Entry| entry.server_id.as_deref() == Some(server.as_str());
    let homes = homes(files.iter().flat_map(|file| file.entries.iter().filter(own)));
    // The record of a task has all effects of its call.
    let entries = || files.iter().flat_map(|file| file.entries.iter().filter(own));
    let tasks = entries().filter(|entry| entry.event == Event::Task);
    let tasks: BTreeSet<&str> = tasks.filter_map(|e| e.correlation_id.as_deref()).collect();
    let became_task = |entry: &Entry| {
        let id = entry.correlation_id.as_deref();
        entry.event == Event::Call && id.is_some_and(|id| tasks.contains(id))
    };
    if roots.is_empty() {
        material.roots.extend(homes.values().map(|root| (*root).to_owned()));
    }
    for (file, log) in files.iter().enumerate() {
        for entry in log.entries.iter().filter(own) {
            let place = Place { file, seq: entry.seq };
            note(&mut material, &log.name, entry);
            let home = entry.session_id.as_deref().and_then(|id| homes.get(id).copied());
            let only = roots.first().map(String::as_str).filter(|_| roots.len() == 1);
            if !became_task(entry) {
                take(&mut material, place, entry, home.or(only));
            }
        }
    }
    material.calls.sort_by_key(|call| call.place);
    material.outside.sort_by_key(|outside| outside.place);
    material.server = server;
    if material.calls.is_empty() {
        let reasons = material.aside.iter();
        let reasons: Vec<_> =
            reasons.map(|(why, calls)| format!("{} {}", calls.len(), why.text())).collect();
        let why = if reasons.is_empty() { "no calls".to_owned() } else { reasons.join("; ") };
        return Err(LearnError::Nothing { server: material.server, why });
    }
    Ok(material)
}

fn choose(files: &[&LogFile], wanted: Option<&str>) -> Result<String, LearnError> {
    let entries = files.iter().flat_map(|file| &file.entries);
    let known: BTreeSet<_> = entries.filter_map(|entry| entry.server_id.clone()).collect();
    let known: Vec<_> = known.into_iter().collect();
    match (wanted, known.as_slice()) {
        (_, []) => Err(LearnError::Empty),
        (Some(wanted), known) if known.iter().any(|id| id == wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => Err(LearnError::Unknown(wanted.to_owned(), known)),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(LearnError::Several(known)),
    }
}

/// The directory of each session.
fn homes<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeMap<&'a str, &'a str> {
    entries.filter_map(|e| Some((e.session_id.as_deref()?, e.server_root.as_deref()?))).collect()
}

/// Takes note of what a record says about the log itself.
fn note(material: &mut Material, file: &str, entry: &Entry) {
    let range = material.ranges.entry(file.to_owned()).or_insert((entry.seq, entry.seq));
    *range = (range.0.min(entry.seq), range.1.max(entry.seq));
    let time = entry.timestamp.clone();
    material.span = Some(match material.span.take() {
        None => (time.clone(), time),
        Some((from, to)) => (from.min(time.clone()), to.max(time)),
    });
}

fn take(material: &mut Material, place: Place, entry: &Entry, root: Option<&str>) {
    match (entry.event, &entry.effects) {
        (Event::Call | Event::Task, effects) => match call(place, entry, effects.as_ref(), root) {
            Ok(call) => material.calls.push(call),
            Err(Skip::Because(why)) => material.aside.entry(why).or_default().add(place),
            Err(Skip::Method(method)) => material.methods.entry(method).or_default().add(place),
        },
        (Event::ServerRequest, _) => {
            let observed = entry.mode == Some(Mode::Observe);
            if entry.policy_decision == Some(Action::Allow) || observed {
                for method in inquired(entry) {
                    material.methods.entry(method).or_default().add(place);
                }
            }
        }
        (Event::Startup | Event::Unsolicited, Some(effects)) => {
            if let Some(why) = unfit(entry, effects) {
                material.outside_aside.entry(why).or_default().add(place);
                return;
            }
            let starting = entry.event == Event::Startup;
            let effects = effects_outside(effects, starting);
            material.outside.push(Outside { place, starting, effects });
        }
        _ => {}
    }
}

/// What a server asked for: by a request, or in an answer to one.
fn inquired(entry: &Entry) -> Vec<String> {
    let in_answer = entry.arguments.as_ref().and_then(|arguments| arguments.get("asks"));
    match in_answer.and_then(Value::as_array) {
        Some(asks) => {
            let methods = asks.iter().filter_map(|asked| asked.get("method")?.as_str());
            methods.map(str::to_owned).collect()
        }
        None => entry.method.iter().cloned().collect(),
    }
}

/// Why a record is no call to learn from.
enum Skip {
    Because(Reason),
    Method(String),
}

fn call(
    place: Place,
    entry: &Entry,
    effects: Option<&EntryEffects>,
    root: Option<&str>,
) -> Result<Call, Skip> {
    let observed = entry.mode == Some(Mode::Observe);
    if entry.policy_decision != Some(Action::Allow) && !observed {
        return Err(Skip::Because(Reason::Denied));
    }
    let (Some(actor), Some(tool), Some(effects)) = (&entry.actor, &entry.tool_name, effects) else {
        let method = entry.method.clone().unwrap_or_default();
        return Err(Skip::Method(method));
    };
    if let Some(why) = unfit(entry, effects) {
        return Err(Skip::Because(why));
    }
    if effects.attribution == Attribution::Shared {
        return Err(Skip::Because(Reason::Shared));
    }
    if entry.status != Some(Status::Success) {
        return Err(Skip::Because(Reason::Failed));
    }
    let arguments = entry.arguments.as_ref().and_then(|value| value.as_object().cloned());
    Ok(Call {
        place,
        at: entry.timestamp.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond),
        actor: actor.clone(),
        tool: tool.clone(),
        arguments: arguments.unwrap_or_default(),
        root: root.map(str::to_owned),
        effects: effects.all().cloned().collect(),
    })
}

/// Why effects cannot be learned from.
fn unfit(entry: &Entry, effects: &EntryEffects) -> Option<Reason> {
    let observed = entry.mode == Some(Mode::Observe);
    match effects.verdict {
        Verdict::Unobserved => Some(Reason::Unobserved),
        _ if !effects.is_whole() => Some(Reason::Incomplete),
        // What an enforced policy caught is what it is there for.
        Verdict::Exceeded if !observed => Some(Reason::Exceeded),
        _ => None,
    }
}

/// The effects of a record that is no call. The programs by which a server starts are granted to every
/// start: its first process becomes them one after the other.
fn effects_outside(effects: &EntryEffects, starting: bool) -> Vec<Effect> {
    let ran = |effect: &&Effect| effect.kind == EffectKind::Exec;
    let first = effects.all().filter(ran).min_by_key(|effect| effect.seq);
    let first = first.filter(|_| starting).map(|effect| effect.process.pid);
    let own = effects.warranted.iter().filter(ran).filter(|e| Some(e.process.pid) == first);
    let own: BTreeSet<&str> = own.filter_map(path_of).collect();
    let granted = effects.warranted.iter().filter(|effect| {
        let run =
            matches!(effect.kind, EffectKind::Exec | EffectKind::FileMap | EffectKind::FileRead);
        !(run && path_of(effect).is_some_and(|path| own.contains(path)))
    });
    let mut all: Vec<_> = granted.chain(&effects.exceeded).cloned().collect();
    all.sort_by_key(|effect| effect.seq);
    all
}

fn path_of(effect: &Effect) -> Option<&str> {
    match &effect.target {
        Target::File(file) => Some(&file.path),
        Target::Peer(_) => None,
    }
}
