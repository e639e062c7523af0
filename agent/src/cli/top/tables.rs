//! What there is to see in each table.

use super::history::Pace;
use super::model::{Model, Pane};
use super::table::{Cell, Column, Row, Tone};
use crate::cli::plain::safe;
use crate::cli::words::{duration, span};
use crate::config::Mode;
use crate::serve::{Overview, ReceiverView, ServerState, ServerView};
use crate::session::{FlyingCall, Manner, ReachedPeer, SessionStatus};

const SERVERS: [Column; 16] = [
    Column::text("SERVER", 12, 0),
    Column::text("STATE", 5, 0),
    Column::text("MODE", 8, 110),
    Column::number("SESS", 4, 0),
    Column::number("FLY", 4, 0),
    Column::number("CALLS/S", 7, 0),
    Column::number("P50", 6, 0),
    Column::number("P99", 6, 0),
    Column::number("CALLS", 6, 0),
    Column::number("WITHIN", 6, 100),
    Column::number("DENIED", 6, 0),
    Column::number("EXCEED", 6, 0),
    Column::number("INCOMP", 6, 100),
    Column::number("TIMEOUT", 7, 110),
    Column::number("LOST", 5, 0),
    Column::text("POLICY", 20, 130),
];

const CALLS: [Column; 5] = [
    Column::number("FOR", 7, 0),
    Column::text("SERVER", 12, 0),
    Column::text("ACTOR", 16, 0),
    Column::text("TOOL", 20, 0),
    Column::text("WARRANT", 20, 0),
];

const PEERS: [Column; 6] = [
    Column::text("SERVER", 12, 0),
    Column::text("PEER", 32, 0),
    Column::number("ALLOWED", 7, 0),
    Column::number("REFUSED", 7, 0),
    Column::text("LAST", 20, 110),
    Column::text("NAME", 16, 0),
];

const SESSIONS: [Column; 7] = [
    Column::text("SESSION", 36, 120),
    Column::text("STATE", 7, 0),
    Column::text("SERVER", 12, 0),
    Column::text("ACTOR", 16, 0),
    Column::number("FLY", 4, 0),
    Column::number("WAIT", 4, 0),
    Column::text("OPEN PEERS", 24, 0),
];

const RECEIVERS: [Column; 7] = [
    Column::text("RECEIVER", 16, 0),
    Column::text("STATE", 5, 0),
    Column::number("BEHIND", 7, 0),
    Column::number("EVENTS", 7, 0),
    Column::number("FAILED", 7, 0),
    Column::number("REFUSED", 7, 100),
    Column::text("LAST ERROR", 20, 0),
];

/// The columns of a table.
pub(super) fn columns(pane: Pane) -> &'static [Column] {
    match pane {
        Pane::Servers => &SERVERS,
        Pane::Calls => &CALLS,
        Pane::Peers => &PEERS,
        Pane::Sessions => &SESSIONS,
        Pane::Receivers => &RECEIVERS,
    }
}

/// The column by which a table is sorted at first: what one looks for stands on top.
pub(super) fn first_order(pane: Pane) -> usize {
    match pane {
        Pane::Servers => 5,
        Pane::Calls => 0,
        Pane::Peers => 3,
        Pane::Sessions => 1,
        Pane::Receivers => 2,
    }
}

/// The rows of a table, as they were told.
pub(super) fn rows(model: &Model, pane: Pane) -> Vec<Row> {
    let each = model.told.iter();
    match pane {
        Pane::Servers => each
            .flat_map(|(instance, overview)| {
                let latest = |server: &ServerView| model.history.pace(instance, &server.id);
                overview
                    .servers
                    .iter()
                    .map(move |it| server(&named(instance, &it.id), it, latest(it)))
            })
            .collect(),
        Pane::Calls => each.flat_map(|(_, overview)| calls(overview)).collect(),
        Pane::Peers => each
            .flat_map(|(_, overview)| &overview.servers)
            .flat_map(|server| server.peers.iter().map(|it| peer(&server.id, it)))
            .collect(),
        Pane::Sessions => each.flat_map(|(_, overview)| &overview.sessions).map(session).collect(),
        Pane::Receivers => each.flat_map(|(_, told)| &told.receivers).map(receiver).collect(),
    }
}

