//! `warrantd doctor`: a host and a configuration that are fit for production, and those that are not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::rig::{NOTE, Rig};
use crate::status::{POLICY, operator, said};

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("doctor::a_configuration_that_is_fit_has_no_finding", KERNEL, fit),
        test("doctor::what_is_not_fit_is_found_with_its_place_and_a_way_out", KERNEL, unfit),
        test("doctor::a_running_daemon_is_asked_and_left_alone", KERNEL, running),
        test("doctor::a_broken_configuration_is_told_as_everywhere", &[Need::Root], broken),
    ]
}

/// Runs it with a configuration.
fn doctor(rig: &Rig, config: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let mut doctor = operator(rig, &["doctor", "--config"])?;
    Ok(doctor.arg(config).args(more).output()?)
}

/// What is told of a level, from `--json`.
fn of<'a>(told: &'a Value, level: &str) -> Vec<(&'a str, &'a Value)> {
    let families = told["families"].as_array().into_iter().flatten();
    families
        .flat_map(|family| {
            let name = family["name"].as_str().unwrap_or_default();
            let findings = family["findings"].as_array().into_iter().flatten();
            findings.map(move |finding| (name, finding))
        })
        .filter(|(_, finding)| finding["level"] == level)
        .collect()
}

fn private(file: &Path) -> anyhow::Result<()> {
    Ok(fs::set_permissions(file, Permissions::from_mode(0o600))?)
}

/// A configuration with everything that production asks for.
fn good(rig: &Rig) -> anyhow::Result<PathBuf> {
    let server = text(&rig.scratch.program("rogue-server")?);
    let path = |name: &str| Ok::<_, anyhow::Error>(text(&rig.scratch.path(name)?));
    private(&rig.scratch.file("keys/ada", "wd_0123456789abcdefghijklmnop\n")?)?;
    rig.scratch.file(
        "policy.yaml",
        "
default_action: DENY
actors:
  - {id: ada, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**'], timeout_seconds: 10}
rate_limits:
  read_text_file: {max_calls_per_minute: 60}
pinning: {on_change: deny}
context:
  end_user_id: {meta: com.example/user}
  model_output_ref: {meta: com.example/output}
  context_sources: {meta: com.example/sources}
",
    )?;
    let config = format!(
        "
runtime_dir: {}
state_dir: {}
audit:
  dir: {}
  durability: power
  keep: {{size: 1MiB}}
  rotate: {{size: 1MiB}}
  ship: [{{name: local, to: journald}}]
  alerts:
    - {{name: exceeded, when: {{verdict: [EXCEEDED, INCOMPLETE]}}}}
    - {{name: probing, when: {{decision: [DENY]}}, rate: {{count: 20, within: 60s}}}}
metrics: {{address: '127.0.0.1:9464'}}
actors:
  - {{id: ada, api_keys: [{{key_file: {}}}]}}
servers:
  - {{id: files, command: ['{server}'], root: {}, policy: policy.yaml}}
",
        path("run")?,
        path("state")?,
        path("log")?,
        path("keys/ada")?,
        path("root")?,
    );
    rig.scratch.file("warrantd.yaml", config)
}

fn fit() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let config = good(&rig)?;
    let output = doctor(&rig, &config, &["--json"])?;
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    // Whether a service runs here is this host's own matter.
    let bad: Vec<_> =
        of(&told, "finding").into_iter().filter(|(family, _)| *family != "service").collect();
    ensure!(bad.is_empty(), "{bad:#?}");
    ensure!(told["observer"].is_string() && told["obstacle"].is_null(), "{told:#}");
    // The whole main line was tried, the kernel's part included.
    let fine: Vec<_> =
        of(&told, "ok").into_iter().filter(|(it, _)| *it == "fails closed").collect();
    let tried = |part: &str| {
        fine.iter().any(|(_, it)| it["what"].as_str().is_some_and(|w| w.contains(part)))
    };
    for part in [
        "was answered",
        "two meanings",
        "more than its warrant was withheld",
        "audit log that can be",
    ] {
        ensure!(tried(part), "`{part}` was not tried: {fine:#?}");
    }
    let text = said(&doctor(&rig, &config, &[])?);
    ensure!(text.contains("fails closed\n") && text.contains(" fine\n"), "{text}");
    ensure!(!text.contains('\u{1b}') && !text.contains("WARN"), "{text}");
    ensure!(!rig.scratch.path("log")?.exists(), "it made a log");
    Ok(())
}

