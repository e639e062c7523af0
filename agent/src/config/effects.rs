//! The `effects` of a policy: what a server may do at its start, at any time and in a call, and what
//! happens when it does more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// What calls may do, and what happens when they do more.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EffectsSection {
    /// Effects that the server may have at any time, beside the built-in floor.
    pub ambient: AmbientSection,
    /// Effects that the server may have until its first call, beside running its own programs.
    pub startup: StartupSection,
    /// What a call of a tool may do; derived from the arguments when absent.
    pub tools: BTreeMap<String, ToolEffects>,
    /// What happens to a response whose call did more than its warrant.
    pub on_exceeded: OnVerdict,
    /// What happens to a response when kernel events were lost.
    pub on_incomplete: OnVerdict,
    /// When the server may use what `network` lists.
    pub network: NetworkOpening,
    /// Forward a session's calls one at a time, in the order in which they came, so that every effect
    /// is the doing of one call. A task is a call until it ends. At most 64 calls wait; a tool's
    /// `timeout_seconds` counts from when its call is forwarded.
    pub serialize_calls: bool,
    /// Refuse the server files outside the directories that the globs of this policy begin with: reading
    /// outside those of ambient, constraints and effects; writing, making, deleting and renaming outside
    /// those of what tools write; running what is neither its own nor named under `exec`. Fixed by Landlock
    /// (Linux 5.13 and newer) when the server starts. Warrants are judged as ever.
    pub landlock: bool,
    /// Refuse the same through BPF LSM, with every refusal reported as an effect. Needs a kernel where `bpf`
    /// is an active security module; elsewhere warrantd does not start.
    pub enforce: bool,
}

/// When a server may use what the policy's `network` lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkOpening {
    /// The kernel opens the peers of a call's warrant while the call is in flight, and closes them
    /// before its response is released.
    #[default]
    PerCall,
    /// All the time. What no warrant covers is still judged so.
    Always,
}

/// Effects that the server may have at any time.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AmbientSection {
    /// Globs of files it may read.
    pub read: Vec<String>,
    /// Peers it may reach, as under `tools`. The network must let it reach them, too.
    pub connect: Vec<String>,
}

/// Effects that the server may have until its first call. Its own programs it may run anyway.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartupSection {
    /// Globs of files to read.
    pub read: Vec<String>,
    /// Globs of files to write to or create.
    pub write: Vec<String>,
    /// Globs of files to delete, or to give another name.
    pub delete: Vec<String>,
    /// Programs to run.
    pub exec: Vec<ExecEntry>,
    /// Peers to reach.
    pub connect: Vec<String>,
    /// What happens when the start did more, or when kernel events of it were lost.
    pub on_exceeded: OnStartup,
}

/// What happens when a server's start did more than it may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStartup {
    /// The record of the start says so.
    #[default]
    Report,
    /// No call reaches the server, and every process of the session is killed.
    Terminate,
    /// No call reaches the server, and the session's processes are frozen until `warrantd thaw` or
    /// `warrantd kill`.
    Freeze,
}

/// What a call of one tool may do. `${arguments.NAME}` stands for an argument's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolEffects {
    /// Files to read, as globs.
    pub read: Vec<String>,
    /// Files to write to or create, as globs.
    pub write: Vec<String>,
    /// Files to delete, or to give another name, as globs.
    pub delete: Vec<String>,
    /// Programs to run.
    pub exec: Vec<ExecEntry>,
    /// Peers to reach: `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `NAME`, `NAME:PORT` or a URL; as
    /// written here also `CIDR` and names such as `*.example.com`. A name covers the addresses that
    /// the server was told when it asked for it.
    pub connect: Vec<String>,
}

/// A program to run: a glob, or a glob and how its arguments begin. Of a script the kernel sees the
/// interpreter, with the script among the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEntry {
    /// With any arguments.
    Program(String),
    /// With these arguments and any that follow.
    Invocation(Invocation),
}

/// A program and how its arguments begin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invocation {
    /// Glob of the program.
    pub program: String,
    /// The first arguments after the program's name, word for word. Arguments that the kernel could
    /// not tell whole (beyond some 500 bytes) never count as these.
    pub args: Vec<String>,
}

impl ExecEntry {
    /// The glob of the program.
    pub fn program(&self) -> &str {
        match self {
            Self::Program(program) | Self::Invocation(Invocation { program, .. }) => program,
        }
    }

    /// How its arguments begin; `None` when they may be any.
    pub fn args(&self) -> Option<&[String]> {
        match self {
            Self::Program(_) => None,
            Self::Invocation(invocation) => Some(&invocation.args),
        }
    }
}

impl<'de> Deserialize<'de> for ExecEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An untagged enum would lose the place of an error.
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ExecEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a program's glob, or {program: GLOB, args: [WORD, …]}")
            }

            fn visit_str<E: de::Error>(self, program: &str) -> Result<ExecEntry, E> {
                Ok(ExecEntry::Program(program.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExecEntry, A::Error> {
                let invocation = Invocation::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ExecEntry::Invocation(invocation))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ExecEntry {
    fn schema_name() -> Cow<'static, str> {
        "ExecEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let invocation = generator.subschema_for::<Invocation>();
        json_schema!({
            "description": "A program's glob, or a program and how its arguments begin.",
            "anyOf": [{"type": "string"}, invocation],
        })
    }
}

/// What happens to a response by its verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnVerdict {
    /// It is released, and the record says so.
    Report,
    /// It is withheld; the caller gets an error.
    #[default]
    Withhold,
    /// It is withheld, and every process of the session is killed. So it is when the server does more
    /// than it may at any time while no call is in flight.
    Terminate,
    /// It is withheld, and the session's processes are frozen until `warrantd thaw` or `warrantd kill`;
    /// in the same cases as `terminate`. At most 16 sessions are frozen at once, one more is killed.
    Freeze,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{PolicyFile, Source};

    #[test]
    fn programs_are_read_in_both_forms() {
        let text =
            "{tools: {a: {exec: [/bin/git, {program: /bin/ls, args: ['-l', '${arguments.p}']}]}}}";
        let section: EffectsSection = serde_yaml::from_str(text).expect("effects");
        let exec = &section.tools["a"].exec;
        assert_eq!((exec[0].program(), exec[0].args()), ("/bin/git", None));
        assert_eq!(exec[1].program(), "/bin/ls");
        assert_eq!(exec[1].args().map(<[_]>::len), Some(2));
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (entry, said) in [
            ("{program: /bin/ls, arg: [a]}", "arg"),
            ("{program: /bin/ls}", "args"),
            ("[/bin/ls]", "a program's glob"),
            ("7", "a program's glob"),
        ] {
            let text = format!("effects:\n  tools:\n    a:\n      exec:\n        - {entry}\n");
            let source = Source::new(Path::new("p.yaml"), text);
            let error = source.parse::<PolicyFile>().expect_err(entry);
            assert!(error.line == 5 && error.message.contains(said), "{entry}: {error}");
        }
        let text = "effects:\n  startup:\n    on_exceeded: withhold\n".to_owned();
        let error = Source::new(Path::new("p.yaml"), text).parse::<PolicyFile>();
        assert_eq!(error.expect_err("no such choice").line, 3);
    }
}
