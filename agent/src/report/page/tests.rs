//! A log is written, read and shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::audit::{
    AlertRecord, Attribution, AuditKey, AuditPublicKey, EffectsRecord, Event, Log, Means, Options,
    Reason, Record, Status, logs_in,
};
use crate::config::{Action, Mode};
use crate::report::{Asked, Scope, read};
use crate::warrant::{
    Effect, EffectKind, FileTarget, Judged, Observation, Outcome, Process, Standing, Target as On,
    Warrant,
};

fn effect(kind: EffectKind, path: &str) -> Effect {
    let target = FileTarget { path: path.to_owned(), dev: 1, ino: 4711, truncated: false };
    Effect {
        kind,
        outcome: Outcome::Allowed,
        target: On::File(target),
        argv: Vec::new(),
        argv_cut: false,
        process: Process { pid: 71, tid: 71, uid: 65534, exe: "/usr/bin/node".to_owned() },
        seq: 1,
        boot_ns: 1,
    }
}

fn call(id: &str, session: &str, standing: Standing) -> Record {
    let judged = vec![Judged { effect: effect(EffectKind::FileRead, "/srv/secret"), standing }];
    let observation = Observation { judged, ambient: 3, ..Observation::default() };
    let within = standing != Standing::Exceeded;
    Record {
        correlation_id: Some(id.to_owned()),
        session_id: Some(session.to_owned()),
        actor: Some("ada".to_owned()),
        server_id: Some("files".to_owned()),
        tool_name: Some("read_text_file".to_owned()),
        arguments: Some(serde_json::json!({"path": "public/a"})),
        policy_decision: Some(Action::Allow),
        policy_rule_matched: Some("actors[0].allowed_tools".to_owned()),
        mode: Some(Mode::Enforce),
        status: Some(if within { Status::Success } else { Status::Failure }),
        error: (!within).then(|| "response withheld: it did more".to_owned()),
        duration_ms: Some(7),
        warrant: Some(Warrant::to_run(&["/bin/true".to_owned()])),
        effects: Some(EffectsRecord::new(&observation, Attribution::Exclusive, "lsm")),
        ..Record::new(Event::Call)
    }
}

/// A log with a key.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new(records: &[Record]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = AuditKey::open_or_make(&dir.path().join("audit.key")).expect("a key");
        let options = Options { key: Some(Arc::new(key)), ..Options::default() };
        let log = Log::open_with(&dir.path().join("log"), "audit", options).expect("opens");
        for record in records {
            log.append(record).expect("written");
        }
        log.checkpoint(Reason::Stop).expect("signed");
        Self { dir }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn report(&self, incident: Option<&str>, rows: usize) -> Report {
        let around = SignedDuration::from_secs(60);
        let incident = incident.map(|target| (target.parse().expect("a target"), around));
        let key = AuditPublicKey::read(&self.dir.path().join("audit.pub")).expect("a key");
        let means = Means { key: Some(key), ..Means::default() };
        let asked = Asked { scope: Scope::default(), incident, rows };
        let logs = logs_in(&self.log()).expect("logs");
        read(&logs, asked, &means, &mut |_, _| ()).expect("read")
    }

    fn page(&self, incident: Option<&str>, rows: usize) -> String {
        page(&self.report(incident, rows), &self.log())
    }
}

fn page(report: &Report, log: &Path) -> String {
    let logs = vec![log.display().to_string()];
    let about = About { logs, key: None, written: Timestamp::UNIX_EPOCH };
    report.page(&about).expect("a page")
}

fn story() -> Vec<Record> {
    // Made in their order: the time of each is that of its making.
    let denied = || Record {
        policy_decision: Some(Action::Deny),
        policy_rule_matched: Some("global_deny_list[0]".to_owned()),
        status: Some(Status::Failure),
        error: Some("denied: it is on the list".to_owned()),
        effects: None,
        warrant: None,
        ..call("c-2", "s-1", Standing::Warranted)
    };
    vec![
        Record::new(Event::Start),
        call("c-1", "s-1", Standing::Warranted),
        denied(),
        call("c-3", "s-2", Standing::Exceeded),
        Record { session_id: Some("s-2".to_owned()), ..Record::new(Event::SessionEnd) },
        Record {
            error: Some("far away".to_owned()),
            server_id: Some("mail".to_owned()),
            ..Record::new(Event::ProtocolError)
        },
    ]
}

