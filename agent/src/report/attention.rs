//! What needs attention, in words: for somebody who has ten seconds.

use super::entry::Deed;
use super::finding::Finding;
use super::foreign::Foreign;
use super::outcome::{Outcome, Outcomes};
use super::point::{Number, Point, Section, Urgency, many};
use super::reading::Report;

const ABOUT: Section = ("about", "About");
const DENIALS: Section = ("denials", "Denials");
const FINDINGS: Section = ("findings", "Findings");
const LOG: Section = ("log", "The log");
const PEERS: Section = ("peers", "Peers");
const SERVICE: Section = ("service", "Service");
const VERDICTS: Section = ("verdicts", "Verdicts");

/// What needs attention, the most urgent first.
pub(super) fn points(report: &Report) -> Vec<Point> {
    let mut points = Vec::new();
    log(report, &mut points);
    exceeded(report, &mut points);
    unseen(report, &mut points);
    operation(report, &mut points);
    denials(report, &mut points);
    points.sort_by_key(|point| point.urgency); // Stable.
    points
}

/// Whether the log can be believed.
fn log(report: &Report, points: &mut Vec<Point>) {
    for log in &report.logs {
        let Some(first) = log.findings.first() else { continue };
        let more = log.findings.len() as u64 - 1 + log.further_findings;
        let more = if more > 0 { format!(" ({} more)", Number(more)) } else { String::new() };
        let name = Foreign::from(log.name.as_str());
        let point = Point::new(Urgency::Act, LOG, "The log ").said(&name);
        let place = first.line.map_or_else(String::new, |line| format!("line {line} of it: "));
        points.push(
            point
                .words(format!(" is not as it was written: {place}"))
                .said(&first.what.as_str().into())
                .words(more),
        );
    }
    for id in &report.lacking {
        let words = "A log is missing of which a checkpoint was kept elsewhere: ";
        points.push(Point::new(Urgency::Act, LOG, words).said(&id.as_str().into()));
    }
    let facts = &report.facts;
    if facts.unreadable > 0 {
        let lines = many(facts.unreadable, "line");
        let words = format!("{lines} of the log could not be read as records.");
        points.push(Point::new(Urgency::Act, ABOUT, words));
    }
    if report.key.is_none() && facts.records > 0 {
        let words = "Signatures were not checked, for want of the public key: whoever could write the log's files \
                     could have written them anew.";
        points.push(Point::new(Urgency::Look, LOG, words));
    }
}

/// What was done beyond warrants.
fn exceeded(report: &Report, points: &mut Vec<Point>) {
    let facts = &report.facts;
    let (findings, _) = facts.findings.gravest(usize::MAX);
    let count = facts.calls.of(Outcome::Exceeded);
    if count > 0 {
        let (did, answers) = if count == 1 {
            ("its warrant allows", "Its answer")
        } else {
            ("their warrants allow", "Their answers")
        };
        let released = match (facts.released, count) {
            (0, 1) => " Its answer was withheld.".to_owned(),
            (0, _) => " No answer was released.".to_owned(),
            (n, all) if n == all => {
                format!(" {answers} {} released: policy only reports.", were(all))
            }
            (n, _) => {
                format!(" Of the answers, {} {} released: policy only reports.", Number(n), were(n))
            }
        };
        let refused = match (facts.only_tried, count) {
            (0, _) => "",
            (tried, all) if tried == all => " The kernel refused all that was too much.",
            _ => " In some of them the kernel refused all that was too much.",
        };
        let words = format!("{} did more than {did}", many(count, "call"));
        let point = Point::new(Urgency::Act, FINDINGS, words);
        let example =
            findings.iter().find(|f| f.first.is("call") && f.first.verdict() == "EXCEEDED");
        points.push(
            example
                .map_or(point.clone(), |finding| told(point, finding))
                .words(".")
                .words(refused)
                .words(released),
        );
    }
    let beside = facts.exceeded_beside();
    if beside > 0 {
        let words = format!(
            "Outside of calls, servers did what nothing allows, by {}",
            many(beside, "record")
        );
        let point = Point::new(Urgency::Act, FINDINGS, words);
        let example =
            findings.iter().find(|f| !f.first.is("call") && f.first.verdict() == "EXCEEDED");
        points.push(example.map_or(point.clone(), |finding| told(point, finding)).words("."));
    }
}

