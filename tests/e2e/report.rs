//! `warrantd report`: of real calls, opened in a real browser, and of a log full of hostile text.
//!
//! `WARRANTD_TEST_PICTURES=DIR` writes what the browser shows there: in light and dark, wide and narrow, and
//! as printed. `docs/report.png` is such a picture.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warrantd_tests::browser::Browser;
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{self, Record, await_record};
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY, terminate};
use crate::rig::{DENIED, Rig, UNAUTHENTICATED, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, list_directory, write_file, http_get]}
  - {id: support-bot, allowed_tools: [read_text_file, list_directory]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  list_directory: {allowed_paths: ['public', 'public/**']}
  write_file: {allowed_paths: ['out/**']}
effects: {tools: {http_get: {connect: ['${arguments.host}:${arguments.port}']}}}
context: {end_user_id: {meta: com.example/user}}
";

/// The key of the other actor.
const BOT: &str = "wd-test-8c1a0b7d2e6f4953";

/// Texts that would do something if they were anything but text. In JSON they stand as they are.
const HOSTILE: [&str; 8] = [
    "</script><script>boom()</script>",
    "<img src=x onerror=boom()>",
    "'><svg onload=boom()>",
    "javascript:boom()",
    "{{ 7 * 7 }}{% raw %}${7 * 7}",
    "</title></style></table><b>bold",
    "</bdi></code><a href=javascript:boom()>click",
    "<!-- --><![CDATA[ ]]>&lt;&#x3c;",
];
/// Text that hides, turns the reading order or steers a terminal, and how it is shown.
const HIDDEN: [(&str, &str); 2] = [
    ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
    ("\u{200b}\u{e0041}", "\\u{200b}\\u{e0041}"),
];

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const BROWSER: &[Need] = &[Need::Kernel, Need::Chromium];
    vec![
        test("report::of_real_calls", KERNEL, real_calls),
        test("report::opens_in_a_browser_without_a_complaint", BROWSER, opens),
        test("report::hostile_text_stays_text_in_a_browser", BROWSER, hostile),
        test("report::what_cannot_be_done_is_said", &[], refused),
    ]
}

/// A log that tells of real calls.
struct Told {
    daemon: Daemon,
    key: PathBuf,
    /// The correlation id of the call that exceeded.
    exceeded: String,
}

/// A file whose name would be markup: its directory is named `<`.
const NAMED: &str = "public/</script><img src=x onerror=boom()>.txt";

/// Takes its time, as callers do.
fn pause() {
    thread::sleep(Duration::from_millis(60));
}

fn read(client: &mut Client, path: &str, user: &str) -> anyhow::Result<Reply> {
    pause();
    let call = json!({
        "name": "read_text_file", "arguments": {"path": path}, "_meta": {"com.example/user": user},
    });
    client.request("tools/call", &call)
}

impl Told {
    /// A daemon whose server does more than it is asked for in the fifth read of a session.
    fn start() -> anyhow::Result<Daemon> {
        let rig = Rig::new(POLICY)?;
        rig.scratch.file("root/public/handbook.md", "Lunch is at noon.")?;
        rig.scratch.file("root/hr/salaries.csv", "ada,90000")?;
        rig.scratch.file(&format!("root/{NAMED}"), "harmless")?;
        let salaries = text(&rig.root.join("hr/salaries.csv"));
        let mut server = vec![text(&rig.scratch.program("rogue-server")?)];
        let misdeeds = [
            "--also-read",
            &salaries,
            "--also-exec",
            "/usr/bin/true",
            "--also-connect",
            "127.0.0.1:9",
        ];
        server.extend(misdeeds.into_iter().chain(["--on", "5"]).map(str::to_owned));
        let hash = format!("{:x}", Sha256::digest(BOT));
        let bot = format!("actors:\n  - {{id: support-bot, api_keys: ['sha256:{hash}']}}");
        Daemon::configured(rig, BOTH, &server, |config| config.replace("actors:", &bot))
    }

