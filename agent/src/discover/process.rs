//! Which running processes look like MCP servers.

use super::entry::is_warrantd;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// The user it runs as.
    pub uid: u32,
    /// Its command line.
    pub command: Vec<String>,
    /// Its control group, as `/proc/PID/cgroup` names that of version 2.
    pub cgroup: String,
    /// Both its standard input and its standard output are pipes or sockets.
    pub piped: bool,
}

/// Why a process counts as an MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// This word of its command line names one.
    Name(String),
    /// A known client has started it and talks to it, or to something else, through pipes.
    Child(&'static str),
}

/// Programs of clients that start servers, and what people call them.
const CLIENTS: [(&str, &str); 15] = [
    ("claude", "Claude"),
    ("claude-desktop", "Claude Desktop"),
    ("cursor", "Cursor"),
    ("code", "VS Code"),
    ("code-insiders", "VS Code Insiders"),
    ("codium", "VSCodium"),
    ("windsurf", "Windsurf"),
    ("zed", "Zed"),
    ("zed-editor", "Zed"),
    ("gemini", "Gemini CLI"),
    ("codex", "Codex"),
    ("goose", "Goose"),
    ("opencode", "opencode"),
    ("lm-studio", "LM Studio"),
    ("copilot", "Copilot CLI"),
];

/// Programs that are handed a command to run, and so are no servers themselves.
const STARTERS: [&str; 9] =
    ["sh", "bash", "dash", "zsh", "sudo", "timeout", "setsid", "tmux", "ssh"];

/// Words of a command line that are looked at.
const WORDS: usize = 8;

/// Whether a process looks like an MCP server, and why. `parent` is its parent's command line.
pub fn sign(process: &Process, parent: Option<&[String]>) -> Option<Sign> {
    let program = base(process.command.first()?);
    if is_warrantd(&process.command) || program == "warrantd" || STARTERS.contains(&program) {
        return None;
    }
    let words = process.command.iter().take(WORDS);
    if let Some(word) = words.map(String::as_str).find(|word| names_server(word)) {
        return Some(Sign::Name(word.to_owned()));
    }
    let client = client(parent?)?;
    // A client's own helpers are the same program again.
    let helper = CLIENTS.iter().any(|(known, _)| *known == program);
    (process.piped && !helper).then_some(Sign::Child(client))
}

/// The client that a command line starts.
fn client(command: &[String]) -> Option<&'static str> {
    let program = base(command.first()?);
    // Clients of npm: `node /usr/bin/gemini`.
    let script = command.get(1).filter(|_| program == "node").map(|script| base(script));
    let known =
        |name: &str| CLIENTS.iter().find(|(known, _)| *known == name).map(|(_, said)| *said);
    known(program).or_else(|| known(script?))
}

/// Whether a word names an MCP server: `mcp` is a part of the name of a program, script, package or module.
fn names_server(word: &str) -> bool {
    if word.starts_with('-') || word.len() > 512 || word.contains("://") {
        return false;
    }
    if word.contains("@modelcontextprotocol/server-") {
        return true;
    }
    // Of a script that lies in a package the package tells, too.
    let package = word.rsplit_once("node_modules/").map(|(_, rest)| rest);
    let package = package.map(|rest| rest.split('/').take(2).collect::<Vec<_>>().join("/"));
    let name = [Some(base(word).to_owned()), package];
    // The tools for developing servers are none.
    let tool = |name: &str| name.contains("inspector") || name.contains("conformance");
    name.into_iter().flatten().any(|name| has_mcp(&name) && !tool(&name))
}

/// Whether `mcp` is a word of a name.
fn has_mcp(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        let word = word.to_ascii_lowercase();
        word == "mcp" || word == "mcpserver" || word == "fastmcp"
    })
}

/// The last part of a path, without the version that package runners take.
fn base(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.split_once('@').map_or(name, |(name, _)| if name.is_empty() { word } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &str, piped: bool) -> Process {
        let command = command.split(' ').map(str::to_owned).collect();
        Process { pid: 2, parent: 1, uid: 1000, command, cgroup: "/user.slice".into(), piped }
    }

    #[test]
    fn servers_are_known_by_their_names() {
        for command in [
            "mcp-server-time --local-timezone UTC",
            "/opt/venv/bin/python3 /opt/venv/bin/mcp-server-fetch",
            "npx -y @modelcontextprotocol/server-filesystem /srv",
            "npm exec @modelcontextprotocol/server-memory@2026.8.31",
            "node /opt/x/node_modules/@modelcontextprotocol/server-everything/dist/index.js",
            "node /opt/x/node_modules/github-mcp/dist/index.js",
            "uvx my-mcp@latest",
            "python3 -m weather_mcp",
            "/usr/local/bin/github-mcp-server stdio",
        ] {
            let found = sign(&process(command, false), None);
            assert!(matches!(found, Some(Sign::Name(_))), "{command}: {found:?}");
        }
    }

    #[test]
    fn others_are_not() {
        for command in [
            "/usr/sbin/sshd -D",
            "vim /home/ada/mcp-notes.d/a.txt",
            "bash -c mcp-server-time",
            "warrantd connect mcp-files",
            "curl http://mcp.example.com/mcp",
            "mcp-inspector-cli http",
            "tcpdump -i lo",
        ] {
            assert_eq!(sign(&process(command, false), None), None, "{command}");
        }
    }

    #[test]
    fn children_of_clients_that_talk_through_pipes_may_be_servers() {
        let parent = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let child = process("/home/ada/bin/notes --stdio", true);
        for line in ["/usr/share/cursor/cursor --type=utility", "node /usr/bin/gemini"] {
            assert!(matches!(sign(&child, Some(&parent(line))), Some(Sign::Child(_))), "{line}");
        }
        assert_eq!(sign(&child, Some(&parent("/usr/bin/make all"))), None);
        let helper = process("/usr/share/cursor/cursor --type=gpu", true);
        assert_eq!(sign(&helper, Some(&parent("/usr/share/cursor/cursor"))), None);
        assert_eq!(sign(&process("/home/ada/bin/notes", false), Some(&parent("cursor"))), None);
    }
}
