//! How often: true sliding windows and calls in flight, by actor and tool and by actor alone.
//!
//! A window keeps the times of the calls it let through, at most as many as its limit, so memory
//! is bounded by the policy whatever the traffic. Refused calls do not count. Time is an argument:
//! any clock that does not go back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::config::{MethodsSection, Problem, RateLimit};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A window remembers every call it let through, so a limit cannot be arbitrarily large.
const MOST_CALLS: u32 = 100_000;

/// The limits of a policy.
#[derive(Debug, Default)]
pub struct RateLimits {
    tools: BTreeMap<String, RateLimit>,
    methods: BTreeMap<String, RateLimit>,
    actors: BTreeMap<String, RateLimit>,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A tool.
    Tool(&'a str),
    /// Another method.
    Method(&'a str),
}

/// A call that came too soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooSoon {
    /// The key of the limit, such as `rate_limits.fetch.max_calls_per_minute`.
    pub rule: String,
    /// Why, in one line.
    pub reason: String,
    /// When a slot will be free; `None` for a limit of calls in flight or one that allows none.
    pub retry_after: Option<Duration>,
}

impl RateLimits {
    /// Validates limits by tool, those of methods and, with the position of the actor in the file, by actor.
    pub fn compile<'a>(
        tools: &BTreeMap<String, RateLimit>,
        section: &MethodsSection,
        actors: impl Iterator<Item = (usize, &'a str, &'a RateLimit)>,
    ) -> Result<Self, Problem> {
        for (tool, limit) in tools {
            check(limit, &format!("rate_limits.{tool}"))?;
        }
        let mut methods = BTreeMap::new();
        for (method, _, limit) in section.by_method() {
            let Some(limit) = limit else { continue };
            check(limit, &format!("methods.{method}.rate_limit"))?;
            methods.insert(method.to_owned(), limit.clone());
        }
        let mut by_actor = BTreeMap::new();
        for (index, actor, limit) in actors {
            check(limit, &format!("actors[{index}].rate_limit"))?;
            by_actor.insert(actor.to_owned(), limit.clone());
        }
        Ok(Self { tools: tools.clone(), methods, actors: by_actor })
    }

    fn of(&self, subject: Subject) -> Option<&RateLimit> {
        match subject {
            Subject::Tool(tool) => self.tools.get(tool),
            Subject::Method(method) => self.methods.get(method),
        }
    }
}

fn check(limit: &RateLimit, key: &str) -> Result<(), Problem> {
    let fields = [
        ("max_calls_per_minute", limit.max_calls_per_minute),
        ("max_calls_per_hour", limit.max_calls_per_hour),
    ];
    for (name, most) in fields {
        if most.is_some_and(|most| most > MOST_CALLS) {
            let message =
                format!("at most {MOST_CALLS} can be counted; remove the key for no limit");
            return Err(Problem::new(format!("{key}.{name}"), message));
        }
    }
    Ok(())
}

/// What was called when.
#[derive(Debug, Default)]
pub struct RateLimiter {
    actors: HashMap<String, ActorWindows>,
}

#[derive(Debug, Default)]
struct ActorWindows {
    all: Window,
    tools: HashMap<String, Window>,
    methods: HashMap<String, Window>,
}

impl ActorWindows {
    fn of(&mut self, subject: Subject) -> Option<&mut Window> {
        match subject {
            Subject::Tool(tool) => self.tools.get_mut(tool),
            Subject::Method(method) => self.methods.get_mut(method),
        }
    }

    fn open(&mut self, subject: Subject) {
        let (windows, name) = match subject {
            Subject::Tool(tool) => (&mut self.tools, tool),
            Subject::Method(method) => (&mut self.methods, method),
        };
        if !windows.contains_key(name) {
            windows.insert(name.to_owned(), Window::default());
        }
    }
}