/// A server's name; those of `warrantd run` have their instance's.
fn named(instance: &str, id: &str) -> String {
    if instance == "serve" { id.to_owned() } else { format!("{id} ({instance})") }
}

fn cell(text: &str) -> Cell {
    Cell::text(safe(text))
}

#[allow(clippy::cast_precision_loss)] // Nobody sees the difference.
fn time(milliseconds: Option<u64>) -> Cell {
    milliseconds.map_or_else(Cell::unknown, |it| Cell::number(it as f64, duration(it)))
}

fn server(name: &str, server: &ServerView, pace: Pace) -> Row {
    let (state, tone) = match server.state {
        ServerState::Ready => ("ready", Tone::Plain),
        ServerState::Up => ("up", Tone::Plain),
        ServerState::Idle => ("idle", Tone::Plain),
        ServerState::Down => ("DOWN", Tone::Bad),
    };
    let (mode, tone) = match server.mode {
        Mode::Enforce => ("enforced", tone),
        Mode::Observe => ("OBSERVED", if tone == Tone::Plain { Tone::Odd } else { tone }),
    };
    let counts = &server.counts;
    let rate = pace.calls.map_or_else(Cell::unknown, |it| Cell::number(it, format!("{it:.1}")));
    let tone = if counts.exceeded > 0 || counts.lost_events > 0 { Tone::Bad } else { tone };
    let cells = vec![
        cell(name),
        cell(state),
        cell(mode),
        Cell::count(server.sessions as u64),
        Cell::count(server.in_flight as u64),
        rate,
        time(pace.half),
        time(pace.most),
        Cell::count(counts.calls),
        Cell::count(counts.within),
        Cell::count(counts.denied),
        Cell::count(counts.exceeded),
        Cell::count(counts.incomplete),
        Cell::count(counts.timed_out),
        Cell::count(counts.lost_events),
        cell(&server.policy),
    ];
    let detail = vec![
        format!("server {}, {state}, {mode}", safe(name)),
        format!("policy {}", safe(&server.policy)),
        format!("run    {}", manner(server.manner)),
        format!(
            "calls  {}: {} succeeded, {} failed, {} timed out; {} were denied",
            counts.calls, counts.succeeded, counts.failed, counts.timed_out, counts.denied
        ),
        format!(
            "kept   {} within their warrants, {} exceeded, {} incomplete, {} unobserved",
            counts.within, counts.exceeded, counts.incomplete, counts.unobserved
        ),
        format!(
            "beside {} records of effects between calls, {} failed authentications, {} events lost",
            counts.unsolicited, counts.strangers, counts.lost_events
        ),
    ];
    Row { cells, tone, detail }
}

fn manner(manner: Manner) -> &'static str {
    match manner {
        Manner::PerSession => "by warrantd, a process for each session",
        Manner::Shared => "by warrantd, a process for all sessions",
        Manner::Managed => "by warrantd, over HTTP",
        Manner::Attached => "by something else, over HTTP, watched in its cgroup",
        Manner::Unobserved => "elsewhere, seen by nobody",
    }
}

fn calls(overview: &Overview) -> impl Iterator<Item = Row> {
    let of = |session: &SessionStatus| {
        let of = session.clone();
        session.in_flight.clone().into_iter().map(move |it| call(&of, &it)).collect::<Vec<_>>()
    };
    overview.sessions.iter().flat_map(of)
}

fn call(session: &SessionStatus, call: &FlyingCall) -> Row {
    let warrant = call.warrant.to_string();
    #[allow(clippy::cast_precision_loss)] // Nobody sees the difference.
    let age = Cell::number(call.age_ms as f64, duration(call.age_ms));
    let actor = if call.actor.is_empty() { session.actor.as_deref() } else { Some(&*call.actor) };
    let actor = actor.unwrap_or("nobody");
    let cells = vec![age, cell(&session.server), cell(actor), cell(&call.tool), cell(&warrant)];
    let pretty = serde_json::to_string_pretty(&call.warrant).unwrap_or(warrant);
    let mut detail = vec![
        format!("call    {} of {}", safe(&call.tool), safe(actor)),
        format!("id      {}", safe(&call.correlation_id)),
        format!("session {} with {}", safe(&session.id), safe(&session.server)),
        format!("for     {}", duration(call.age_ms)),
    ];
    detail.extend(call.task.iter().map(|task| format!("task    {}", safe(task))));
    detail.push("warrant".to_owned());
    detail.extend(pretty.lines().map(safe));
    Row { cells, detail, ..Row::default() }
}