    fn new() -> anyhow::Result<Self> {
        let daemon = Self::start()?;
        let mut assistant = Client::connect(daemon.connect(Some(KEY))?)?;
        assistant.request("tools/list", &json!({}))?.result()?;
        let mut bot = Client::connect(daemon.connect(Some(BOT))?)?;
        for number in 1..=4 {
            read(&mut assistant, "public/handbook.md", "u-4711")?.text()?;
            read(&mut bot, "public/handbook.md", "u-0815")?.text()?;
            assistant.call("list_directory", &json!({"path": "public"}))?.text()?;
            pause();
            let draft = json!({"path": format!("out/draft-{number}.md"), "content": "mine"});
            assistant.call("write_file", &draft)?.text()?;
        }
        let withheld = read(&mut bot, "public/handbook.md", "u-0815")?;
        expect_error(&withheld, WITHHELD)?;
        for path in ["hr/salaries.csv", "public/../hr/salaries.csv", "../../etc/passwd"] {
            expect_refused(&read(&mut assistant, path, "u-4711")?)?;
        }
        pause();
        expect_error(&assistant.call("delete_everything", &json!({"path": "/"}))?, DENIED)?;
        // Nobody listens there, and the kernel does not let it be tried.
        let peer = json!({"host": "127.0.0.1", "port": 9});
        expect_error(&assistant.call("http_get", &peer)?, WITHHELD)?;
        let mut stranger = Client::start(daemon.connect(Some("wd-test-wrong"))?)?;
        expect_error(&stranger.initialize()?, UNAUTHENTICATED)?;
        drop(stranger);
        for _ in 0..3 {
            pause();
            bot.call("list_directory", &json!({"path": "public"}))?.text()?;
        }
        bot.finish()?;
        assistant.finish()?;
        Self::end(daemon, withheld.correlation_id().to_owned())
    }

    /// What a hostile caller may say.
    fn hostile() -> anyhow::Result<Self> {
        let daemon = Self::start()?;
        let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
        let user = "<b onmouseover=boom()>ada";
        ensure!(read(&mut client, NAMED, user)?.text()? == "harmless");
        for text in HOSTILE.into_iter().chain(HIDDEN.map(|(text, _)| text)) {
            expect_refused(&read(&mut client, text, user)?)?;
            expect_error(&client.call(text, &json!({text: text}))?, DENIED)?;
        }
        client.finish()?;
        Self::end(daemon, String::new())
    }

    fn end(daemon: Daemon, exceeded: String) -> anyhow::Result<Self> {
        terminate(&daemon.process);
        await_record(&daemon.rig.audit, |r| r.text("checkpoint.reason") == "stop")?;
        let key = daemon.rig.scratch.path("audit.pub")?;
        Ok(Self { daemon, key, exceeded })
    }

    fn audit(&self) -> &Path {
        &self.daemon.rig.audit
    }
}

/// Fails unless a call was denied, or its arguments found wrong.
fn expect_refused(reply: &Reply) -> anyhow::Result<()> {
    let wrong = reply.result().is_ok_and(|result| result["isError"] == true);
    ensure!(reply.error_code() == Some(DENIED) || wrong, "{}", reply.line);
    Ok(())
}

/// Writes a report, and gives what `--json` says of it.
fn report(warrantd: &Path, log: &Path, out: &Path, more: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(warrantd);
    command.arg("report").arg(log).args(["--json", "--out"]).arg(out).args(more);
    let output = command.env_remove("WARRANTD_LOG").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let whole = matches!(output.status.code(), Some(0 | 1)); // 1: the log is not as it was written.
    ensure!(whole, "{command:?}: {}: {said}", output.status);
    serde_json::from_slice(&output.stdout).context("facts")
}

