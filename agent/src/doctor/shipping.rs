//! The audit log leaves this host, and arrives.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::finding::Finding;
use super::site::Site;
use crate::audit::logs_in;
use crate::config::ShipConfig;
use crate::serve::{Overview, ReceiverView};

/// A receiver that is behind and got nothing for so long does not work.
const STALE: Duration = Duration::from_secs(600);

/// As much of a cursor as matters here.
#[derive(Deserialize)]
struct Cursor {
    delivered: u64,
}

/// Looks at every receiver: by what the daemon says of it if it runs, else by its cursor.
pub(super) fn check(site: &Site, running: Option<&Overview>, now: Timestamp) -> Vec<Finding> {
    let ship = &site.config.audit.ship;
    let mut findings = Vec::new();
    if !ship.iter().any(|receiver| receiver.only.is_none()) {
        let what = "the audit log stays on this host: whoever owns the host owns its evidence";
        findings.push(
            Finding::bad(what).at(site.place("audit.ship")).todo(
                "add a receiver: `audit: {ship: [{name: siem, to: syslog, url: \"tls://…\"}]}`",
            ),
        );
    }
    let last = running.is_none().then(|| last_record(site)).flatten();
    for (index, receiver) in ship.iter().enumerate() {
        let told = running
            .and_then(|overview| overview.receivers.iter().find(|view| view.name == receiver.name));
        let place = site.place(&format!("audit.ship[{index}]"));
        findings.push(match told {
            Some(view) => by_daemon(view, now).at(place),
            None => by_cursor(site, receiver, last, now).at(place),
        });
        if receiver.url.as_deref().is_some_and(|url| url.starts_with("udp://")) {
            let what = format!("`{}` gets records by UDP, which loses some", receiver.name);
            findings.push(
                Finding::note(what)
                    .at(site.place(&format!("audit.ship[{index}].url")))
                    .todo("use tls:// or tcp://"),
            );
        }
    }
    findings
}

fn by_daemon(view: &ReceiverView, now: Timestamp) -> Finding {
    let ReceiverView { name, behind, failures, rejected, missed, .. } = view;
    let error = view.last_error.as_deref().map_or(String::new(), |error| format!(": {error}"));
    let sent = view.last_sent.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let stale = sent.is_none_or(|at| now.duration_since(at).unsigned_abs() > STALE);
    if *missed > 0 {
        let what = format!("{missed} records were deleted before `{name}` had them");
        return Finding::bad(what).todo("keep more (`audit.keep`), and see why it was slow");
    }
    if !view.up && *failures > 0 {
        let what = format!("`{name}` is {behind} records behind and does not answer{error}");
        return Finding::bad(what)
            .todo("mend the receiver or the way to it; nothing is lost meanwhile");
    }
    if *rejected > 0 {
        let what = format!("`{name}` has refused {rejected} events for good{error}");
        return Finding::bad(what)
            .todo("see its own log for why, and set `format` to what it takes");
    }
    if *behind > 0 && stale {
        let what = format!("`{name}` is {behind} records behind and gets nothing{error}");
        return Finding::bad(what).todo("see the daemon's log for why");
    }
    Finding::ok(format!("`{name}` gets the audit log, and is {behind} records behind"))
}

fn by_cursor(site: &Site, receiver: &ShipConfig, last: Option<u64>, now: Timestamp) -> Finding {
    let name = &receiver.name;
    let file = site.config.state_dir.join("ship").join(format!("{name}.json"));
    let cursor = std::fs::read(&file);
    let cursor = cursor.map(|text| serde_json::from_slice::<Cursor>(&text).ok());
    let Ok(Some(Cursor { delivered })) = cursor else {
        let what = format!("`{name}` never got a record");
        return Finding::note(what).todo("start the daemon and look again");
    };
    let written = std::fs::metadata(&file).and_then(|meta| meta.modified()).ok();
    let written = written.and_then(|at| Timestamp::try_from(at).ok());
    let behind = last.unwrap_or(delivered).saturating_sub(delivered);
    let stale = written.is_none_or(|at| now.duration_since(at).unsigned_abs() > STALE);
    let since = written.map_or(String::new(), |at| format!(" since {at:.0}"));
    if behind > 0 && stale {
        let what = format!("`{name}` is {behind} records behind{since}");
        return Finding::bad(what)
            .todo("start the daemon, and mend the receiver if it stays behind");
    }
    Finding::ok(format!("`{name}` got the audit log up to record {delivered}"))
}