fn peer(server: &str, peer: &ReachedPeer) -> Row {
    let place = format!("{} {}", peer.peer, peer.protocol);
    let name = peer.name.as_deref().unwrap_or_default();
    let cells = vec![
        cell(server),
        cell(&place),
        Cell::count(peer.allowed),
        Cell::count(peer.denied),
        cell(&peer.last),
        cell(name),
    ];
    let detail = vec![
        format!("peer    {place} {}", safe(name)),
        format!("server  {}", safe(server)),
        format!("allowed {} times, refused {} times", peer.allowed, peer.denied),
        format!("last    {}", safe(&peer.last)),
    ];
    Row { cells, tone: if peer.denied > 0 { Tone::Odd } else { Tone::Plain }, detail }
}

fn session(session: &SessionStatus) -> Row {
    let (state, tone) = match (&session.frozen, session.since.is_empty()) {
        (Some(_), _) => ("FROZEN", Tone::Bad),
        (None, true) => ("silent", Tone::Odd),
        (None, false) if session.client_left => ("leaving", Tone::Plain),
        (None, false) => ("running", Tone::Plain),
    };
    let actor = session.actor.as_deref().unwrap_or("nobody");
    let open = session.open.join(", ");
    let flying = session.in_flight.len() + session.calls_left_out;
    let cells = vec![
        cell(&session.id),
        cell(state),
        cell(&session.server),
        cell(actor),
        Cell::count(flying as u64),
        Cell::count(session.waiting as u64),
        cell(&open),
    ];
    let verdicts = &session.verdicts;
    let pids: Vec<_> = session.pids.iter().map(u32::to_string).collect();
    let mut detail = vec![
        format!("session {}, {state}", safe(&session.id)),
        format!("server  {} for {}", safe(&session.server), safe(actor)),
        format!("since   {}", safe(&session.since)),
        format!(
            "calls   {} within, {} exceeded, {} incomplete, {} unobserved",
            verdicts.within, verdicts.exceeded, verdicts.incomplete, verdicts.unobserved
        ),
        format!("process {}", pids.join(" ")),
    ];
    if let Some(frozen) = &session.frozen {
        detail.push(format!("frozen  since {}: {}", safe(&frozen.since), safe(&frozen.why)));
        detail
            .push(format!("        `warrantd thaw {0}` or `warrantd kill {0}`", safe(&session.id)));
    }
    detail.extend(session.open.iter().map(|peer| format!("open    {}", safe(peer))));
    Row { cells, tone, detail }
}

fn receiver(receiver: &ReceiverView) -> Row {
    let (state, tone) = match (receiver.up, receiver.failures) {
        (true, _) => ("up", Tone::Plain),
        (false, 0) => ("-", Tone::Plain),
        (false, _) => ("DOWN", Tone::Bad),
    };
    let error = receiver.last_error.as_deref().unwrap_or_default();
    let cells = vec![
        cell(&receiver.name),
        cell(state),
        Cell::count(receiver.behind),
        Cell::count(receiver.events),
        Cell::count(receiver.failures),
        Cell::count(receiver.rejected),
        cell(error),
    ];
    let detail = vec![
        format!("receiver {}, {state}", safe(&receiver.name)),
        format!("behind   {} records; {} were gone before", receiver.behind, receiver.missed),
        format!("sent     {} events, {} were refused", receiver.events, receiver.rejected),
        format!("last     {}", safe(receiver.last_sent.as_deref().unwrap_or("never"))),
        format!("error    {}", if error.is_empty() { "none".to_owned() } else { safe(error) }),
    ];
    Row { cells, tone, detail }
}

/// `3d 4h`.
pub(super) fn uptime(overview: &Overview) -> String {
    span(overview.uptime_ms)
}
