//! Somebody is told of what goes wrong, and numbers can be read.

use super::finding::Finding;
use super::site::Site;
use crate::config::{AlertConfig, AlertWhen};

/// Looks at rules for alerts and at the metrics.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    let rules = &site.config.audit.alerts;
    let mut findings = Vec::new();
    let at = || site.place("audit.alerts");
    if rules.is_empty() {
        let todo = "add rules, at least `audit: {alerts: [{name: exceeded, when: {verdict: [EXCEEDED, \
                    INCOMPLETE]}}, {name: probing, when: {decision: [DENY]}, rate: {count: 20, within: 60s}}]}`";
        findings.push(Finding::bad("nobody is told of what the log shows").at(at()).todo(todo));
    } else {
        for (holds, what) in [
            (rules.iter().any(|rule| of_verdict(rule, "EXCEEDED")), "exceeds its warrant"),
            (rules.iter().any(of_denials), "is denied, again and again"),
        ] {
            findings.push(if holds {
                Finding::ok(format!("somebody is told when a call {what}"))
            } else {
                Finding::bad(format!("nobody is told when a call {what}"))
                    .at(at())
                    .todo("add a rule under `audit.alerts`")
            });
        }
        let heard = site.config.audit.ship.iter().any(|receiver| receiver.only.is_some())
            || rules.iter().any(|rule| rule.run.is_some())
            || !site.config.audit.ship.is_empty();
        if !heard {
            findings.push(
                Finding::bad("alerts are records of the log alone: nobody receives them")
                    .at(at())
                    .todo("add a receiver with `only: alerts`, or `run` to a rule"),
            );
        }
    }
    findings.push(match &site.config.metrics {
        Some(_) => Finding::ok("metrics can be read"),
        None => Finding::note("there are no metrics")
            .at(site.place("metrics"))
            .todo("add `metrics: {address: \"127.0.0.1:9464\"}`"),
    });
    findings
}

/// Whether a rule holds for calls of this verdict, whoever makes them.
fn of_verdict(rule: &AlertConfig, verdict: &str) -> bool {
    let AlertWhen { event, decision, verdict: verdicts, status, actor, tool, server } = &rule.when;
    let others = [event, decision, status, actor, tool, server];
    rule.first_seen.is_none()
        && others.iter().all(|list| list.is_empty())
        && verdicts.iter().any(|it| it == verdict)
}

fn of_denials(rule: &AlertConfig) -> bool {
    rule.when.decision.iter().any(|it| it == "DENY") && rule.first_seen.is_none()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    const EXCEEDED: &str = "{name: e, when: {verdict: [EXCEEDED, INCOMPLETE]}}";
    const PROBING: &str = "{name: p, when: {decision: [DENY]}, rate: {count: 20, within: 60s}}";
    const SHIP: &str = "ship: [{name: siem, to: journald}]";

    fn check(audit: &str) -> Vec<Finding> {
        super::check(&Place::new().site(&format!("audit: {{{audit}}}"), "", POLICY))
    }

    #[test]
    fn nobody_who_is_told_is_a_finding() {
        only_finding(&check(SHIP), "nobody is told of what the log shows");
        only_finding(&check(&format!("{SHIP}, alerts: [{EXCEEDED}]")), "denied, again");
        only_finding(&check(&format!("{SHIP}, alerts: [{PROBING}]")), "exceeds its warrant");
        let one = "{name: e, when: {verdict: [EXCEEDED], tool: [one]}}";
        only_finding(&check(&format!("{SHIP}, alerts: [{one}, {PROBING}]")), "exceeds");
        only_finding(&check(&format!("alerts: [{EXCEEDED}, {PROBING}]")), "nobody receives");
    }

    #[test]
    fn baseline_alerts_are_fine() {
        none_found(&check(&format!("{SHIP}, alerts: [{EXCEEDED}, {PROBING}]")));
        let runs = "{name: e, when: {verdict: [EXCEEDED]}, run: {argv: [/bin/true]}}";
        none_found(&check(&format!("alerts: [{runs}, {PROBING}]")));
    }

    #[test]
    fn metrics_are_asked_for() {
        assert!(of(Level::Note, &check("")).concat().contains("no metrics"));
        let place = Place::new();
        let site = place.site("metrics: {address: '127.0.0.1:9464'}", "", POLICY);
        assert!(of(Level::Note, &super::check(&site)).is_empty());
    }
}