/// The example of a finding: which tool, and what it did first.
fn told(mut point: Point, finding: &Finding) -> Point {
    let entry = &finding.first;
    if let Some(what) = entry.what() {
        point = point.words(", such as ").said(what);
        if let Some(server) = &entry.server_id {
            point = point.words(" of ").said(server);
        }
    } else if let Some(server) = &entry.server_id {
        point = point.words(", such as ").said(server);
    }
    match entry.effects.as_ref().and_then(|effects| effects.exceeded.iter().next()) {
        Some(deed) => did(point.words(": "), deed),
        None => point,
    }
}

fn did(point: Point, deed: &Deed) -> Point {
    let point = point.said(&deed.kind).words(" ");
    let target = deed.path.as_ref().or(deed.peer.as_ref());
    let point = target.map_or(point.clone(), |target| point.said(target));
    if deed.is_refused() { point.words(" (refused by the kernel)") } else { point }
}

/// What nobody saw.
fn unseen(report: &Report, points: &mut Vec<Point>) {
    let facts = &report.facts;
    let incomplete = facts.calls.of(Outcome::Incomplete);
    if incomplete > 0 || facts.seen.lossy > 0 {
        let lost = match facts.seen.lost {
            0 => "not all was waited for".to_owned(),
            lost => format!("{} {} lost", many(lost, "kernel event"), were(lost)),
        };
        let of = [(incomplete, "call"), (facts.incomplete_beside(), "record beside calls")];
        let of = of.into_iter().filter(|(count, _)| *count > 0);
        let of: Vec<_> = of.map(|(count, thing)| many(count, thing)).collect();
        let of = if of.is_empty() { "what was seen".to_owned() } else { of.join(" and ") };
        let words = format!("Of {of} nobody can say in full what was done: {lost}.");
        points.push(Point::new(Urgency::Look, FINDINGS, words));
    }
    let unobserved = facts.calls.of(Outcome::Unobserved);
    if unobserved > 0 {
        let words = format!(
            "{} ran without a kernel view (UNOBSERVED): policy decided, and nobody saw what {} did.",
            many(unobserved, "call"),
            if unobserved == 1 { "it" } else { "they" },
        );
        points.push(Point::new(Urgency::Look, VERDICTS, words));
    }
    if facts.observed > 0 {
        let denied = if facts.not_enforced > 0 {
            format!("; {} of them would have been denied", Number(facts.not_enforced))
        } else {
            String::new()
        };
        let words = format!(
            "Policy was only tried (mode: observe) for {}{denied}.",
            many(facts.observed, "call")
        );
        points.push(Point::new(Urgency::Look, DENIALS, words));
    }
}

/// What happened to warrantd itself, and to its servers.
fn operation(report: &Report, points: &mut Vec<Point>) {
    let happenings = &report.facts.happenings;
    let count = |event| happenings.count(event);
    let mut point = |urgency, words: String| points.push(Point::new(urgency, SERVICE, words));
    if count("log_failure") > 0 {
        let times = many(count("log_failure"), "time");
        point(
            Urgency::Act,
            format!(
                "The log could not be written, {times}; calls were denied meanwhile, and records may be missing."
            ),
        );
    }
    if happenings.still_frozen() > 0 {
        let sessions = many(happenings.still_frozen() as u64, "session");
        point(
            Urgency::Act,
            format!(
                "{sessions} {} frozen, and neither thawed nor killed by the end of this report.",
                were(happenings.still_frozen() as u64)
            ),
        );
    }
    if count("tool_changed") > 0 {
        let changes = many(count("tool_changed"), "time");
        point(
            Urgency::Act,
            format!("A server described a tool otherwise than it was accepted, {changes}."),
        );
    }
    if count("gap") > 0 || happenings.unstopped() > 0 || count("repair") > 0 {
        point(
            Urgency::Look,
            "warrantd was killed and started again; what its servers did meanwhile is in the records of the gap."
                .to_owned(),
        );
    }
    if happenings.failed_reloads() > 0 {
        let reloads = many(happenings.failed_reloads(), "reload");
        point(Urgency::Look, format!("{reloads} failed, and left the configuration as it was."));
    }
    let new = count("tool_new") + count("tool_vanished");
    if new > 0 {
        point(
            Urgency::Know,
            format!("Servers listed new tools, or some no more, {}.", many(new, "time")),
        );
    }
    let reloads = count("reload") - happenings.failed_reloads();
    if count("start") + reloads > 0 {
        let (starts, reloads) = (many(count("start"), "start"), many(reloads, "reload"));
        point(Urgency::Know, format!("{starts} and {reloads} of the configuration."));
    }
    if count("retention") > 0 {
        point(Urgency::Know, "Old records were deleted, as configured.".to_owned());
    }
    for (rule, alert) in happenings.alerts(3) {
        let point = Point::new(Urgency::Look, SERVICE, "Alert ").said(rule);
        let times = format!(" was raised {}, last about ", many(alert.count, "time"));
        points.push(point.words(times).said(&alert.about).words("."));
    }
}

