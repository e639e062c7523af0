//! Pictures of a warrantd that is busy, and what keys make of them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::draw::draw;
use super::feed::Look;
use super::keys::{Then, press};
use super::model::{Model, Over, Pane};
use super::plain;
use crate::cli::plain::is_invisible;
use crate::config::Mode;
use crate::policy::network::Protocol;
use crate::serve::{
    ConfigurationView, Counts, Durations, KernelView, LogView, Overview, ReceiverView, ServerState,
    ServerView,
};
use crate::session::{FlyingCall, FrozenStatus, ReachedPeer, SessionStatus};

/// What others choose: names that would clear a screen, colour it, turn it round or end a line.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}[31m\r\n\t\u{202e}b\u{9b}7m\u{7}";

fn overview(uptime_ms: u64, calls: u64) -> Overview {
    let counts = Counts {
        calls,
        succeeded: calls,
        within: calls - 3,
        denied: 2,
        exceeded: 1,
        durations: Durations(vec![(4, calls - 3), (210, 3)]),
        ..Counts::default()
    };
    let peer = ReachedPeer {
        peer: "192.0.2.1:443".parse().expect("an address"),
        protocol: Protocol::Tcp,
        name: Some("api.example.com".into()),
        allowed: 12,
        denied: 0,
        last: "2026-11-23T18:00:00Z".into(),
    };
    let files = ServerView {
        id: "files".into(),
        policy: "/etc/warrantd/files.yaml".into(),
        sessions: 2,
        in_flight: 1,
        counts,
        ..ServerView::default()
    };
    let web = ServerView {
        id: "web".into(),
        mode: Mode::Observe,
        state: ServerState::Down,
        peers: vec![ReachedPeer { denied: 4, ..peer.clone() }, peer],
        ..ServerView::default()
    };
    let call = FlyingCall {
        correlation_id: "c1".into(),
        tool: "read_text_file".into(),
        warrant: json!({"read": ["/srv/a.md"]}),
        actor: "ada".into(),
        age_ms: 1290,
        task: None,
    };
    let busy = SessionStatus {
        id: "019a".into(),
        server: "files".into(),
        actor: Some("ada".into()),
        since: "2026-11-23T18:00:00Z".into(),
        in_flight: vec![call],
        open: vec!["192.0.2.1 tcp/443".into()],
        ..SessionStatus::default()
    };
    let frozen = FrozenStatus { since: "2026-11-23T18:00:01Z".into(), why: "exceeded".into() };
    let frozen = SessionStatus {
        id: "019b".into(),
        in_flight: Vec::new(),
        frozen: Some(frozen),
        ..busy.clone()
    };
    let siem =
        ReceiverView { name: "siem".into(), up: true, events: 90, ..ReceiverView::default() };
    let pager = ReceiverView {
        name: "pager".into(),
        behind: 12,
        failures: 3,
        last_error: Some("connection refused".into()),
        ..ReceiverView::default()
    };
    Overview {
        version: "0.1.0".into(),
        pid: 4711,
        since: "2026-11-20T14:00:00Z".into(),
        uptime_ms,
        configuration: Some(ConfigurationView {
            file: "w.yaml".into(),
            generation: 3,
            ..ConfigurationView::default()
        }),
        kernel: Some(KernelView { observer: "tracepoint".into(), enforces_files: false }),
        servers: vec![web, files],
        sessions: vec![frozen, busy],
        log: LogView { file: "audit.jsonl".into(), last: 18_204, trouble: None },
        receivers: vec![siem, pager],
        ..Overview::default()
    }
}

fn seen(overview: Overview) -> Look {
    Look::Seen(vec![("serve".to_owned(), overview)])
}

/// A model that has looked twice, a second apart.
fn model() -> Model {
    let mut model = Model::default();
    model.take(seen(overview(273_600_000, 110)));
    model.take(seen(overview(273_601_000, 122)));
    model
}

fn picture(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw(model, frame.area(), frame.buffer_mut())).expect("drawn");
    let buffer = terminal.backend().buffer();
    let lines: Vec<String> = (0..height).map(|y| plain::line(buffer, y)).collect();
    lines.join("\n")
}

fn keys(model: &mut Model, codes: &[KeyCode]) -> Then {
    let mut then = Then::GoOn;
    for code in codes {
        then = press(model, KeyEvent::new(*code, KeyModifiers::NONE));
    }
    then
}