#[test]
fn a_manager_reads_what_matters_first() {
    let stage = Stage::new(&story());
    let page = stage.page(None, 100);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no `{text}` in {page}"));
    assert!(at("One thing needs action") < at("1 call did more than its warrant allows"));
    assert!(at("Its answer was withheld") < at("Policy denied 1 call"));
    assert!(at("as it was written, signed to its end") < at("id=\"time\""));
    // For the analyst: the record can be found again.
    at("warrantd audit show --seq 4 ");
    at("response withheld: it did more");
    at("inode 4711");
}

#[test]
fn a_report_says_whether_the_log_can_be_believed() {
    let stage = Stage::new(&story());
    let report = stage.report(None, 100);
    assert!(report.is_intact());
    assert_eq!(report.logs[0].sound_checkpoints, 1);
    let file = stage.log().join("audit.jsonl");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, text.replacen("\"actor\":\"ada\"", "\"actor\":\"eve\"", 1))
        .expect("written");
    let report = stage.report(None, 100);
    assert!(!report.is_intact());
    let summary = report.summary();
    assert!(summary.attention[0].contains("not as it was written"), "{:?}", summary.attention);
    let page = page(&report, &stage.log());
    assert!(
        page.contains("Not intact")
            && page.contains("<span class=\"badge exceeded\">not as written</span>")
    );
}

#[test]
fn an_incident_is_what_belongs_to_it() {
    let mut records = story();
    records.push(Record {
        alert: Some(AlertRecord {
            rule: "exceeded".to_owned(),
            about: "files ada".to_owned(),
            count: 1,
            follows: Some(4),
            to: Vec::new(),
        }),
        ..Record::new(Event::Alert)
    });
    let stage = Stage::new(&records);
    for target in ["c-3", "alert", "alert:exceeded", "4", "#4"] {
        let report = stage.report(Some(target), 100);
        let rows = report.facts.rows.by_time();
        let related: Vec<_> = rows.iter().map(|row| (row.entry.seq, row.relation.name())).collect();
        let expected = [
            (1, "at the time"),
            (2, "at the time"),
            (3, "at the time"),
            (4, "the incident"),
            (5, "same session"),
            (7, "the incident"),
            (8, "at the time"),
        ];
        assert_eq!(related, expected, "{target}");
    }
    let around = SignedDuration::from_secs(60);
    let asked = Asked {
        scope: Scope::default(),
        incident: Some(("c-9".parse().expect("a target"), around)),
        rows: 1,
    };
    let logs = logs_in(&stage.log()).expect("logs");
    let error = read(&logs, asked, &Means::default(), &mut |_, _| ()).expect_err("nothing");
    assert!(error.to_string().contains("no record of the log is of `c-9`"), "{error}");
}

#[test]
fn what_is_left_out_is_said_with_the_command_that_shows_it() {
    let stage = Stage::new(&story());
    let page = stage.page(None, 2);
    assert!(page.contains("Not listed: 2 records good to know, 3 records without anything odd."));
    assert!(page.contains("warrantd audit show /"), "the command");
    assert_eq!(page.matches("<tbody id=").count(), 2);
    // The counts are of all records all the same.
    assert!(page.contains("1 call did more than its warrant allows"));
}

/// Texts that would do something if they were anything but text.
const HOSTILE: [&str; 9] = [
    "</script><script>boom()</script>",
    "<img src=x onerror=boom()>",
    "\"'><svg onload=boom()>",
    "javascript:boom()",
    "{{ 7 * 7 }}{% include \"x\" %}${7*7}",
    "</title></style><b>bold",
    "\u{202e}gpj.exe\u{2066}",
    "\u{1b}[2J\u{1b}]8;;http://x\u{7}",
    "<!-- --><![CDATA[ ]]>&lt;&#x3c;",
];

/// Every text of a record is hostile.
fn hostile(text: &str) -> Record {
    let text = || text.to_owned();
    let mut evil = effect(EffectKind::Exec, &text());
    evil.argv = vec![text()];
    evil.process.exe = text();
    let judged = [Standing::Exceeded, Standing::Warranted]
        .map(|standing| Judged { effect: evil.clone(), standing });
    let observation = Observation { judged: judged.to_vec(), ..Observation::default() };
    Record {
        correlation_id: Some(text()),
        session_id: Some(text()),
        actor: Some(text()),
        source_ip: Some(text()),
        tool_name: Some(text()),
        method: Some(text()),
        arguments: Some(serde_json::json!({text(): [text()]})),
        context_sources: Some(serde_json::json!([text()])),
        server_id: Some(text()),
        policy_rule_matched: Some(text()),
        error: Some(text()),
        end_user_id: Some(text()),
        effective_principal: Some(text()),
        server_root: Some(text()),
        policy_decision: Some(Action::Deny),
        warrant: Some(Warrant::to_run(&[text()])),
        effects: Some(EffectsRecord::new(&observation, Attribution::Shared, &text())),
        alert: Some(AlertRecord {
            rule: text(),
            about: text(),
            count: 1,
            follows: None,
            to: vec![text()],
        }),
        ..Record::new(Event::Call)
    }
}