/// What was refused.
fn denials(report: &Report, points: &mut Vec<Point>) {
    let facts = &report.facts;
    let denied = facts.calls.of(Outcome::Denied);
    if denied > 0 {
        let words = format!("Policy denied {}", many(denied, "call"));
        let mut point = Point::new(Urgency::Look, DENIALS, words);
        let by_denied = |actor: &super::facts::Actor| actor.calls.of(Outcome::Denied);
        let (top, _) = facts.actors.top(1, by_denied);
        if let Some((actor, known)) = top.first().filter(|(actor, _)| !actor.as_str().is_empty()) {
            let share = by_denied(known);
            let of = if share == denied {
                " of ".to_owned()
            } else {
                format!(", {} of them of ", Number(share))
            };
            point = point.words(of).said(actor);
        }
        let (rules, _, _) = facts.denials.most(1);
        if let Some((rule, _)) = rules.first() {
            point = point.words(", mostly by ").said(rule);
        }
        points.push(point.words(". No server saw them."));
    }
    let (refusals, _, beyond) = facts.refusals.most(usize::MAX);
    let strangers = refusals.iter().filter(|(refused, _)| refused.event.is("authentication"));
    let strangers: u64 = strangers.map(|(_, refusal)| refusal.count).sum();
    if strangers > 0 {
        let words = format!("{} could not authenticate.", many(strangers, "caller"));
        points.push(Point::new(Urgency::Look, DENIALS, words));
    }
    let others: u64 =
        refusals.iter().map(|(_, refusal)| refusal.count).sum::<u64>() - strangers + beyond;
    if others > 0 {
        let words = format!("{} {} refused before policy.", many(others, "message"), were(others));
        points.push(Point::new(Urgency::Know, DENIALS, words));
    }
    let (_, refused) = facts.peers.counts();
    if refused > 0 {
        let words = format!("The kernel refused connections to {}.", many(refused as u64, "peer"));
        points.push(Point::new(Urgency::Look, PEERS, words));
    }
    let failed = facts.calls.of(Outcome::Failed);
    if failed > 0 {
        let timeouts = match facts.timeouts {
            0 => String::new(),
            n => format!(", {} of them because the tool took too long", Number(n)),
        };
        let words = format!(
            "{} {} allowed and brought no answer{timeouts}.",
            many(failed, "call"),
            were(failed)
        );
        points.push(Point::new(Urgency::Know, VERDICTS, words));
    }
}

fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// The sentence above all others.
pub(super) fn headline(points: &[Point], calls: &Outcomes) -> String {
    let of = |urgency| points.iter().filter(|point| point.urgency == urgency).count() as u64;
    match (of(Urgency::Act), of(Urgency::Look)) {
        (0, 0) if calls.total() == 0 => "No calls, and nothing that needs attention".to_owned(),
        (0, 0) => "Nothing needs attention".to_owned(),
        (0, 1) => "One thing to look at".to_owned(),
        (0, look) => format!("{} things to look at", Number(look)),
        (1, _) => "One thing needs action".to_owned(),
        (act, _) => format!("{} things need action", Number(act)),
    }
}