impl RateLimiter {
    /// Lets a call through and counts it, or says when to come again. A call that was let through
    /// must be ended with [`RateLimiter::end`].
    pub fn begin(
        &mut self,
        limits: &RateLimits,
        actor: &str,
        subject: Subject,
        now: Duration,
    ) -> Result<(), TooSoon> {
        let by_subject = limits.of(subject);
        let by_actor = limits.actors.get(actor);
        if by_subject.is_none() && by_actor.is_none() {
            return Ok(());
        }
        if !self.actors.contains_key(actor) {
            self.actors.insert(actor.to_owned(), ActorWindows::default());
        }
        let Some(windows) = self.actors.get_mut(actor) else { return Ok(()) };
        if by_subject.is_some() {
            windows.open(subject);
        }
        // Ask both before counting in either: a refused call does not count.
        if let (Some(limit), Some(window)) = (by_subject, windows.of(subject)) {
            window.ask(limit, now, || subject.rule())?;
        }
        if let Some(limit) = by_actor {
            windows.all.ask(limit, now, || format!("rate_limit of actor `{actor}`"))?;
        }
        if let (Some(limit), Some(window)) = (by_subject, windows.of(subject)) {
            window.count(limit, now);
        }
        if let Some(limit) = by_actor {
            windows.all.count(limit, now);
        }
        Ok(())
    }

    /// Ends a call that was let through.
    pub fn end(&mut self, limits: &RateLimits, actor: &str, subject: Subject) {
        let Some(windows) = self.actors.get_mut(actor) else { return };
        if limits.of(subject).is_some()
            && let Some(window) = windows.of(subject)
        {
            window.in_flight = window.in_flight.saturating_sub(1);
        }
        if limits.actors.contains_key(actor) {
            windows.all.in_flight = windows.all.in_flight.saturating_sub(1);
        }
    }
}

impl Subject<'_> {
    /// The key of its limit.
    fn rule(self) -> String {
        match self {
            Self::Tool(tool) => format!("rate_limits.{tool}"),
            Self::Method(method) => format!("methods.{method}.rate_limit"),
        }
    }
}

#[derive(Debug, Default)]
struct Window {
    /// Times of calls in nanoseconds, oldest first.
    calls: VecDeque<u64>,
    in_flight: u32,
}

impl Window {
    fn ask(
        &mut self,
        limit: &RateLimit,
        now: Duration,
        rule: impl Fn() -> String,
    ) -> Result<(), TooSoon> {
        if let Some(most) = limit.max_concurrent_calls
            && self.in_flight >= most
        {
            return Err(TooSoon {
                rule: format!("{}.max_concurrent_calls", rule()),
                reason: format!("{most} calls are in flight already"),
                retry_after: None,
            });
        }
        let spans = [
            (limit.max_calls_per_minute, MINUTE, "minute"),
            (limit.max_calls_per_hour, HOUR, "hour"),
        ];
        for (most, span, name) in spans {
            let Some(most) = most else { continue };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            if self.calls.len() < most {
                continue; // Whenever they were.
            }
            let (span, now) = (nanos(span), nanos(now));
            let recent = self.calls.len() - self.calls.partition_point(|at| *at + span <= now);
            if recent >= most {
                // The call that must leave the window before another fits.
                let leaving = self.calls.len().checked_sub(most).and_then(|at| self.calls.get(at));
                return Err(TooSoon {
                    rule: format!("{}.max_calls_per_{name}", rule()),
                    reason: format!("{most} calls in the last {name} are the limit"),
                    retry_after: leaving
                        .filter(|_| most > 0)
                        .map(|at| Duration::from_nanos((*at + span).saturating_sub(now))),
                });
            }
        }
        Ok(())
    }

    fn count(&mut self, limit: &RateLimit, now: Duration) {
        self.in_flight += 1;
        let (span, most) = match (limit.max_calls_per_hour, limit.max_calls_per_minute) {
            (Some(most), _) => (HOUR, most),
            (None, Some(most)) => (MINUTE, most),
            (None, None) => return,
        };
        let (span, now) = (nanos(span), nanos(now));
        while self.calls.front().is_some_and(|at| *at + span <= now) {
            self.calls.pop_front();
        }
        self.calls.push_back(now);
        // A window of an hour also holds the last minute's calls, so one list serves both.
        debug_assert!(self.calls.len() <= usize::try_from(most).unwrap_or(usize::MAX));
    }
}