#[test]
fn nothing_that_a_log_says_becomes_markup() {
    let honest = Stage::new(&[call("c-1", "s-1", Standing::Exceeded)]).page(None, 100);
    let mut records: Vec<Record> = HOSTILE.iter().map(|text| hostile(text)).collect();
    for (event, text) in [
        (Event::Alert, HOSTILE[0]),
        (Event::NameRefused, HOSTILE[1]),
        (Event::ToolChanged, HOSTILE[2]),
    ] {
        records.push(Record { event, ..hostile(text) });
    }
    let stage = Stage::new(&records);
    let page = stage.page(None, 100);
    for tag in ["<script", "<style", "<meta", "<head>", "<form", "<html", "<body", "<!--"] {
        assert_eq!(page.matches(tag).count(), honest.matches(tag).count(), "{tag}");
    }
    for tag in
        ["<img", "<b>bold", "</title></style>", "onload=boom()>", "<![CDATA", "href=\"javascript"]
    {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("&#60;/script&#62;&#60;script&#62;boom()&#60;/script&#62;"));
    assert!(page.contains("{{ 7 * 7 }}{% include &#34;x&#34; %}${7*7}"));
    assert!(!page.chars().any(|c| c != '\n' && crate::policy::pin::is_hidden(c)));
    assert!(page.contains("<i class=\"hidden-char\">\\u{202e}</i>gpj.exe"));
}

#[test]
fn the_page_may_do_only_what_it_does() {
    let page = Stage::new(&story()).page(None, 100);
    let between = |open: &str, close: &str| {
        let (_, rest) = page.split_once(open).expect(open);
        rest.split_once(close).expect(close).0.to_owned()
    };
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    let policy = between("Content-Security-Policy\" content=\"", "\">").replace("&#39;", "'");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        policy.contains(&format!("style-src {};", hash(&between("<style>", "</style>")))),
        "{policy}"
    );
    assert!(
        policy.contains(&format!("script-src {};", hash(&between("<script>", "</script>")))),
        "{policy}"
    );
    // Inline styles and handlers, which it forbids, and what would have to be loaded.
    for forbidden in [
        " style=", " onclick", "url(", "@import", " src=", "<link", "<iframe", "http://",
        "https://",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

/// Text on its backgrounds, by the contrast that WCAG 2.2 asks of small text (success criterion 1.4.3).
#[test]
fn text_can_be_read_in_light_and_dark() {
    let (light, rest) =
        STYLE.split_once("@media (prefers-color-scheme: dark)").expect("two themes");
    let (dark, _) = rest.split_once("* { box-sizing").expect("an end");
    for (theme, css) in [("light", light), ("dark", dark)] {
        let colour = |name: &str| {
            let (_, rest) =
                css.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("{name}"));
            let channel = |at: usize| {
                let value = u8::from_str_radix(&rest[at..at + 2], 16).expect("a colour");
                let value = f64::from(value) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
        };
        let contrast = |a: &str, b: &str| {
            let (a, b) = (colour(a), colour(b));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        let mut pairs = vec![
            ("ink", "page"),
            ("ink", "paper"),
            ("soft", "page"),
            ("soft", "paper"),
            ("soft", "wash"),
            ("link", "page"),
            ("link", "paper"),
            ("code", "paper"),
            ("code", "exceeded-wash"),
            ("soft", "exceeded-wash"),
        ];
        for class in ["within", "exceeded", "denied", "incomplete", "unobserved", "failed"] {
            pairs.push((class, "paper"));
            pairs.push((class, Box::leak(format!("{class}-wash").into_boxed_str())));
        }
        for (text, on) in pairs {
            let contrast = contrast(text, on);
            assert!(contrast >= 4.5, "{text} on {on} in {theme}: {contrast:.2}");
        }
    }
}