fn unfit() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let config = good(&rig)?;
    let right = fs::read_to_string(&config)?;
    let policy = fs::read_to_string(&rig.policy)?;
    let config_of = |from: &str, to: &str| (right.replacen(from, to, 1), policy.clone());
    let policy_of = |from: &str, to: &str| (right.clone(), policy.replacen(from, to, 1));
    for ((config_text, policy_text), family, says) in [
        (config_of("audit:", "kernel: off\naudit:"), "kernel", "switched off"),
        (
            config_of("ship: [{name: local, to: journald}]", "ship: []"),
            "shipping",
            "stays on this host",
        ),
        (
            config_of(
                "{name: local, to: journald}",
                "{name: far, to: syslog, url: 'udp://192.0.2.1:514'}",
            ),
            "encryption",
            "in the clear",
        ),
        (config_of("alerts:", "alerts: []\nx-old:"), "monitoring", "nobody is told"),
        (policy_of("DENY", "ALLOW"), "policies", "allows every tool"),
        (policy_of("default_action", "mode: observe\ndefault_action"), "policies", "only observed"),
        (
            policy_of("pinning", "effects: {on_exceeded: report}\npinning"),
            "policies",
            "releases responses",
        ),
        (policy_of("'public/**'", "'/**'"), "fails closed", "leads out of its directories"),
        (
            policy_of("max_calls_per_minute: 60", "max_concurrent_calls: 1"),
            "limits",
            "read_text_file",
        ),
        (policy_of("allowed_paths: ['public/**'], ", ""), "arguments", "any paths"),
        (policy_of("email", "email"), "files", "can be written by everybody"),
    ] {
        // What follows an unknown key is not meant to be read.
        let config_text = cut_unknown(&config_text);
        fs::write(&config, config_text)?;
        fs::write(&rig.policy, policy_text)?;
        let mode = if family == "files" { 0o666 } else { 0o644 };
        fs::set_permissions(&rig.policy, Permissions::from_mode(mode))?;
        let output = doctor(&rig, &config, &["--json"])?;
        ensure!(output.status.code() == Some(1), "{family}: {}", said(&output));
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let found = of(&told, "finding").into_iter().find(|(name, finding)| {
            *name == family && finding["what"].as_str().is_some_and(|what| what.contains(says))
        });
        let (_, finding) = found.with_context(|| format!("{family}: no `{says}` in {told:#}"))?;
        ensure!(finding["where"].is_string() && finding["todo"].is_string(), "{finding:#}");
    }
    Ok(())
}

/// The lines up to one that begins with `x-old:`, and those after its list.
fn cut_unknown(config: &str) -> String {
    let mut lines = Vec::new();
    let mut cut = false;
    for line in config.lines() {
        cut = match line {
            _ if line.contains("x-old:") => true,
            _ if cut && line.starts_with("    -") => true,
            _ => false,
        };
        if !cut {
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn running() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let server = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::with(rig, BOTH, &server)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let note = json!({"path": "public/note.txt"});
    ensure!(client.call("read_text_file", &note)?.text()? == NOTE);
    let others = || -> anyhow::Result<usize> {
        let all = records::read(&daemon.rig.audit)?;
        Ok(all.iter().filter(|record| record.text("event") != "checkpoint").count())
    };
    let before = others()?;
    let output = doctor(&daemon.rig, &daemon.rig.scratch.path("warrantd.yaml")?, &["--json"])?;
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    let fine = of(&told, "ok");
    let pid = format!("process {}", daemon.process.pid());
    let says = |part: &str| {
        fine.iter().any(|(name, it)| {
            *name == "daemon" && it["what"].as_str().is_some_and(|w| w.contains(part))
        })
    };
    ensure!(says(&pid), "{told:#}");
    ensure!(others()? == before, "it wrote to the daemon's log");
    ensure!(client.call("read_text_file", &note)?.text()? == NOTE, "the session goes on");
    client.finish()?;
    Ok(())
}

fn broken() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let config = rig.scratch.file("warrantd.yaml", "servers: []\nsevers: []\n")?;
    let output = doctor(&rig, &config, &[])?;
    ensure!(output.status.code() == Some(78), "{}", said(&output));
    ensure!(said(&output).contains("warrantd.yaml:2:1"), "{}", said(&output));
    Ok(())
}
