//! `warrantd discover`: what is configured, running and listening, and a configuration of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::{Scratch, text};

use crate::fixture::Fixture;

/// The user `nobody`, whose home the test makes.
const NOBODY: u32 = 65534;
/// Stands in environments and arguments, and must never be shown.
const SECRET: &str = "hunter2-Zk3pQ9";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test(
            "discover::finds_what_clients_have_and_hides_their_secrets",
            &[Need::Root],
            configured,
        ),
        test("discover::writes_a_configuration_that_is_valid", &[Need::Root], written),
        test("discover::a_written_server_can_be_used", &[Need::Kernel], used),
        test(
            "discover::finds_servers_that_run_and_listen",
            &[Need::Root, Need::ConformanceServer],
            running,
        ),
        test("discover::is_not_held_up_by_what_lies_in_a_home", &[Need::Root], hostile),
    ]
}

/// A home of `nobody` with the files of some clients.
fn home(scratch: &Scratch) -> anyhow::Result<PathBuf> {
    let server = text(&scratch.program("echo-server")?);
    let desktop = json!({"mcpServers": {
        "echo": {"command": server, "env": {"API_KEY": SECRET}},
        "guarded": {"command": "warrantd", "args": ["connect", "guarded"]},
        "../\u{1b}[31m\nx: y": {"command": server, "args": ["# no comment", "--token", SECRET]},
    }});
    scratch.file("home/.config/Claude/claude_desktop_config.json", desktop.to_string())?;
    let code = format!(
        "// servers\n{{\"servers\": {{\"echo\": {{\"type\": \"stdio\", \"command\": \"{server}\", \"env\": \
         {{\"API_KEY\": \"{SECRET}\"}}}}, \"far\": {{\"url\": \"https://a:{SECRET}@example.com/mcp\", \"headers\": \
         {{\"Authorization\": \"Bearer {SECRET}\"}}}},}}}}\n"
    );
    scratch.file("home/.config/Code/User/mcp.json", code)?;
    let codex = format!("[mcp_servers.\"in a project\"]\ncommand = \"{server}\"\ncwd = \"/tmp\"\n");
    scratch.file("home/.codex/config.toml", codex)?;
    let broken = format!("mcpServers:\n  - name: [{SECRET}\n");
    scratch.file("home/.continue/config.yaml", broken)?;
    let home = scratch.path("home")?;
    own(&home)?;
    Ok(home)
}

/// Gives a tree to `nobody`, and nothing that links in it lead to.
fn own(path: &Path) -> anyhow::Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY)).with_context(|| text(path))?;
    for entry in path.read_dir().into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() {
            own(&path)?;
        } else {
            lchown(&path, Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

fn discover(scratch: &Scratch, home: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(scratch.program("warrantd")?);
    command.arg("discover").arg("--home").arg(home).args(more).env_remove("WARRANTD_LOG");
    let output = command.output().context("running `warrantd discover`")?;
    let shown = [output.stdout.as_slice(), &output.stderr].concat();
    let shown = String::from_utf8(shown).context("what it prints is text")?;
    ensure!(!shown.contains(SECRET), "it shows a secret: {shown}");
    ensure!(!shown.contains('\u{1b}'), "it prints an escape sequence: {shown:?}");
    Ok(output)
}

fn inventory(output: &Output) -> anyhow::Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON; stderr: {said}"))
}

fn configured() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let home = home(&scratch)?;
    let output = discover(&scratch, &home, &["--json"])?;
    ensure!(output.status.code() == Some(1), "there are servers: {}", output.status);
    let all = inventory(&output)?;
    let servers = all["configured"].as_array().context("a list")?;
    let of = |client: &str, name: &str| {
        let found = servers.iter().find(|s| s["client"] == client && s["name"] == name);
        found.with_context(|| format!("no `{name}` of {client} in {all:#}"))
    };
    ensure!(servers.len() == 6, "{all:#}");
    ensure!(of("Claude Desktop", "echo")?["env"] == json!({"API_KEY": "***"}));
    ensure!(of("Claude Desktop", "guarded")?["behind_warrantd"] == json!(true));
    ensure!(of("VS Code", "echo")?["user"] == json!("nobody"));
    ensure!(of("VS Code", "far")?["headers"] == json!({"Authorization": "***"}));
    of("Codex", "in a project")?;
    let unread = all["unread"].as_array().context("a list")?;
    ensure!(unread.len() == 1 && unread[0]["why"].to_string().contains("line"), "{unread:?}");
    let table = discover(&scratch, &home, &[])?;
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    ensure!(table.contains("6 configured, 1 of them behind warrantd"), "{table}");

    // A home without servers that are not behind warrantd.
    let guarded = json!({"mcpServers": {"a": {"command": "warrantd", "args": ["connect", "a"]}}});
    scratch.file("other/.cursor/mcp.json", guarded.to_string())?;
    let other = discover(&scratch, &scratch.path("other")?, &["--json"])?;
    ensure!(inventory(&other)?["configured"][0]["behind_warrantd"] == json!(true));
    Ok(())
}

/// The directory that `--config` wrote.
fn config(scratch: &Scratch, home: &Path) -> anyhow::Result<PathBuf> {
    let dir = scratch.path("found")?;
    let output = discover(scratch, home, &["--config", &text(&dir)])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(dir)
}