fn real_calls() -> anyhow::Result<()> {
    let told = Told::new()?;
    let rig = &told.daemon.rig;
    let warrantd = rig.scratch.program("warrantd")?;
    let out = rig.scratch.path("report.html")?;
    let key = text(&told.key);
    let facts = report(&warrantd, told.audit(), &out, &["--key", &key])?;
    // What the report counts is what the log has.
    let log = records::read(told.audit())?;
    let calls: Vec<&Record> = log.iter().filter(|r| r.text("event") == "call").collect();
    let verdict = |verdict: &str| calls.iter().filter(|call| call.verdict() == verdict).count();
    ensure!(facts["records"] == log.len(), "{facts:#}");
    ensure!(facts["listed"] == log.len(), "{facts:#}");
    ensure!(facts["calls"]["total"] == calls.len(), "{facts:#}");
    ensure!(
        facts["calls"]["exceeded"] == verdict("EXCEEDED") && verdict("EXCEEDED") == 2,
        "{facts:#}"
    );
    ensure!(facts["calls"]["within"] == verdict("WITHIN"), "{facts:#}");
    let denied = calls.iter().filter(|call| call.text("policy_decision") == "DENY").count();
    ensure!(facts["calls"]["denied"] == denied && denied >= 3, "{facts:#}");
    ensure!(facts["intact"] == true && facts["with_key"] == true, "{facts:#}");
    let first = facts["attention"][0].as_str().unwrap_or_default();
    ensure!(first.starts_with("2 calls did more than their warrants allow"), "{facts:#}");
    let page = fs::read_to_string(&out)?;
    ensure!(page.contains("as it was written, signed to its end"), "the chain's status");
    for record in &log {
        let (hash, seq) = (record.text("hash"), &record.0["seq"]);
        ensure!(page.contains(hash) && page.contains(&format!("id=\"r0-{seq}\"")), "{record:#?}");
    }
    ensure!(page.contains(&text(&rig.root.join("hr/salaries.csv"))), "what exceeded");
    ensure!(page.contains("127.0.0.1:9"), "the peer");
    let mode = fs::metadata(&out)?.permissions();
    let of_others = std::os::unix::fs::PermissionsExt::mode(&mode) % 8;
    ensure!(of_others == 0, "{mode:?}");

    // An incident is the call and what belongs to it, whichever way it is named.
    let session = calls.iter().find(|call| call.text("correlation_id") == told.exceeded);
    let session = session.context("its call")?.text("session_id").to_owned();
    let own = calls.iter().filter(|call| call.text("session_id") == session).count();
    for target in [told.exceeded.as_str(), &session] {
        let facts =
            report(&warrantd, told.audit(), &out, &["--incident", target, "--around", "0s"])?;
        ensure!(facts["calls"]["total"].as_u64() >= Some(own as u64), "the session: {facts:#}");
        // What others did while a session lasted is told with it.
        let total = facts["calls"]["total"].as_u64();
        ensure!(*target == *session || total < Some(calls.len() as u64), "{facts:#}");
        ensure!(facts["with_key"] == false, "{facts:#}");
    }
    // Another actor did nothing.
    let nobody = report(&warrantd, told.audit(), &out, &["--actor", "nobody"])?;
    ensure!(nobody["calls"]["total"] == 0 && nobody["records"] != 0, "{nobody:#}");
    let nothing = report(&warrantd, told.audit(), &out, &["--since", "0s"])?;
    ensure!(nothing["records"] == 0, "{nothing:#}");
    Ok(())
}

/// What no report has: script, styles and handlers beside its own, and what would have to be loaded.
const STRANGE: &str = "[...document.querySelectorAll('*')].filter((e) =>
    ['IMG', 'IFRAME', 'OBJECT', 'EMBED', 'LINK', 'BASE', 'FRAME', 'VIDEO', 'AUDIO', 'B-A', 'MATH'].includes(e.tagName)
    || [...e.attributes].some((a) => a.name.startsWith('on') || a.name === 'style' || a.name === 'src')
    || (e.hasAttribute('href') && !e.getAttribute('href').startsWith('#'))
  ).map((e) => e.outerHTML.slice(0, 200))";
const SCRIPTS: &str = "document.scripts.length + document.querySelectorAll('style').length + \
    document.querySelectorAll('meta').length + \
    [...document.querySelectorAll('title')].filter((e) => e.tagName === 'TITLE').length";

/// Opens a page and demands that it does nothing but show itself.
fn quiet(browser: &mut Browser, page: &Path) -> anyhow::Result<()> {
    browser.open(page)?;
    let complaints = browser.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:#?}");
    let loaded = browser.loaded();
    ensure!(loaded.len() == 1 && loaded[0].starts_with("file:"), "it loads {loaded:?}");
    let strange = browser.evaluate(STRANGE)?;
    ensure!(strange == json!([]), "{strange:#}");
    let own = browser.evaluate(SCRIPTS)?;
    ensure!(own == 10, "a script, a style, a title and its metas are {own}");
    ensure!(browser.evaluate("typeof boom")? == "undefined");
    Ok(())
}

