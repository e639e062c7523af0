//! What it was measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// Machine, kernel and versions.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors.
    pub processors: usize,
    /// What they call themselves.
    pub model: String,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The kernel, without what a distribution adds.
    pub kernel: String,
    /// Whether it is a virtual machine.
    pub is_virtual: bool,
    /// Name and version of what else takes part.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = processor.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release: String =
            release.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut versions = vec![("warrantd".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        versions.extend(socat().map(|version| ("socat".to_owned(), version)));
        Self {
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            model: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            memory_gib: (kib.unwrap_or(0) + (1 << 19)) >> 20,
            kernel: release.trim_end_matches('.').to_owned(),
            is_virtual: field("flags").is_some_and(|flags| flags.contains("hypervisor")),
            versions,
        }
    }

    /// In a line.
    #[must_use]
    pub fn line(&self) -> String {
        let kind = if self.is_virtual { ", a virtual machine" } else { "" };
        let Self { processors, model, memory_gib, kernel, .. } = self;
        format!("{processors} × {model}, {memory_gib} GiB{kind}; Linux {kernel}")
    }
}

fn socat() -> Option<String> {
    let output = Command::new("socat").arg("-V").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines()
        .find_map(|line| Some(line.strip_prefix("socat version ")?.split(' ').next()?.to_owned()))
}