#[test]
fn a_small_terminal_shows_what_matters() {
    let expected = "\
warrantd 0.1.0  process 4711  up 3d 4h  configuration 3  tracepoint
12.0 calls/s  1 in flight  2 sessions  1 FROZEN  2 denied  1 exceeded  0 events
audit log 18204  siem 0 behind  pager DOWN, 12 behind
 servers 2 ─────────────────────────────────────────────────────────────────────
SERVER       STATE SESS  FLY CALLS/S▾    P50    P99  CALLS DENIED EXCEED    LOST
files        ready    2    1     12.0    4ms    4ms    122      2      1       -
web          DOWN     -    -      0.0      -      -      -      -      -       -
 calls in flight 1 ─────────────────────────────────────────────────────────────
   FOR▾ SERVER       ACTOR            TOOL                 WARRANT
   1.2s files        ada              read_text_file       {\"read\":[\"/srv/a.md\"]
 peers 2 ───────────────────────────────────────────────────────────────────────
SERVER       PEER                             ALLOWED REFUSED▾ NAME
web          192.0.2.1:443 tcp                     12        4 api.example.com
web          192.0.2.1:443 tcp                     12        - api.example.com";
    let shown = picture(&model(), 80, 24);
    let lines: Vec<_> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let (foot, above) = lines.split_last().expect("lines");
    assert_eq!(above.join("\n"), expected);
    assert!(foot.starts_with("q end  ? keys"), "{foot}");
}

#[test]
fn a_wide_terminal_shows_more() {
    let shown = picture(&model(), 160, 50);
    for more in
        ["MODE", "OBSERVED", "WITHIN", "TIMEOUT", "POLICY", "/etc/warrantd/files.yaml", "LAST"]
    {
        assert!(shown.contains(more), "no {more}:\n{shown}");
    }
}

#[test]
fn nothing_that_others_wrote_acts_on_the_terminal() {
    let mut hostile = overview(2000, 10);
    hostile.version = HOSTILE.into();
    hostile.servers.iter_mut().for_each(|server| {
        server.id = HOSTILE.into();
        server.policy = HOSTILE.into();
        server.peers.iter_mut().for_each(|peer| peer.name = Some(HOSTILE.into()));
    });
    for session in &mut hostile.sessions {
        session.actor = Some(HOSTILE.into());
        session.server = HOSTILE.into();
        session.open = vec![HOSTILE.into()];
        for call in &mut session.in_flight {
            call.tool = HOSTILE.into();
            call.actor = HOSTILE.into();
            call.warrant = json!({ HOSTILE: [HOSTILE] });
        }
        if let Some(frozen) = &mut session.frozen {
            frozen.why = HOSTILE.into();
        }
    }
    hostile.receivers[1].last_error = Some(HOSTILE.into());
    hostile.log.trouble = Some(HOSTILE.into());
    let mut model = Model::default();
    model.take(seen(hostile));
    model.filter = HOSTILE.into();
    let mut shown = vec![picture(&model, 160, 50)];
    model.filter.clear();
    for _ in 0..3 {
        shown.push(picture(&model, 160, 50));
        for _ in 0..3 {
            keys(&mut model, &[KeyCode::Enter]);
            shown.push(picture(&model, 160, 50));
            keys(&mut model, &[KeyCode::Esc, KeyCode::Tab]);
        }
        keys(&mut model, &[KeyCode::Char('v')]);
    }
    shown.push(plain::lines(&model, 160).join("\n"));
    let all = shown.join("\n");
    let acts = |c: char| (c.is_control() && c != '\n') || is_invisible(c);
    assert!(!all.chars().any(acts), "{all:?}");
    assert!(all.contains("\\u{1b}[2J") && all.contains("\\u{202e}"), "it is shown as text: {all}");
}

#[test]
fn a_daemon_that_ends_is_waited_for() {
    let mut model = model();
    model.take(Look::Nothing("no warrantd runs here".into()));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("no warrantd, waiting: no warrantd runs here"), "{shown}");
    assert!(!shown.contains("files"), "what was is not shown as if it were: {shown}");
    model.take(seen(Overview { pid: 4712, ..overview(500, 3) }));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("process 4712") && !shown.contains("waiting"), "{shown}");
    model.take(Look::Late("serve does not answer".into()));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("no answer: serve does not answer"), "{shown}");
    assert!(shown.contains("files"), "it may still run: {shown}");
}