fn opens() -> anyhow::Result<()> {
    let told = Told::new()?;
    let rig = &told.daemon.rig;
    let warrantd = rig.scratch.program("warrantd")?;
    let out = rig.scratch.path("report.html")?;
    let facts = report(&warrantd, told.audit(), &out, &["--key", &text(&told.key)])?;
    let mut browser = Browser::start()?;
    for (name, width, dark) in [
        ("wide-light", 1280, false),
        ("wide-dark", 1280, true),
        ("narrow-light", 390, false),
        ("narrow-dark", 390, true),
    ] {
        browser.look(width, 1600, dark)?;
        quiet(&mut browser, &out)?;
        let wider = browser.evaluate("document.documentElement.scrollWidth - innerWidth")?;
        ensure!(wider.as_i64().is_some_and(|wider| wider <= 0), "{name}: {wider} pixels too wide");
        let ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")?;
        ensure!((ground == "rgb(19, 20, 22)") == dark, "{name}: {ground}");
        picture(&mut browser, name)?;
    }
    // A person filters, and follows a link to a record that the filter hides.
    let rows = "[...document.querySelectorAll('#table > tbody')].filter((b) => !b.hidden).length";
    ensure!(browser.evaluate(rows)? == facts["listed"], "{facts:#}");
    let set = "document.getElementById('outcome').value = 'exceeded';
        document.getElementById('filter').dispatchEvent(new Event('input'));
        new Promise((done) => setTimeout(done, 300))";
    browser.evaluate(set)?;
    ensure!(browser.evaluate(rows)? == 2, "{}", browser.evaluate(rows)?);
    let seq = &await_record(told.audit(), |r| r.text("policy_decision") == "DENY")?.0["seq"];
    let follow =
        format!("location.hash = 'r0-{seq}'; new Promise((done) => setTimeout(done, 300))");
    browser.evaluate(&follow)?;
    let open = format!("document.querySelector('#r0-{seq} details').open");
    ensure!(browser.evaluate(&open)? == true && browser.evaluate(rows)? == facts["listed"]);
    // Everything that is scrolled or pressed can be reached by keyboard and has a name.
    let nameless =
        "[...document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]')]
        .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length
          || document.getElementById(e.getAttribute('aria-labelledby')))).map((e) => e.outerHTML)";
    ensure!(browser.evaluate(nameless)? == json!([]), "{}", browser.evaluate(nameless)?);
    let headless = "[...document.querySelectorAll('table')].filter((t) => !t.tHead
        || [...t.tHead.rows[0].cells].some((c) => c.tagName !== 'TH' || c.scope !== 'col')).length";
    ensure!(browser.evaluate(headless)? == 0, "a table has no heads");
    let printed = browser.printed()?;
    ensure!(printed.len() > 10_000, "{} bytes", printed.len());
    let complaints = browser.complaints()?;
    ensure!(complaints.is_empty(), "{complaints:#?}");

    browser.without_script()?;
    browser.open(&out)?;
    let filter = "getComputedStyle(document.getElementById('filter')).display";
    ensure!(browser.evaluate(filter)? == "none", "a filter that does nothing is shown");
    ensure!(browser.evaluate(rows)? == facts["listed"], "not all can be read without script");
    Ok(())
}

/// Writes a picture of what is seen, where one is wanted.
fn picture(browser: &mut Browser, name: &str) -> anyhow::Result<()> {
    let Some(dir) = std::env::var_os("WARRANTD_TEST_PICTURES") else { return Ok(()) };
    fs::create_dir_all(&dir)?;
    let file = Path::new(&dir).join(format!("report-{name}.png"));
    fs::write(&file, browser.picture()?).with_context(|| text(&file))
}

