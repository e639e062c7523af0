//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Names another developer cache than [`CACHE`].
pub const CACHE_VARIABLE: &str = "WARRANTD_DEV_CACHE";
/// For root; servers under test run as another user and must be able to read it.
pub const CACHE: &str = "/var/cache/warrantd-dev";

/// Where tools of development are kept, outside the checkout, so that a fresh clone finds them:
/// what [`CACHE_VARIABLE`] says, else [`CACHE`].
pub fn cache() -> PathBuf {
    env::var_os(CACHE_VARIABLE).filter(|dir| !dir.is_empty()).map_or(CACHE.into(), PathBuf::from)
}

/// The directory of the profile that is being tested, such as `target/debug`.
fn profile_dir() -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("the path of this program")?;
    let dir = own.parent().context("a program is in a directory")?;
    // Test programs are in `deps`.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    Ok(dir.to_owned())
}

/// A program of this workspace, built with the same profile: `warrantd`, `rogue-server` or
/// `net-probe`.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = profile_dir()?.join(name);
    ensure!(
        path.exists(),
        "{} is not built: run `cargo build --workspace` first, or `cargo xtask test`",
        path.display()
    );
    Ok(path)
}

/// The command line of the real filesystem server, without the directories that it serves.
/// The error is the reason why it cannot run.
pub fn filesystem_server() -> Result<Vec<PathBuf>, String> {
    node_server("npm", "server-filesystem")
}

/// The same in a version with known holes (CVE-2025-53109, CVE-2025-53110).
pub fn vulnerable_filesystem_server() -> Result<Vec<PathBuf>, String> {
    node_server("npm-filesystem-2025.3.28", "server-filesystem")
}

/// The command line of a real server of the npm scope `@modelcontextprotocol`, such as
/// `server-memory`.
pub fn npm_server(package: &str) -> Result<Vec<PathBuf>, String> {
    node_server("npm-servers", package)
}

/// A real server that is a Python program, such as `mcp-server-time`.
pub fn python_server(name: &str) -> Result<PathBuf, String> {
    let program = cache().join("venv-servers/bin").join(name);
    present(&program)?;
    Ok(program)
}

/// A version of `mcp-server-git` with known holes (CVE-2025-68143, -68144, -68145).
pub fn vulnerable_git_server() -> Result<PathBuf, String> {
    let program = cache().join("venv-git-2025.7.1/bin/mcp-server-git");
    present(&program)?;
    Ok(program)
}

fn node_server(prefix: &str, package: &str) -> Result<Vec<PathBuf>, String> {
    let modules = cache().join(prefix).join("node_modules");
    let script = modules.join("@modelcontextprotocol").join(package).join("dist/index.js");
    present(&script)?;
    let own = cache().join("npm/node_modules/node/bin/node");
    if own.exists() {
        return Ok(vec![own, script]);
    }
    let asked = Command::new("node").args(["-p", "process.execPath"]).output();
    let asked = asked.map_err(|error| format!("Node.js does not run: {error}; {SETUP}"))?;
    let node = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    Ok(vec![node.into(), script])
}

/// The protocol's own test suite: Node.js and its script.
pub fn conformance_suite() -> Result<Vec<PathBuf>, String> {
    node_client("conformance/dist/index.js")
}

/// The command line client of the MCP inspector.
pub fn inspector() -> Result<Vec<PathBuf>, String> {
    node_client("inspector-cli/build/index.js")
}

fn node_client(script: &str) -> Result<Vec<PathBuf>, String> {
    let modules = cache().join("npm-clients/node_modules");
    let (node, script) =
        (modules.join("node/bin/node"), modules.join("@modelcontextprotocol").join(script));
    present(&node)?;
    present(&script)?;
    Ok(vec![node, script])
}

/// The Python interpreter of the environment with the MCP client. The error is the reason why it
/// cannot run.
pub fn python() -> Result<PathBuf, String> {
    let python = cache().join("venv/bin/python3");
    present(&python)?;
    Ok(python)
}

/// The Python interpreter of the environment for the server of the conformance suite, which every user can run.
pub fn fixture_python() -> Result<PathBuf, String> {
    let python = cache().join("venv-fixture/bin/python3");
    present(&python)?;
    Ok(python)
}

/// The browser.
pub fn chromium() -> Result<PathBuf, String> {
    let found = ["chromium", "chromium-browser", "google-chrome"].map(system_program);
    let first = found.into_iter().find_map(Result::ok);
    first.ok_or_else(|| format!("there is no Chromium; {SETUP}"))
}

/// A program of the system, where every user finds it. The error says that it is not there.
pub fn system_program(name: &str) -> Result<PathBuf, String> {
    let places = ["/usr/local/bin", "/usr/bin", "/bin"];
    let found = places.map(|place| Path::new(place).join(name)).into_iter().find(|p| p.exists());
    found.ok_or_else(|| format!("`{name}` is in none of {places:?}"))
}

/// A directory of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A script of `tests/clients`.
pub fn client_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

const SETUP: &str = "`cargo xtask setup` installs it";

fn present(path: &Path) -> Result<(), String> {
    if path.exists() { Ok(()) } else { Err(format!("{} is not there; {SETUP}", path.display())) }
}