fn written() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let home = home(&scratch)?;
    let dir = config(&scratch, &home)?;
    let mode = |path: &Path| fs::metadata(path).map(|meta| meta.permissions().mode() & 0o777);
    let file = dir.join("warrantd.yaml");
    ensure!(mode(&dir)? == 0o700 && mode(&file)? == 0o600, "others can read it");
    let config = fs::read_to_string(&file)?;
    ensure!(config.matches("  - id: ").count() == 4, "an actor and three servers: {config}");
    ensure!(config.contains(SECRET), "a server would miss its environment: {config}");
    ensure!(config.contains("Left out: `far`"), "{config}");
    let clients = fs::read_to_string(dir.join("clients.md"))?;
    ensure!(clients.contains("[mcp_servers.\"in a project\"]"), "{clients}");
    ensure!(clients.contains("\"servers\""), "{clients}");
    let mut check = Command::new(scratch.program("warrantd")?);
    let checked = check.arg("check").arg(&file).output()?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let again = discover(&scratch, &home, &["--config", &text(&dir)])?;
    let said = String::from_utf8_lossy(&again.stderr);
    ensure!(again.status.code() == Some(1) && said.contains("nothing is overwritten"), "{said}");
    ensure!(fs::read_to_string(&file)? == config, "it was overwritten");
    Ok(())
}

/// The way that the README describes: discover, serve, connect.
fn used() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let home = home(&scratch)?;
    let dir = config(&scratch, &home)?;
    let file = dir.join("warrantd.yaml");
    let run = scratch.path("run")?;
    let audit = scratch.path("audit")?;
    let own = format!(
        "runtime_dir: {}\nstate_dir: {1}/state\naudit: {{dir: {1}}}\n",
        run.display(),
        audit.display()
    );
    fs::write(&file, own + &fs::read_to_string(&file)?)?;
    let _only = crate::daemon::ONLY.lock();
    let mut serve = Command::new(scratch.program("warrantd")?);
    serve.arg("serve").arg("--config").arg(&file).env_remove("WARRANTD_LOG");
    let daemon = Client::start(serve)?;
    let socket = run.join("echo.sock");
    let ready = crate::fixture::within(|| socket.exists());
    ensure!(ready, "no socket; stderr: {}", daemon.stderr());
    let mut connect = Command::new(scratch.program("warrantd")?);
    connect.args(["connect", "echo", "--socket"]).arg(&socket).env_remove("WARRANTD_API_KEY");
    std::os::unix::process::CommandExt::uid(&mut connect, NOBODY);
    let mut client = Client::connect(connect)?;
    let reply = client.call("echo", &json!({"a": 1}))?;
    ensure!(reply.result()?["arguments"] == json!({"a": 1}), "{}", reply.line);
    client.finish()?;
    crate::daemon::terminate(&daemon);
    Ok(())
}

fn running() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let home = home(&scratch)?;
    let fixture = Fixture::start()?;
    let server = Server::start(&scratch)?;
    let all = inventory(&discover(&scratch, &home, &["--json"])?)?;
    let runs = all["configured"].as_array().into_iter().flatten();
    let pids: Vec<_> = runs.filter(|s| s["name"] == "echo").map(|s| s["pids"].clone()).collect();
    let pid = json!([server.0.id()]);
    ensure!(pids.contains(&pid), "{pid} runs what is configured: {all:#}");
    let address = format!("127.0.0.1:{}", fixture.port);
    let listening = |all: &Value| {
        let found = all["listening"].as_array().into_iter().flatten();
        found.into_iter().find(|socket| socket["address"] == json!(address)).cloned()
    };
    ensure!(listening(&all).is_none_or(|socket| socket["answer"].is_null()), "it was asked");
    let all = inventory(&discover(&scratch, &home, &["--json", "--probe"])?)?;
    let found = listening(&all).with_context(|| format!("no {address} in {all:#}"))?;
    let answer = found["answer"].as_str().unwrap_or_default();
    ensure!(answer.contains("conformance-fixture") && answer.contains("/mcp"), "{found:#}");
    ensure!(found["exposed"] == json!(false), "{found:#}");
    Ok(())
}

/// A process that runs what a client has configured.
struct Server(Child);

impl Server {
    fn start(scratch: &Scratch) -> anyhow::Result<Self> {
        let mut command = Command::new(scratch.program("echo-server")?);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hostile() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let home = home(&scratch)?;
    let place = |name: &str| -> anyhow::Result<PathBuf> {
        let path = home.join(name);
        fs::create_dir_all(path.parent().context("a directory")?)?;
        Ok(path)
    };
    // A pipe that nobody writes to, another user's file, a device, a file without end.
    nix::unistd::mkfifo(
        &place(".cursor/mcp.json")?,
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )?;
    let foreign = scratch.file("secret.json", r#"{"mcpServers": {"theirs": {"command": "x"}}}"#)?;
    fs::set_permissions(&foreign, Permissions::from_mode(0o600))?;
    chown(&foreign, Some(NOBODY - 1), None)?;
    std::os::unix::fs::symlink(&foreign, place(".codeium/windsurf/mcp_config.json")?)?;
    std::os::unix::fs::symlink("/dev/zero", place(".gemini/settings.json")?)?;
    fs::File::create(place(".claude.json")?)?.set_len(1 << 30)?;
    let deep = "[".repeat(1_000_000);
    fs::write(place(".aws/amazonq/mcp.json")?, format!(r#"{{"mcpServers": {deep}"#))?;
    own(&home)?;
    let all = inventory(&discover(&scratch, &home, &["--json"])?)?;
    ensure!(all["configured"].as_array().context("a list")?.len() == 6, "{all:#}");
    ensure!(all["unread"].as_array().context("a list")?.len() == 6, "{:#}", all["unread"]);
    Ok(())
}
