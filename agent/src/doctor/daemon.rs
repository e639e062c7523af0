//! The daemon as it runs now.

use super::finding::{Finding, some};
use super::site::Site;
use crate::serve::{Overview, ServerState};

/// Looks at what the daemon tells of itself; `None` when it does not run.
pub(super) fn check(site: &Site, running: Option<&Overview>) -> Vec<Finding> {
    let Some(overview) = running else {
        let dir = site.runtime_dir().display();
        let what = format!(
            "no daemon runs with this configuration ({dir} has no control socket that answers)"
        );
        return vec![Finding::note(what).todo("start it, and look again")];
    };
    if overview.pid == 0 {
        let what = "a daemon of another version runs, which tells of its sessions alone";
        return vec![Finding::note(what).todo("restart it: `systemctl restart warrantd`")];
    }
    let mut findings = vec![Finding::ok(format!(
        "warrantd {} runs as process {} since {}",
        overview.version, overview.pid, overview.since
    ))];
    if overview.version != env!("CARGO_PKG_VERSION") {
        let what = format!("it is another version than this one, {}", env!("CARGO_PKG_VERSION"));
        findings.push(Finding::note(what).todo("restart it: `systemctl restart warrantd`"));
    }
    findings.extend(configured(site, overview));
    findings.extend(trouble(overview));
    findings
}

/// Whether it runs with what the files say.
fn configured(site: &Site, overview: &Overview) -> Vec<Finding> {
    let mut findings = Vec::new();
    let runs: Vec<&str> = overview.servers.iter().map(|server| server.id.as_str()).collect();
    let missing: Vec<_> = site
        .servers()
        .map(|server| &server.config.id)
        .filter(|id| !runs.contains(&id.as_str()))
        .collect();
    if !missing.is_empty() {
        findings.push(
            Finding::bad(format!("it does not serve {}", some(missing)))
                .todo("`systemctl reload warrantd`, and see its log"),
        );
    }
    let Some(configuration) = &overview.configuration else { return findings };
    let changed = site.loaded.files.changed_since(&configuration.files);
    if !changed.is_empty() {
        let since = &configuration.since;
        let what =
            format!("it runs since {since} with what these files said before: {}", some(changed));
        findings.push(Finding::bad(what).todo("`systemctl reload warrantd`, or `warrantd reload`"));
    }
    findings
}

/// What is wrong with it now.
fn trouble(overview: &Overview) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(why) = &overview.log.trouble {
        let what = format!("the audit log cannot be written, so every call is denied: {why}");
        findings.push(Finding::bad(what).at(overview.log.file.clone()).todo("make room for it"));
    }
    let named = |state: ServerState| -> Vec<&str> {
        let all = overview.servers.iter().filter(|server| server.state == state);
        all.map(|server| server.id.as_str()).collect()
    };
    let down = named(ServerState::Down);
    if !down.is_empty() {
        let what = format!("these servers do not run, or cannot be reached: {}", some(down));
        findings.push(Finding::bad(what).todo("see the daemon's log for why"));
    }
    let frozen: Vec<_> = overview
        .sessions
        .iter()
        .filter(|session| session.frozen.is_some())
        .map(|session| session.id.as_str())
        .collect();
    if !frozen.is_empty() {
        let what = format!("sessions are frozen and wait for somebody to look: {}", some(frozen));
        findings.push(
            Finding::bad(what).todo("`warrantd status`, then `warrantd thaw` or `warrantd kill`"),
        );
    }
    let lost: u64 = overview.servers.iter().map(|server| server.counts.lost_events).sum();
    if lost > 0 {
        let what =
            format!("{lost} kernel events were lost; the calls that they were of are INCOMPLETE");
        findings.push(
            Finding::note(what).todo("see `warrantd audit show --verdict incomplete` for when"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;
    use crate::serve::{ConfigurationView, Counts, LogView, ServerView};
    use crate::session::{FrozenStatus, SessionStatus};

    fn overview() -> Overview {
        let files = ServerView { id: "files".into(), ..ServerView::default() };
        Overview {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: 71,
            since: "2030-01-01T00:00:00Z".into(),
            servers: vec![files],
            ..Overview::default()
        }
    }

    fn check(overview: &Overview) -> Vec<Finding> {
        super::check(&Place::new().site("", "", POLICY), Some(overview))
    }

    #[test]
    fn a_daemon_that_runs_as_configured_is_fine() {
        none_found(&check(&overview()));
        let place = Place::new();
        let none = super::check(&place.site("", "", POLICY), None);
        none_found(&none);
        assert!(of(Level::Note, &none).concat().contains("no daemon runs"));
    }

    #[test]
    fn a_daemon_that_runs_with_something_else_is_found() {
        let place = Place::new();
        let before = place.site("", "", POLICY).loaded.files;
        let configuration = ConfigurationView { files: before, ..ConfigurationView::default() };
        let runs = Overview { configuration: Some(configuration), ..overview() };
        none_found(&super::check(&place.site("", "", POLICY), Some(&runs)));
        let changed = place.site("kernel: on", "", POLICY);
        only_finding(&super::check(&changed, Some(&runs)), "what these files said before");
        only_finding(
            &check(&Overview { servers: Vec::new(), ..overview() }),
            "does not serve files",
        );
        let old = Overview { version: "0.0.1".into(), ..overview() };
        assert!(of(Level::Note, &check(&old)).concat().contains("another version"));
    }

    #[test]
    fn trouble_is_found() {
        let log = LogView { trouble: Some("No space left".into()), ..LogView::default() };
        only_finding(&check(&Overview { log, ..overview() }), "every call is denied");
        let down = ServerView { state: ServerState::Down, ..overview().servers.remove(0) };
        only_finding(&check(&Overview { servers: vec![down], ..overview() }), "do not run");
        let frozen = Some(FrozenStatus::default());
        let frozen = SessionStatus { id: "s1".into(), frozen, ..SessionStatus::default() };
        only_finding(&check(&Overview { sessions: vec![frozen], ..overview() }), "frozen");
        let counts = Counts { lost_events: 3, ..Counts::default() };
        let lossy = ServerView { counts, ..overview().servers.remove(0) };
        let findings = check(&Overview { servers: vec![lossy], ..overview() });
        none_found(&findings);
        assert!(of(Level::Note, &findings).concat().contains("3 kernel events were lost"));
    }
}
