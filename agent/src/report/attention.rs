//! What needs attention, in words: for somebody who has ten seconds.

use std::fmt;

use super::entry::Deed;
use super::finding::Finding;
use super::foreign::Foreign;
use super::outcome::{Outcome, Outcomes};
use super::reading::Report;

/// How urgent something is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Somebody must act.
    Act,
    /// Somebody should look.
    Look,
    /// It is good to know.
    Know,
}

impl Urgency {
    /// Its class in the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Look => "look",
            Self::Know => "know",
        }
    }
}

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Our own words.
    Words(String),
    /// What the log says.
    Said(Foreign),
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) urgency: Urgency,
    pub(super) pieces: Vec<Piece>,
    /// Section of the page that tells more.
    pub(super) section: &'static str,
}

impl Point {
    fn new(urgency: Urgency, section: &'static str, words: impl Into<String>) -> Self {
        Self { urgency, pieces: vec![Piece::Words(words.into())], section }
    }

    fn words(mut self, words: impl Into<String>) -> Self {
        self.pieces.push(Piece::Words(words.into()));
        self
    }

    fn said(mut self, said: &Foreign) -> Self {
        self.pieces.push(Piece::Said(said.name()));
        self
    }

    /// As text.
    pub(super) fn plain(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Said(said) => said.plain(),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// A number as people read it: `12,345`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// So many of something: `1 call`, `2 calls`.
pub(super) fn many(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", Number(count), if count == 1 { "" } else { "s" })
}

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
        let point = Point::new(Urgency::Act, "log", "The log ").said(&name);
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
        points.push(Point::new(Urgency::Act, "log", words).said(&id.as_str().into()));
    }
    let facts = &report.facts;
    if facts.unreadable > 0 {
        let lines = many(facts.unreadable, "line");
        let words = format!("{lines} of the log could not be read as records.");
        points.push(Point::new(Urgency::Act, "about", words));
    }
    if report.key.is_none() && facts.records > 0 {
        let words = "Signatures were not checked, for want of the public key: whoever could write the log's files \
                     could have written them anew.";
        points.push(Point::new(Urgency::Look, "log", words));
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
        let words = format!("{} did more than {did}", many(count, "call"));
        let point = Point::new(Urgency::Act, "findings", words);
        let example =
            findings.iter().find(|f| f.first.is("call") && f.first.verdict() == "EXCEEDED");
        points.push(
            example
                .map_or(point.clone(), |finding| told(point, finding))
                .words(".")
                .words(released),
        );
    }
    let beside = facts.exceeded_beside();
    if beside > 0 {
        let words = "Servers did what nothing allows outside of calls (at their start, between calls, in tasks, or while \
                     no warrantd ran): ";
        let point = Point::new(Urgency::Act, "findings", words).words(many(beside, "record"));
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
            lost => format!("{} lost", many(lost, "kernel event")),
        };
        let words = format!(
            "Of {} and {} nobody can say in full what was done: {lost}.",
            many(incomplete, "call"),
            many(facts.incomplete_beside(), "other record"),
        );
        points.push(Point::new(Urgency::Look, "findings", words));
    }
    let unobserved = facts.calls.of(Outcome::Unobserved);
    if unobserved > 0 {
        let words = format!(
            "{} ran without a kernel view (UNOBSERVED): policy decided, and nobody saw what {} did.",
            many(unobserved, "call"),
            if unobserved == 1 { "it" } else { "they" },
        );
        points.push(Point::new(Urgency::Look, "verdicts", words));
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
        points.push(Point::new(Urgency::Look, "denials", words));
    }
}

/// What happened to warrantd itself, and to its servers.
fn operation(report: &Report, points: &mut Vec<Point>) {
    let happenings = &report.facts.happenings;
    let count = |event| happenings.count(event);
    let mut point = |urgency, words: String| points.push(Point::new(urgency, "service", words));
    if count("log_failure") > 0 {
        let times = many(count("log_failure"), "time");
        point(
            Urgency::Act,
            format!(
                "The log could not be written {times}; calls were denied meanwhile, and records may be missing."
            ),
        );
    }
    if happenings.still_frozen() > 0 {
        let sessions = many(happenings.still_frozen() as u64, "session");
        point(
            Urgency::Act,
            format!("{sessions} frozen, and neither thawed nor killed by the end of this report."),
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
        let point = Point::new(Urgency::Look, "service", "Alert ").said(rule);
        let times = format!(" {}, last about ", many(alert.count, "time"));
        points.push(point.words(times).said(&alert.about).words("."));
    }
}

/// What was refused.
fn denials(report: &Report, points: &mut Vec<Point>) {
    let facts = &report.facts;
    let denied = facts.calls.of(Outcome::Denied);
    if denied > 0 {
        let words = format!("Policy denied {}", many(denied, "call"));
        let mut point = Point::new(Urgency::Look, "denials", words);
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
        points.push(Point::new(Urgency::Look, "denials", words));
    }
    let others: u64 =
        refusals.iter().map(|(_, refusal)| refusal.count).sum::<u64>() - strangers + beyond;
    if others > 0 {
        let words = format!(
            "{} refused before policy, because they were no proper messages.",
            many(others, "message")
        );
        points.push(Point::new(Urgency::Know, "denials", words));
    }
    let (_, refused) = facts.peers.counts();
    if refused > 0 {
        let words = format!("The kernel refused connections to {}.", many(refused as u64, "peer"));
        points.push(Point::new(Urgency::Look, "peers", words));
    }
    let failed = facts.calls.of(Outcome::Failed);
    if failed > 0 {
        let timeouts = match facts.timeouts {
            0 => String::new(),
            n => format!(", {} of them for time", Number(n)),
        };
        let words = format!("{} allowed and brought no answer{timeouts}.", many(failed, "call"));
        points.push(Point::new(Urgency::Know, "verdicts", words));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(Number(number).to_string(), text);
        }
        assert_eq!((many(1, "call"), many(1_200, "call")), ("1 call".into(), "1,200 calls".into()));
    }
}