/// What a clock shows, in half the memory; it goes on for five hundred years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(minute: Option<u32>, hour: Option<u32>, concurrent: Option<u32>) -> RateLimits {
        let limit = RateLimit {
            max_calls_per_minute: minute,
            max_calls_per_hour: hour,
            max_concurrent_calls: concurrent,
        };
        let tools = BTreeMap::from([("t".to_owned(), limit)]);
        RateLimits::compile(&tools, &MethodsSection::default(), std::iter::empty())
            .expect("compiles")
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn minute_and_hour_hold_together() {
        let limits = limits(Some(2), Some(3), None);
        let mut limiter = RateLimiter::default();
        let mut call = |second| limiter.begin(&limits, "a", Subject::Tool("t"), at(second));
        assert_eq!(call(0), Ok(()));
        assert_eq!(call(30), Ok(()));
        let soon = call(59).expect_err("two in a minute");
        assert_eq!(soon.retry_after, Some(at(1)));
        assert_eq!(call(60), Ok(()), "the window slides");
        let soon = call(3599).expect_err("three in an hour");
        assert_eq!(soon.rule, "rate_limits.t.max_calls_per_hour");
        assert_eq!(soon.retry_after, Some(at(1)));
        assert_eq!(call(3600), Ok(()));
    }

    #[test]
    fn actors_and_tools_do_not_share_windows() {
        let limits = limits(Some(1), None, None);
        let mut limiter = RateLimiter::default();
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("t"), at(0)), Ok(()));
        assert_eq!(limiter.begin(&limits, "b", Subject::Tool("t"), at(0)), Ok(()));
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("free"), at(0)), Ok(()));
        assert!(limiter.begin(&limits, "a", Subject::Tool("t"), at(0)).is_err());
        assert_eq!(limiter.actors.len(), 2, "what is not limited is not remembered");
    }

    #[test]
    fn an_actor_can_be_limited_over_all_its_tools() {
        let limit = RateLimit { max_calls_per_minute: Some(2), ..RateLimit::default() };
        let actors = [(0, "a", &limit)].into_iter();
        let limits = RateLimits::compile(&BTreeMap::new(), &MethodsSection::default(), actors)
            .expect("compiles");
        let mut limiter = RateLimiter::default();
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("x"), at(0)), Ok(()));
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("y"), at(0)), Ok(()));
        assert!(limiter.begin(&limits, "a", Subject::Tool("z"), at(0)).is_err());
    }

    #[test]
    fn calls_in_flight_are_limited_until_they_end() {
        let limits = limits(None, None, Some(1));
        let mut limiter = RateLimiter::default();
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("t"), at(0)), Ok(()));
        assert!(
            limiter
                .begin(&limits, "a", Subject::Tool("t"), at(0))
                .is_err_and(|e| e.retry_after.is_none())
        );
        limiter.end(&limits, "a", Subject::Tool("t"));
        assert_eq!(limiter.begin(&limits, "a", Subject::Tool("t"), at(0)), Ok(()));
    }

    #[test]
    fn a_limit_of_none_allows_none() {
        let limits = limits(Some(0), None, None);
        let soon = RateLimiter::default()
            .begin(&limits, "a", Subject::Tool("t"), at(0))
            .expect_err("none");
        assert_eq!(soon.retry_after, None);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_its_limit(
            steps in proptest::collection::vec(0_u64..40, 0..200),
            minute in 1_u32..5,
            hour in 1_u32..20,
        ) {
            let limits = limits(Some(minute), Some(hour), None);
            let mut limiter = RateLimiter::default();
            let mut now = 0;
            let mut passed: Vec<u64> = Vec::new();
            for step in steps {
                now += step;
                let recent = |span: u64| passed.iter().filter(|t| **t + span > now).count();
                let fits = recent(60) < minute as usize && recent(3600) < hour as usize;
                let verdict = limiter.begin(&limits, "a", Subject::Tool("t"), at(now));
                prop_assert_eq!(verdict.is_ok(), fits);
                match verdict {
                    Ok(()) => passed.push(now),
                    Err(soon) => {
                        // Coming again exactly when told is let through.
                        let wait = soon.retry_after.map_or(0, |wait| wait.as_secs());
                        prop_assert!(wait > 0);
                    }
                }
            }
        }
    }
}