/// Puts a text in place of every text of a record that a caller, a server or a policy chose.
fn poison(value: &mut Value, with: &str) {
    match value {
        Value::String(text) => with.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, with)),
        Value::Object(fields) => {
            let own = [
                "event",
                "timestamp",
                "policy_decision",
                "status",
                "mode",
                "auth_method",
                "verdict",
                "attribution",
                "kind",
                "outcome",
                "protocol",
                "peer",
                "reason",
            ];
            for (name, field) in fields {
                if !own.contains(&name.as_str()) {
                    poison(field, with);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes records as a log whose chain holds.
fn forged(file: &Path, records: &[Value]) -> anyhow::Result<()> {
    let (mut log, mut before) = (String::new(), "0".repeat(64));
    for (seq, record) in (1..).zip(records) {
        let mut record = record.clone();
        let fields = record.as_object_mut().context("an object")?;
        for own in ["seq", "prev_hash", "hash"] {
            fields.remove(own);
        }
        let text = record.to_string();
        let open = text.strip_suffix('}').context("an object")?;
        let line = format!("{open},\"seq\":{seq},\"prev_hash\":\"{before}\"");
        before = format!("{:x}", Sha256::digest(&line));
        writeln!(log, "{line},\"hash\":\"{before}\"}}")?;
    }
    fs::write(file, log).with_context(|| text(file))
}

fn hostile() -> anyhow::Result<()> {
    let told = Told::hostile()?;
    let rig = &told.daemon.rig;
    let warrantd = rig.scratch.program("warrantd")?;
    let out = rig.scratch.path("report.html")?;
    report(&warrantd, told.audit(), &out, &["--key", &text(&told.key)])?;
    let mut browser = Browser::start()?;
    // What real callers said.
    quiet(&mut browser, &out)?;
    let said = browser.evaluate("document.body.textContent")?;
    let said = said.as_str().context("text")?;
    let shown = HOSTILE.into_iter().chain(HIDDEN.map(|(_, shown)| shown));
    for text in shown.chain(["<b onmouseover=boom()>ada", NAMED]) {
        ensure!(said.contains(text), "`{text}` is not there as it is");
    }
    // The same records with a text that does something wherever somebody could have put one.
    let honest: Vec<Value> =
        records::read(told.audit())?.into_iter().map(|record| record.0).collect();
    let long = "<u>".repeat(20_000);
    let texts: Vec<&str> =
        HOSTILE.into_iter().chain(HIDDEN.map(|(text, _)| text)).chain([long.as_str()]).collect();
    let (mut poisoned, mut enough) = (Vec::new(), false);
    for with in &texts {
        for record in &honest {
            let mut record = record.clone();
            let checkpoint = record["checkpoint"].take();
            poison(&mut record, with);
            // Whole texts as arguments, and as the name of one.
            record["arguments"] = json!({*with: [*with]});
            record["checkpoint"] = checkpoint;
            // One that is long is enough.
            let mut is_first =
                || record["event"] == "call" && !std::mem::replace(&mut enough, true);
            if with.len() < 1000 || is_first() {
                poisoned.push(record);
            }
        }
    }
    let dir = rig.scratch.writable_directory("forged")?;
    forged(&dir.join("audit.jsonl"), &poisoned)?;
    // Its checkpoints are those of another log, which is found.
    let facts = report(&warrantd, &dir, &out, &[])?;
    ensure!(facts["records"] == poisoned.len(), "{facts:#}");
    quiet(&mut browser, &out)?;
    let said = browser.evaluate("document.body.textContent")?;
    let said = said.as_str().context("text")?;
    for text in HOSTILE.into_iter().chain(HIDDEN.map(|(_, shown)| shown)) {
        ensure!(said.contains(text), "`{text}` is not there as it is");
        let sought = serde_json::to_string(text)?;
        let cells = format!(
            "[...document.querySelectorAll('td, th, dd, code')].filter((e) => e.textContent.includes({sought})).length"
        );
        ensure!(browser.evaluate(&cells)?.as_u64() > Some(20), "`{text}` is in few places");
    }
    ensure!(said.contains("58000 more characters, sha256 "), "what is cut is said");
    let size = fs::metadata(&out)?.len();
    ensure!(size < 20 << 20, "{size} bytes");
    Ok(())
}

fn refused() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let warrantd = rig.scratch.program("warrantd")?;
    let record = json!({"timestamp": "2026-01-31T12:00:00.000Z", "event": "start"});
    forged(&rig.audit.join("audit.jsonl"), &[record])?;
    let out = text(&rig.scratch.path("report.html")?);
    let cases: [(&[&str], i32, &str); 6] = [
        (&[], 2, "--out"),
        (&["--out", &out, "--incident", "nothing"], 1, "no record of the log is of `nothing`"),
        (&["--out", &out, "--incident", "a", "--since", "1h"], 2, "cannot be used with"),
        (&["--out", &out, "--since", "yesterday"], 2, "write a time as"),
        (&["--out", &out, "--key", "/nowhere.pub"], 2, "/nowhere.pub"),
        (&["--out", "/nowhere/report.html"], 1, "cannot write /nowhere/report.html"),
    ];
    for (arguments, code, why) in cases {
        let mut command = Command::new(&warrantd);
        let output = command.arg("report").arg(&rig.audit).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code) && said.contains(why), "{arguments:?}: {said}");
        ensure!(!Path::new(&out).exists(), "{arguments:?}: a report was written");
    }
    // A log that is not as it was written is reported of, and the exit code says so.
    let file = rig.audit.join("audit.jsonl");
    fs::write(&file, fs::read_to_string(&file)?.replace("\"start\"", "\"stop\""))?;
    let output =
        Command::new(&warrantd).arg("report").arg(&rig.audit).args(["--out", &out]).output()?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(fs::read_to_string(&out)?.contains("Not intact"), "{output:?}");
    Ok(())
}
