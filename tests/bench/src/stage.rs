//! Files, policies and programs of a measurement, in directories of their own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use warrantd_tests::scratch::{Scratch, text};

use crate::calls::TOOLS;

/// The actor that calls.
pub const ACTOR: &str = "bench";

/// What a server does in a call, and what its policy is like.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub id: String,
    /// The null server's arguments.
    pub flags: Vec<String>,
    /// Rules that its policy has beside those that are asked for.
    pub more_rules: usize,
}

impl Plan {
    /// A server whose results are small.
    #[must_use]
    pub fn small(id: &str) -> Self {
        Self { id: id.to_owned(), flags: Vec::new(), more_rules: 0 }
    }
}

/// The directories.
#[derive(Debug)]
pub struct Stage {
    /// They are removed with it.
    pub scratch: Scratch,
    /// The servers' working directory.
    pub root: PathBuf,
}

impl Stage {
    /// A directory `d` with the files that calls name and open.
    pub fn new() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        scratch.file("root/d/a", "a")?;
        for n in 0..10 {
            scratch.file(&format!("root/d/{n}"), "a small file\n".repeat(20))?;
        }
        Ok(Self { root: scratch.path("root")?, scratch })
    }

    /// The arguments by which the null server opens ten files in a call.
    #[must_use]
    pub fn opening(&self) -> Vec<String> {
        vec!["--open".to_owned(), text(&self.root.join("d"))]
    }

    /// The command line of a null server.
    pub fn server(&self, flags: &[String]) -> anyhow::Result<Vec<String>> {
        let program = text(&self.scratch.program("null-server")?);
        Ok([vec![program], flags.to_vec()].concat())
    }

    /// Writes the policy of a server.
    pub fn policy(&self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let opens = plan.flags.iter().any(|flag| flag == "--open");
        self.scratch.file(&format!("{}.yaml", plan.id), policy(plan.more_rules, opens))
    }

    /// A path of its own.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.scratch.path(name)
    }

    /// The servers' working directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// A rule on paths for each tool, a limit for each, and so many tools more that are not called.
fn policy(more: usize, opens: bool) -> String {
    let called: Vec<String> = (0..TOOLS).map(|n| format!("t{n:02}")).collect();
    let others = (0..more).map(|n| format!("other_{n}"));
    let all: Vec<String> = others.chain(called.iter().cloned()).collect();
    let mut text = format!("default_action: DENY\nactors:\n  - id: {ACTOR}\n    allowed_tools:\n");
    for tool in &all {
        let _ = writeln!(text, "      - {tool}");
    }
    text.push_str("constraints:\n");
    for tool in &all {
        let _ = writeln!(
            text,
            r#"  {tool}: {{allowed_paths: ["d/**", "docs/*.md"], denied_paths: ["**/.env"]}}"#
        );
    }
    text.push_str("rate_limits:\n");
    for tool in &called {
        let limits = "max_calls_per_minute: 100000, max_concurrent_calls: 1000";
        let _ = writeln!(text, "  {tool}: {{{limits}}}");
    }
    if opens {
        text.push_str("effects:\n  tools:\n");
        for tool in &called {
            let _ = writeln!(text, r#"    {tool}: {{read: ["d/**"]}}"#);
        }
    }
    text
}
