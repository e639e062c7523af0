//! The files in which known clients keep their servers.

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON, in which editors allow comments and trailing commas.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

/// A file in which a client keeps its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFile {
    /// The client's name.
    pub client: &'static str,
    /// The file below a home or a project, or its absolute path.
    pub path: &'static str,
    /// How it is written.
    pub syntax: Syntax,
    /// Keys that lead to servers by name, or to a list of servers with names. `*` stands for any key, which
    /// then is a project's directory.
    pub places: &'static [&'static [&'static str]],
}

const MCP_SERVERS: &[&[&str]] = &[&["mcpServers"]];
/// `servers` in a file of its own, `mcp.servers` in the settings of old versions.
const VS_CODE: &[&[&str]] = &[&["servers"], &["mcp", "servers"], &["mcp.servers"]];
const ZED: &[&[&str]] = &[&["context_servers"]];
const CONTINUE: &[&[&str]] = &[&["mcpServers"], &["experimental", "modelContextProtocolServers"]];
const OPENCODE: &[&[&str]] = &[&["mcp"]];

const fn json(client: &'static str, path: &'static str) -> ClientFile {
    ClientFile { client, path, syntax: Syntax::Json, places: MCP_SERVERS }
}

const fn at(file: ClientFile, places: &'static [&'static [&'static str]]) -> ClientFile {
    ClientFile { places, ..file }
}

const fn written(file: ClientFile, syntax: Syntax) -> ClientFile {
    ClientFile { syntax, ..file }
}

/// Below each user's home.
pub const HOME_FILES: &[ClientFile] = &[
    json("Claude Desktop", ".config/Claude/claude_desktop_config.json"),
    at(json("Claude Code", ".claude.json"), &[&["mcpServers"], &["projects", "*", "mcpServers"]]),
    json("Cursor", ".cursor/mcp.json"),
    at(json("VS Code", ".config/Code/User/mcp.json"), VS_CODE),
    at(json("VS Code", ".config/Code/User/settings.json"), VS_CODE),
    at(json("VS Code Insiders", ".config/Code - Insiders/User/mcp.json"), VS_CODE),
    at(json("VSCodium", ".config/VSCodium/User/mcp.json"), VS_CODE),
    at(json("VS Code Server", ".vscode-server/data/User/mcp.json"), VS_CODE),
    at(json("VS Code Server", ".vscode-server/data/Machine/mcp.json"), VS_CODE),
    json("Windsurf", ".codeium/windsurf/mcp_config.json"),
    at(json("Zed", ".config/zed/settings.json"), ZED),
    written(at(json("Continue", ".continue/config.yaml"), CONTINUE), Syntax::Yaml),
    at(json("Continue", ".continue/config.json"), CONTINUE),
    json(
        "Cline",
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
    ),
    json("Cline", ".cline/data/settings/cline_mcp_settings.json"),
    json(
        "Roo Code",
        ".config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
    ),
    json("Gemini CLI", ".gemini/settings.json"),
    json("Qwen Code", ".qwen/settings.json"),
    written(at(json("Codex", ".codex/config.toml"), &[&["mcp_servers"]]), Syntax::Toml),
    written(at(json("Goose", ".config/goose/config.yaml"), &[&["extensions"]]), Syntax::Yaml),
    json("Amazon Q", ".aws/amazonq/mcp.json"),
    json("Kiro", ".kiro/settings/mcp.json"),
    json("LM Studio", ".lmstudio/mcp.json"),
    json("Copilot CLI", ".copilot/mcp-config.json"),
    at(json("opencode", ".config/opencode/opencode.json"), OPENCODE),
    at(json("Crush", ".config/crush/crush.json"), OPENCODE),
];

/// Below a project's directory.
pub const PROJECT_FILES: &[ClientFile] = &[
    json("Claude Code", ".mcp.json"),
    json("Cursor", ".cursor/mcp.json"),
    at(json("VS Code", ".vscode/mcp.json"), VS_CODE),
    json("Roo Code", ".roo/mcp.json"),
    at(json("Zed", ".zed/settings.json"), ZED),
    json("Gemini CLI", ".gemini/settings.json"),
    written(at(json("Codex", ".codex/config.toml"), &[&["mcp_servers"]]), Syntax::Toml),
];

/// For the whole host.
pub const SYSTEM_FILES: &[ClientFile] = &[
    json("Claude Code", "/etc/claude-code/managed-mcp.json"),
    json("Gemini CLI", "/etc/gemini-cli/settings.json"),
    written(at(json("Codex", "/etc/codex/config.toml"), &[&["mcp_servers"]]), Syntax::Toml),
];
