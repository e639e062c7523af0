//! How a call came out.

use super::entry::Entry;

/// How a call came out, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It did more than its warrant allows.
    Exceeded,
    /// Kernel events were lost, so nobody can say.
    Incomplete,
    /// There was no kernel view.
    Unobserved,
    /// Policy denied it, and the server never saw it.
    Denied,
    /// It was allowed and brought no answer.
    Failed,
    /// It kept to its warrant.
    Within,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] = [
        Self::Exceeded,
        Self::Incomplete,
        Self::Unobserved,
        Self::Denied,
        Self::Failed,
        Self::Within,
    ];

    /// That of a call.
    pub(super) fn of(entry: &Entry) -> Self {
        match entry.verdict() {
            "EXCEEDED" => Self::Exceeded,
            "INCOMPLETE" => Self::Incomplete,
            _ if entry.is_denied() && !entry.is_observed() => Self::Denied,
            "UNOBSERVED" => Self::Unobserved,
            _ if !entry.succeeded() => Self::Failed,
            "WITHIN" => Self::Within,
            // A word that this version does not know says nothing good.
            _ => Self::Unobserved,
        }
    }

    /// That of effects which belong to no call.
    pub(super) fn of_effects(entry: &Entry) -> Self {
        match entry.verdict() {
            "EXCEEDED" => Self::Exceeded,
            "INCOMPLETE" => Self::Incomplete,
            "WITHIN" => Self::Within,
            _ => Self::Unobserved,
        }
    }

    /// In a word. It is also its class in the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Incomplete => "incomplete",
            Self::Unobserved => "unobserved",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Within => "within",
        }
    }

    /// For who reads the word for the first time.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Exceeded => "did more than their warrant allows",
            Self::Incomplete => "kernel events were lost: nobody can say",
            Self::Unobserved => "ran without a kernel view",
            Self::Denied => "by policy; the server never saw them",
            Self::Failed => "allowed, and brought no answer",
            Self::Within => "kept to their warrant",
        }
    }
}

/// How many calls came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcomes([u64; Outcome::ALL.len()]);

impl Outcomes {
    pub(super) fn add(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }

    pub(super) fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// With their counts, the gravest first.
    pub(super) fn each(&self) -> impl Iterator<Item = (Outcome, u64)> + use<> {
        Outcome::ALL.into_iter().zip(self.0)
    }
}

/// How much a record matters to somebody who looks for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It is as it should be.
    Ordinary,
    /// It is good to know.
    Notable,
    /// Somebody should look.
    Grave,
}

impl Weight {
    /// That of a record.
    pub(super) fn of(entry: &Entry) -> Self {
        let verdict = entry.verdict();
        let lost = entry.effects.as_ref().is_some_and(|e| e.counts.lost > 0 || e.counts.cut);
        let denied = entry.is_denied();
        let failed = entry.status.as_ref().is_some_and(|status| !status.is("SUCCESS"));
        match entry.event.as_str() {
            _ if matches!(verdict, "EXCEEDED" | "INCOMPLETE") || lost => Self::Grave,
            "frozen" | "gap" | "log_failure" | "repair" | "alert" | "tool_changed" => Self::Grave,
            _ if denied || failed || verdict == "UNOBSERVED" => Self::Notable,
            "session_end" if entry.error.is_some() => Self::Notable,
            "authentication" | "protocol_error" | "name_refused" | "tool_new" | "tool_vanished"
            | "thawed" | "killed" | "reload" | "start" | "stop" | "retention" => Self::Notable,
            _ => Self::Ordinary,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(value: &Value) -> Entry {
        Entry::read(value.to_string().as_bytes()).expect("a record")
    }

    fn call(decision: &str, mode: &str, status: &str, verdict: Option<&str>) -> Outcome {
        let effects = verdict.map(|verdict| json!({"verdict": verdict}));
        Outcome::of(&entry(&json!({
            "event": "call", "policy_decision": decision, "mode": mode, "status": status,
            "effects": effects,
        })))
    }

    #[test]
    fn what_the_kernel_saw_outweighs_what_policy_said() {
        let within = Some("WITHIN");
        assert_eq!(call("ALLOW", "enforce", "SUCCESS", within), Outcome::Within);
        assert_eq!(call("ALLOW", "enforce", "TIMEOUT", within), Outcome::Failed);
        assert_eq!(call("ALLOW", "enforce", "FAILURE", None), Outcome::Failed);
        assert_eq!(call("DENY", "enforce", "FAILURE", None), Outcome::Denied);
        assert_eq!(call("DENY", "observe", "SUCCESS", within), Outcome::Within);
        assert_eq!(call("DENY", "observe", "SUCCESS", Some("EXCEEDED")), Outcome::Exceeded);
        assert_eq!(call("ALLOW", "enforce", "FAILURE", Some("EXCEEDED")), Outcome::Exceeded);
        assert_eq!(call("ALLOW", "enforce", "SUCCESS", Some("UNOBSERVED")), Outcome::Unobserved);
        assert_eq!(call("ALLOW", "enforce", "SUCCESS", Some("FINE")), Outcome::Unobserved);
    }

    #[test]
    fn lost_events_are_grave_whatever_the_verdict_says() {
        let weight = |value: Value| Weight::of(&entry(&value));
        let lost =
            json!({"event": "startup", "effects": {"verdict": "WITHIN", "counts": {"lost": 1}}});
        assert_eq!(weight(lost), Weight::Grave);
        assert_eq!(weight(json!({"event": "session_end"})), Weight::Ordinary);
        assert_eq!(weight(json!({"event": "session_end", "error": "x"})), Weight::Notable);
    }

    #[test]
    fn counts_add_up() {
        let (mut a, mut b) = (Outcomes::default(), Outcomes::default());
        a.add(Outcome::Denied);
        b.add(Outcome::Denied);
        b.add(Outcome::Within);
        a.merge(&b);
        assert_eq!((a.of(Outcome::Denied), a.of(Outcome::Within), a.total()), (2, 1, 3));
    }
}