#[test]
fn keys_sort_and_filter() {
    let mut model = model();
    let first = |model: &Model| model.rows(Pane::Servers)[0].cells[0].text.clone();
    assert_eq!(first(&model), "files", "the busiest");
    keys(&mut model, &[KeyCode::Char('r')]);
    assert_eq!(first(&model), "web");
    keys(&mut model, &[KeyCode::Char('r')]);
    // Round to the first column and on to the state.
    keys(&mut model, &[KeyCode::Right; 11]);
    assert_eq!(model.order(Pane::Servers).column, 0);
    keys(&mut model, &[KeyCode::Left]);
    assert_eq!(model.order(Pane::Servers).column, 15);
    keys(&mut model, &[KeyCode::Char('/'), KeyCode::Char('W'), KeyCode::Char('e'), KeyCode::Enter]);
    assert_eq!(model.rows(Pane::Servers).len(), 1);
    assert!(picture(&model, 80, 24).contains("only rows with `We`"));
    keys(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.rows(Pane::Servers).len(), 2);
}

#[test]
fn keys_walk_through_the_tables() {
    let mut model = model();
    keys(&mut model, &[KeyCode::Tab, KeyCode::Enter]);
    assert_eq!((model.focus, model.over), (Pane::Calls, Over::Detail(0)));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("call    read_text_file of ada"), "{shown}");
    assert!(shown.contains("\"/srv/a.md\""), "the warrant is whole: {shown}");
    keys(&mut model, &[KeyCode::Esc, KeyCode::Tab, KeyCode::Char('v')]);
    assert_eq!(model.focus, Pane::Sessions);
    assert!(picture(&model, 80, 24).contains("FROZEN"));
    keys(&mut model, &[KeyCode::Char('v')]);
    assert!(picture(&model, 80, 24).contains("connection refused"));
    keys(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Up, KeyCode::End]);
    assert_eq!(model.selected(Pane::Receivers, 2), Some(1));
    keys(&mut model, &[KeyCode::Home]);
    assert_eq!(model.selected(Pane::Receivers, 2), Some(0));
    assert_eq!(model.selected(Pane::Receivers, 0), None);
    keys(&mut model, &[KeyCode::Char('?')]);
    assert!(picture(&model, 80, 24).contains("sort by another column"));
    assert_eq!(keys(&mut model, &[KeyCode::Char('q')]), Then::GoOn, "it ends the help");
    assert_eq!(keys(&mut model, &[KeyCode::Char('q')]), Then::End);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    keys(&mut model, &[KeyCode::Char('/')]);
    assert_eq!(press(&mut model, control_c), Then::End, "whatever is open");
}

#[test]
fn what_stands_still_is_counted_all_the_same() {
    let mut model = model();
    keys(&mut model, &[KeyCode::Char('p')]);
    model.take(seen(overview(273_602_000, 200)));
    let shown = picture(&model, 80, 24);
    assert!(shown.contains("STANDS STILL") && shown.contains(" 122 "), "{shown}");
    keys(&mut model, &[KeyCode::Char('p')]);
    model.take(seen(overview(273_603_000, 202)));
    let shown = picture(&model, 80, 24);
    assert!(!shown.contains("STANDS STILL") && shown.contains(" 202 "), "{shown}");
}

#[test]
fn any_terminal_will_do() {
    let mut model = model();
    for (width, height) in [(1, 1), (20, 3), (40, 10), (80, 5), (300, 100), (0, 0)] {
        for over in [Over::Nothing, Over::Help, Over::Detail(7), Over::Filter] {
            model.over = over;
            picture(&model, width, height);
        }
    }
}

#[test]
fn a_picture_without_a_terminal_has_everything() {
    let mut many = overview(2000, 10);
    let call = many.sessions[1].in_flight[0].clone();
    many.sessions[1].in_flight =
        (0..100).map(|n| FlyingCall { tool: format!("tool-{n}"), ..call.clone() }).collect();
    let mut model = Model::default();
    model.take(seen(many));
    let text = plain::lines(&model, 160).join("\n");
    assert!((0..100).all(|n| text.contains(&format!("tool-{n} "))), "{text}");
    assert!(!text.contains("q end"), "{text}");
}

#[test]
fn delays_are_seconds() {
    assert_eq!(super::delay("0.5"), Ok(std::time::Duration::from_millis(500)));
    for wrong in ["", "0", "-1", "0.01", "nan", "inf", "1s", "4000"] {
        assert!(super::delay(wrong).is_err(), "{wrong}");
    }
}
