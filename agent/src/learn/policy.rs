//! The learned policy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::access::Access;
use super::constraints::constraint;
use super::evidence::Evidence;
use super::header::Header;
use super::item::{Item, Unit};
use super::material::Material;
use super::outside::Beside;
use super::peers::{self, Peers};
use super::rate::{Rate, rates};
use super::tool::ToolEffects;
use crate::mcp::methods::{Nature, Side, known};

/// A policy, line by line, with what each was learned from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Learned {
    /// What it was learned from.
    pub source: Header,
    /// Who calls what.
    pub actors: Vec<LearnedActor>,
    /// What arguments may name, by tool.
    pub constraints: BTreeMap<String, LearnedConstraint>,
    /// `methods.allow`.
    pub methods: Vec<Item>,
    /// `network.allow`.
    pub network_allow: Vec<Item>,
    /// `network.listen`.
    pub network_listen: Vec<Item>,
    /// `network.unix`.
    pub network_unix: Vec<Item>,
    /// `effects.ambient.read`.
    pub ambient_read: Vec<Item>,
    /// `effects.ambient.connect`.
    pub ambient_connect: Vec<Item>,
    /// `effects.startup`.
    pub startup: Grants,
    /// `effects.tools`.
    pub tools: BTreeMap<String, Grants>,
    /// The highest rates seen.
    pub rates: Vec<Rate>,
    /// What was seen and no policy can allow, or the kernel refused.
    pub not_allowed: Vec<Item>,
}

/// An actor and its tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LearnedActor {
    /// Its name.
    pub id: Item,
    /// Its tools.
    pub allowed_tools: Vec<Item>,
}

/// What the arguments of a tool may name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LearnedConstraint {
    /// Arguments that hold paths.
    pub path_arguments: Vec<String>,
    /// Paths they may name.
    pub allowed_paths: Vec<Item>,
    /// Arguments that hold URLs.
    pub url_arguments: Vec<String>,
    /// URLs they may name.
    pub allowed_urls: Vec<Item>,
    /// What needs eyes.
    pub review: Vec<String>,
}

/// Effects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// Files to read.
    pub read: Vec<Item>,
    /// Files to write.
    pub write: Vec<Item>,
    /// Files to delete.
    pub delete: Vec<Item>,
    /// Programs to run.
    pub exec: Vec<Item>,
    /// Peers to reach.
    pub connect: Vec<Item>,
}

impl Grants {
    /// The lists by their keys, those that are not empty.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[Item])> {
        let all = [
            ("read", self.read.as_slice()),
            ("write", &self.write),
            ("delete", &self.delete),
            ("exec", &self.exec),
            ("connect", &self.connect),
        ];
        all.into_iter().filter(|(_, items)| !items.is_empty())
    }
}

/// Learns a policy.
pub fn learn(material: &Material) -> Learned {
    let by_tool = material.tools();
    let mut tools: BTreeMap<&str, ToolEffects> =
        by_tool.iter().map(|(tool, calls)| (*tool, ToolEffects::of(material, calls))).collect();
    let beside = Beside::of(material, &mut tools);
    let mut network = beside.peers.clone();
    network.merge(&beside.startup_peers);
    for tool in tools.values() {
        network.merge(&tool.peers);
    }
    let constraints = by_tool.iter().filter_map(|(tool, calls)| {
        let learned = constraint(material, calls, tools.get(tool)?)?;
        Some(((*tool).to_owned(), learned))
    });
    let constraints = constraints.collect();
    let mut never = beside.never.clone();
    for tool in tools.values() {
        for (what, from) in &tool.never {
            never.entry(what.clone()).or_default().merge(from);
        }
    }
    Learned {
        actors: actors(material),
        constraints,
        methods: methods(material),
        network_allow: network.rules(material),
        network_listen: peers::ports(material, &beside.bound),
        network_unix: plain(material, &beside.unix, Some("a service of this host")),
        ambient_read: beside.read.items(material, Access::Read, Unit::Record),
        ambient_connect: beside.peers.connect(material, Unit::Record),
        startup: grants(
            material,
            Unit::Start,
            &beside.startup,
            beside.startup_execs.items(material, Unit::Start),
            &beside.startup_peers,
        ),
        tools: tools
            .iter()
            .map(|(name, tool)| {
                let execs = tool.execs.items(material, Unit::Call);
                let grants = grants(material, Unit::Call, &tool.files, execs, &tool.peers);
                ((*name).to_owned(), grants)
            })
            .collect(),
        rates: rates(material),
        not_allowed: plain(material, &never, None),
        source: Header::of(material),
    }
}

fn grants(
    material: &Material,
    unit: Unit,
    files: &BTreeMap<Access, super::grants::Globs>,
    exec: Vec<Item>,
    peers: &Peers,
) -> Grants {
    let list = |access| {
        files.get(&access).map_or_else(Vec::new, |globs| globs.items(material, access, unit))
    };
    Grants {
        read: list(Access::Read),
        write: list(Access::Write),
        delete: list(Access::Delete),
        exec,
        connect: peers.connect(material, unit),
    }
}

fn actors(material: &Material) -> Vec<LearnedActor> {
    let mut actors: BTreeMap<&str, BTreeMap<&str, Evidence>> = BTreeMap::new();
    for call in &material.calls {
        let tools = actors.entry(&call.actor).or_default();
        tools.entry(&call.tool).or_default().add(call.place);
    }
    let actor = |(id, tools): (&str, BTreeMap<&str, Evidence>)| {
        let mut all = Evidence::default();
        for from in tools.values() {
            all.merge(from);
        }
        let tools = tools.iter().map(|(tool, from)| material.item(*tool, from, Unit::Call));
        LearnedActor { allowed_tools: tools.collect(), id: material.item(id, &all, Unit::Call) }
    };
    actors.into_iter().map(actor).collect()
}

/// What was used beside tools and has to be allowed.
fn methods(material: &Material) -> Vec<Item> {
    let item = |(method, from): (&String, &Evidence)| {
        let known = known(method).filter(|known| known.nature == Nature::Acting)?;
        let mut item = material.item(method.clone(), from, Unit::Record);
        item.review.push(if known.is_sent_by(Side::Server) {
            "the server asks the client".to_owned()
        } else {
            format!("for every actor and anything it names; limit it by `methods.{method}`")
        });
        Some(item)
    };
    material.methods.iter().filter_map(item).collect()
}

fn plain(
    material: &Material,
    list: &BTreeMap<String, Evidence>,
    review: Option<&str>,
) -> Vec<Item> {
    let item = |(text, from): (&String, &Evidence)| {
        let mut item = material.item(text.clone(), from, Unit::Record);
        item.review.extend(review.map(str::to_owned));
        item
    };
    list.iter().map(item).collect()
}
