//! The audit log: whole, signed, kept where servers cannot reach it, and with all that it should say.

use std::path::{Path, PathBuf};

use super::finding::{Finding, some};
use super::site::Site;
use crate::audit::{AuditPublicKey, Means, logs_in, verify};
use crate::config::{ContextSource, Durability, Treatment};

/// Looks at the log and its key. `running` says whether the daemon runs now.
pub(super) fn check(site: &Site, running: bool) -> Vec<Finding> {
    let mut findings = vec![key(site)];
    findings.push(chain(site, running));
    findings.extend(room(site));
    findings.extend(durability(site));
    findings.extend(said(site));
    findings
}

fn key_file(site: &Site) -> PathBuf {
    site.loaded.fixed.audit_key()
}

/// The key that checkpoints are signed with, and its public half.
fn key(site: &Site) -> Finding {
    let file = key_file(site);
    let public = file.with_extension("pub");
    let shown = file.display();
    if !file.exists() {
        return Finding::note(format!(
            "the audit log's key {shown} is not there; the first start makes it"
        ))
        .at(site.place("audit.checkpoint.key"))
        .todo("start the daemon once, then keep a copy of the public key elsewhere");
    }
    match AuditPublicKey::read(&public) {
        Ok(key) => Finding::ok(format!(
            "checkpoints are signed with {shown}; keep {} elsewhere ({})",
            public.display(),
            key.fingerprint()
        )),
        Err(error) => Finding::bad(format!("the audit log's public key cannot be read: {error}"))
            .at(public.display().to_string())
            .todo("take it from where it is kept, or have a start make it anew from the key"),
    }
}

/// The last files of the log, as `warrantd audit verify` looks at them.
fn chain(site: &Site, running: bool) -> Finding {
    /// Files that are looked at: the one that is written to, and the one before.
    const RECENT: usize = 2;
    let dir = &site.config.audit.dir;
    let at = dir.display().to_string();
    let logs = match logs_in(dir) {
        Ok(logs) => logs,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::note(format!("there is no audit log in {at} yet"))
                .at(site.place("audit.dir"))
                .todo("start the daemon");
        }
        Err(error) => {
            return Finding::bad(format!("the audit log cannot be looked at: {error}"))
                .at(at)
                .todo("run this as root");
        }
    };
    let Some(mut log) = logs.into_iter().find(|log| log.name == "audit") else {
        return Finding::note(format!("there is no audit log in {at} yet"))
            .at(site.place("audit.dir"))
            .todo("start the daemon");
    };
    let before = log.files.len().saturating_sub(RECENT);
    log.files.drain(..before);
    log.whole = before == 0;
    let key = AuditPublicKey::read(&key_file(site).with_extension("pub")).ok();
    let means = Means { key, open_end: running, kept: Vec::new() };
    let report = match verify(&log, &means) {
        Ok(report) => report,
        Err(error) => {
            return Finding::bad(format!("the audit log cannot be read: {error}"))
                .at(at)
                .todo("run this as root");
        }
    };
    let last = report.last.unwrap_or_default();
    match report.findings.first() {
        Some(first) => {
            let line = first.line.map_or(String::new(), |line| format!(":{line}"));
            let what = format!("the audit log is not as it was written: {}", first.what);
            Finding::bad(what).at(format!("{}{line}", first.file.display())).todo(
                "run `warrantd audit verify`, keep the files, and find out who can write them",
            )
        }
        None if report.with_key => {
            let signed = report.signed_to.unwrap_or_default();
            Finding::ok(format!(
                "the last {} records are chained up to {last}, and signed up to {signed}",
                report.records
            ))
        }
        None => Finding::note(format!(
            "the last {} records are chained, and nobody signed them",
            report.records
        ))
        .at(at)
        .todo("keep the public key beside the key, so that signatures can be checked"),
    }
}

