//! Every kind of record and of effect, as OCSF and ECS events, against the schemas that others publish.
//!
//! Needs Python packages and an npm package that `cargo xtask setup` installs; says so instead of passing
//! where they are missing.
#![allow(clippy::print_stderr)] // What was counted is shown.

mod samples;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use warrantd::audit::format::{Origin, render};
use warrantd::config::ShipFormat;

fn main() -> ExitCode {
    let tests = vec![
        Trial::ignorable_test("ocsf_events_are_valid_against_strict_schemas", ocsf),
        Trial::ignorable_test("ecs_events_have_fields_and_values_of_its_list", ecs),
        Trial::ignorable_test("a_field_that_is_none_is_noticed", noticed),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// Where tools of development are, as `cargo xtask setup` has it.
fn cache() -> PathBuf {
    let own = std::env::var_os("WARRANTD_DEV_CACHE").filter(|dir| !dir.is_empty());
    own.map_or_else(|| PathBuf::from("/var/cache/warrantd-dev"), PathBuf::from)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

/// The interpreter of the OCSF check.
fn python() -> Option<PathBuf> {
    Some(cache().join("venv-ocsf/bin/python3")).filter(|python| python.exists())
}

/// Where the field list of ECS is.
fn modules() -> Option<PathBuf> {
    let modules = cache().join("npm-ecs/node_modules");
    modules.join("@elastic/ecs").exists().then_some(modules)
}

fn rendered(format: ShipFormat) -> Vec<String> {
    let origin = Origin { host: "host.example".to_owned(), version: "0.1.0" };
    let lines = samples::lines();
    lines.iter().flat_map(|line| render(format, line.as_bytes(), &origin)).map(|e| e.text).collect()
}

fn missing() -> Completion {
    Completion::ignored_with("`cargo xtask setup` installs what checks them")
}

fn ocsf() -> Result<Completion, Failed> {
    let Some(python) = python() else { return Ok(missing()) };
    let events = rendered(ShipFormat::Ocsf);
    passes(Command::new(python).arg(script("ocsf.py")), &events)?;
    let classes = [6003, 3002, 6002, 4001, 1001, 1007, 2004];
    for class in classes {
        let class = format!("\"class_uid\":{class},");
        if !events.iter().any(|event| event.contains(&class)) {
            return Err(format!("no event has {class}").into());
        }
    }
    Ok(Completion::Completed)
}

fn ecs() -> Result<Completion, Failed> {
    let Some(modules) = modules() else { return Ok(missing()) };
    let mut node = Command::new("node");
    node.arg(script("ecs.js")).env("NODE_PATH", modules);
    passes(&mut node, &rendered(ShipFormat::Ecs))?;
    Ok(Completion::Completed)
}

/// What checks them does not let everything pass.
fn noticed() -> Result<Completion, Failed> {
    let (Some(python), Some(modules)) = (python(), modules()) else { return Ok(missing()) };
    let wrong = |format, from: &str, to: &str| -> Vec<String> {
        rendered(format).iter().map(|event| event.replacen(from, to, 1)).collect()
    };
    let ocsf = wrong(ShipFormat::Ocsf, "\"severity_id\":", "\"severty_id\":");
    let ecs = wrong(ShipFormat::Ecs, "\"dataset\":", "\"datset\":");
    let mut node = Command::new("node");
    node.arg(script("ecs.js")).env("NODE_PATH", modules);
    for (check, events) in [(Command::new(python).arg(script("ocsf.py")), ocsf), (&mut node, ecs)] {
        if passes(check, &events).is_ok() {
            return Err(format!("{check:?} noticed nothing").into());
        }
    }
    Ok(Completion::Completed)
}

fn passes(check: &mut Command, events: &[String]) -> Result<(), String> {
    let mut child = check
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{check:?}: {error}"))?;
    let text = events.join("\n");
    let input = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // Meanwhile its answers are read: neither may wait for the other.
        scope.spawn(|| input.map(|mut input| input.write_all(text.as_bytes())));
        child.wait_with_output().map_err(|error| error.to_string())
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{}", said.lines().last().unwrap_or_default());
    if output.status.success() { Ok(()) } else { Err(said.into_owned()) }
}