/// The number of the log's last record.
fn last_record(site: &Site) -> Option<u64> {
    let log = logs_in(&site.config.audit.dir).ok()?;
    let log = log.into_iter().find(|log| log.name == "audit")?;
    crate::audit::last_record(&log)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::super::finding::tests::{none_found, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;
    use crate::audit::{Event, Log, Record};

    const SHIP: &str = "{name: siem, to: syslog, url: 'unix:///dev/log'}";

    fn site(place: &Place, receivers: &str) -> Site {
        let dir = place.dir.path().join("log");
        let daemon = format!("audit: {{dir: {}, ship: [{receivers}]}}", dir.display());
        place.site(&daemon, "", POLICY)
    }

    fn running(view: ReceiverView) -> Vec<Finding> {
        let place = Place::new();
        let view = ReceiverView { name: "siem".into(), ..view };
        let overview = Overview { receivers: vec![view], ..Overview::default() };
        check(&site(&place, SHIP), Some(&overview), Timestamp::now())
    }

    #[test]
    fn a_log_that_stays_here_is_found() {
        let place = Place::new();
        let check =
            |receivers: &str| super::check(&site(&place, receivers), None, Timestamp::now());
        only_finding(&check(""), "stays on this host");
        only_finding(
            &check("{name: a, to: http, url: 'https://a/', only: alerts}"),
            "stays on this host",
        );
        none_found(&check(SHIP));
    }

    #[test]
    fn a_receiver_is_judged_by_what_the_daemon_says() {
        let sent = |ago: i64| {
            let at = Timestamp::now().as_second() - ago;
            Timestamp::from_second(at).ok().map(|at| at.to_string())
        };
        none_found(&running(ReceiverView {
            up: true,
            last_sent: sent(5000),
            ..Default::default()
        }));
        let busy =
            ReceiverView { up: true, behind: 9, last_sent: sent(2), ..ReceiverView::default() };
        none_found(&running(busy.clone()));
        only_finding(
            &running(ReceiverView { last_sent: sent(5000), ..busy.clone() }),
            "gets nothing",
        );
        let down = ReceiverView { up: false, failures: 3, ..busy.clone() };
        only_finding(&running(down), "does not answer");
        only_finding(&running(ReceiverView { rejected: 1, ..busy.clone() }), "refused 1 events");
        only_finding(&running(ReceiverView { missed: 1, ..busy }), "were deleted before");
    }

    #[test]
    fn without_a_daemon_its_cursor_is_looked_at() {
        let place = Place::new();
        let log = Log::open(&place.dir.path().join("log"), "audit").expect("a log");
        (0..5).for_each(|_| log.append(&Record::new(Event::Call)).expect("written"));
        drop(log);
        let cursor = place.file("state/ship/siem.json", r#"{"delivered": 2, "hash": ""}"#);
        let look = || check(&site(&place, SHIP), None, Timestamp::now());
        none_found(&look());
        let old = SystemTime::now() - Duration::from_secs(7200);
        File::options().write(true).open(&cursor).expect("opened").set_modified(old).expect("set");
        only_finding(&look(), "is 3 records behind since");
        std::fs::write(&cursor, r#"{"delivered": 5}"#).expect("written");
        File::options().write(true).open(&cursor).expect("opened").set_modified(old).expect("set");
        none_found(&look());
    }
}
