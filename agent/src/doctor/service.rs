//! Whether somebody starts the daemon, and starts it again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::finding::Finding;

/// The daemon's unit.
const UNIT: &str = "warrantd.service";
/// What is asked of it.
const PROPERTIES: &str =
    "LoadState,ActiveState,UnitFileState,Restart,WatchdogUSec,NRestarts,MainPID";

/// What the service manager says of the daemon's unit.
#[derive(Debug, Clone, Default)]
pub struct ServiceFacts {
    /// `None` where systemd is not the service manager.
    unit: Option<Result<BTreeMap<String, String>, String>>,
}

impl ServiceFacts {
    /// Asks.
    pub fn find() -> Self {
        // sd_booted(3)
        if !Path::new("/run/systemd/system").is_dir() {
            return Self::default();
        }
        let asked = Command::new("systemctl")
            .args(["show", "--no-pager", "--property", PROPERTIES, UNIT])
            .output();
        Self {
            unit: Some(match asked {
                Ok(output) if output.status.success() => {
                    Ok(read(&String::from_utf8_lossy(&output.stdout)))
                }
                Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(error) => Err(format!("systemctl: {error}")),
            }),
        }
    }
}

/// `NAME=VALUE`, a line each.
fn read(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Looks at what was said.
pub(super) fn check(facts: &ServiceFacts) -> Vec<Finding> {
    let unit = match &facts.unit {
        None => {
            let what = "this host is not run by systemd: nobody is known to start the daemon again";
            return vec![Finding::note(what).todo("have what runs services here restart it")];
        }
        Some(Err(why)) => {
            let what = format!("systemd does not say how the daemon is run: {why}");
            return vec![Finding::note(what).todo("run this as root")];
        }
        Some(Ok(unit)) => unit,
    };
    let value = |name: &str| unit.get(name).map_or("", String::as_str);
    if value("LoadState") != "loaded" {
        let what = format!("there is no unit {UNIT} ({})", value("LoadState"));
        return vec![Finding::bad(what).todo("install the package, which brings it")];
    }
    let mut findings = Vec::new();
    for (name, wanted, wrong, todo) in [
        ("ActiveState", &["active", "reloading"][..], "does not run", "`systemctl start warrantd`"),
        (
            "UnitFileState",
            &["enabled", "enabled-runtime", "static", "alias", "indirect"],
            "is not started with the host",
            "`systemctl enable warrantd`",
        ),
        (
            "Restart",
            &["always", "on-failure", "on-abnormal", "on-watchdog", "on-abort"],
            "is not started again when it fails",
            "set `Restart=on-failure`",
        ),
    ] {
        if !wanted.contains(&value(name)) {
            let what = format!("{UNIT} {wrong} ({name}={})", value(name));
            findings.push(Finding::bad(what).todo(todo));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!("{UNIT} runs, and is started again when it fails")));
    }
    if matches!(value("WatchdogUSec"), "" | "0" | "infinity") {
        let what = format!("systemd does not watch whether {UNIT} still answers");
        findings.push(Finding::note(what).todo("set `WatchdogSec=30`"));
    }
    if let Ok(restarts @ 1..) = value("NRestarts").parse::<u32>() {
        let what = format!("{UNIT} was started again {restarts} times");
        findings.push(Finding::note(what).todo("`journalctl -u warrantd` says why"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::*;

    const GOOD: &str = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\
                        Restart=on-failure\nWatchdogUSec=30s\nNRestarts=0\nMainPID=71\n";

    fn check(from: &str, to: &str) -> Vec<Finding> {
        let text = GOOD.replace(from, to);
        super::check(&ServiceFacts { unit: Some(Ok(read(&text))) })
    }

    #[test]
    fn a_unit_that_runs_is_fine() {
        let findings = check("", "");
        none_found(&findings);
        assert!(of(Level::Note, &findings).is_empty(), "{findings:#?}");
    }

    #[test]
    fn a_unit_that_does_not_hold_is_found() {
        for (from, to, says) in [
            ("=loaded", "=not-found", "no unit"),
            ("=active", "=failed", "does not run"),
            ("=enabled", "=disabled", "not started with the host"),
            ("=on-failure", "=no", "not started again"),
        ] {
            only_finding(&check(from, to), says);
        }
        let notes = |from, to| of(Level::Note, &check(from, to)).concat();
        assert!(notes("USec=30s", "USec=0").contains("still answers"));
        assert!(notes("NRestarts=0", "NRestarts=3").contains("again 3 times"));
    }

    #[test]
    fn without_systemd_it_is_a_note() {
        let findings = super::check(&ServiceFacts::default());
        none_found(&findings);
        assert_eq!(of(Level::Note, &findings).len(), 1);
    }
}