/// Room for what is to be kept.
fn room(site: &Site) -> Option<Finding> {
    let dir = existing(&site.config.audit.dir);
    let free = nix::sys::statvfs::statvfs(&dir).ok()?;
    #[allow(clippy::useless_conversion)] // Not of the same width everywhere.
    let free = u64::from(free.blocks_available()).saturating_mul(u64::from(free.fragment_size()));
    let kept: u64 = std::fs::read_dir(&site.config.audit.dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum();
    let wanted = site.config.audit.keep.size.0.saturating_sub(kept);
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let dir = dir.display();
    // Calls are denied when it is full.
    let finding = if free < site.config.audit.rotate.size.0 {
        Finding::bad(format!("{dir} has {} left; when it is full every call is denied", mib(free)))
            .todo("make room, or keep less: `audit.keep`")
    } else if free < wanted {
        let what = format!(
            "{dir} has {} left, and the log may grow by {} before old files are deleted",
            mib(free),
            mib(wanted)
        );
        Finding::note(what).todo("make room, or keep less: `audit.keep: {size: …}`")
    } else {
        return Some(Finding::ok(format!("{dir} has room for what is to be kept")));
    };
    Some(finding.at(site.place("audit.keep")))
}

fn existing(dir: &Path) -> PathBuf {
    dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn durability(site: &Site) -> Option<Finding> {
    (site.config.audit.durability == Durability::Process).then(|| {
        Finding::note("records survive the death of warrantd, and not a loss of power")
            .at(site.place("audit.durability"))
            .todo("write `durability: power` where that matters; it waits for the disk")
    })
}

/// What the kit's logging checklist asks for and only a caller can say, and what is kept out of records.
fn said(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.policies() {
        let name = server.policy_name();
        let context = &server.policy.context;
        let missing: Vec<&str> = [
            ("end_user_id", &context.end_user_id),
            ("model_output_ref", &context.model_output_ref),
            ("context_sources", &context.context_sources),
        ]
        .into_iter()
        .filter_map(|(field, source)| (*source == ContextSource::default()).then_some(field))
        .collect();
        if !missing.is_empty() {
            findings.push(
                Finding::note(format!("records of {name} will not have {}", some(missing)))
                    .at(server.place_in_policy("context"))
                    .todo("say under `context` where callers put them, such as {meta: com.example/user}"),
            );
        }
        let kept = &server.policy.sanitize.kinds;
        let kept = kept.iter().filter(|(_, treatment)| **treatment == Treatment::Keep);
        let kept: Vec<_> = kept.map(|(kind, _)| format!("{kind:?}").to_lowercase()).collect();
        let harmless = kept.iter().all(|kind| kind == "ip");
        if !harmless {
            findings.push(
                Finding::bad(format!("{name} leaves these in the log: {}", some(&kept)))
                    .at(server.place_in_policy("sanitize.kinds"))
                    .todo("write `hash` instead of `keep`: equal values stay recognisable"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;
    use crate::audit::{AuditKey, Event, Log, Options, Reason, Record};

    fn site(place: &Place, policy: &str) -> Site {
        let dir = place.dir.path().join("log");
        let daemon = format!("audit: {{dir: {}, keep: {{size: 1MiB}}}}", dir.display());
        place.site(&daemon, "", &format!("{POLICY}{policy}"))
    }

    /// A log with some records and a checkpoint of its end.
    fn logged(place: &Place) -> PathBuf {
        let key = AuditKey::open_or_make(&place.dir.path().join("state/audit.key")).expect("a key");
        let options = Options { key: Some(Arc::new(key)), ..Options::default() };
        let log = Log::open_with(&place.dir.path().join("log"), "audit", options).expect("a log");
        for _ in 0..3 {
            log.append(&Record::new(Event::Call)).expect("written");
        }
        log.checkpoint(Reason::Stop).expect("signed");
        log.path().to_owned()
    }

    #[test]
    fn a_log_that_is_whole_is_fine() {
        let place = Place::new();
        logged(&place);
        let findings = check(&site(&place, ""), false);
        none_found(&findings);
        let fine = of(Level::Ok, &findings).join("\n");
        assert!(fine.contains("signed up to 4") && fine.contains("signed with"), "{fine}");
    }

    #[test]
    fn a_record_that_was_changed_is_found() {
        let place = Place::new();
        let file = logged(&place);
        let text = std::fs::read_to_string(&file).expect("read");
        std::fs::write(&file, text.replacen("\"call\"", "\"stop\"", 1)).expect("written");
        only_finding(&check(&site(&place, ""), false), "not as it was written");
    }

    #[test]
    fn an_end_that_nobody_signed_is_found_unless_the_daemon_runs() {
        let place = Place::new();
        let file = logged(&place);
        let text = std::fs::read_to_string(&file).expect("read");
        let lines: Vec<_> = text.lines().collect();
        let log = Log::open(&place.dir.path().join("log"), "audit").expect("opens");
        log.append(&Record::new(Event::Call)).expect("written");
        drop(log);
        assert_eq!(lines.len(), 4);
        only_finding(&check(&site(&place, ""), false), "after the last checkpoint");
        none_found(&check(&site(&place, ""), true));
    }

    #[test]
    fn a_public_key_that_is_gone_is_found() {
        let place = Place::new();
        logged(&place);
        std::fs::remove_file(place.dir.path().join("state/audit.pub")).expect("removed");
        only_finding(&check(&site(&place, ""), false), "public key cannot be read");
        let place = Place::new();
        let findings = check(&site(&place, ""), false);
        none_found(&findings);
        assert!(of(Level::Note, &findings).join("\n").contains("the first start makes it"));
    }

    #[test]
    fn what_records_lack_and_what_they_keep_is_told() {
        let place = Place::new();
        let notes = |policy: &str| of(Level::Note, &check(&site(&place, policy), false)).join("\n");
        assert!(notes("").contains("end_user_id, model_output_ref, context_sources"));
        let context = "context: {end_user_id: {meta: a/b}, model_output_ref: {meta: a/c}, \
                       context_sources: {meta: a/d}}";
        assert!(!notes(context).contains("end_user_id"));
        let kept = check(&site(&place, "sanitize: {kinds: {email: keep, ip: keep}}"), false);
        only_finding(&kept, "leaves these in the log: email");
        none_found(&check(&site(&place, "sanitize: {kinds: {email: hash, ip: keep}}"), false));
    }
}
