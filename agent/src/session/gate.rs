//! The response gate's books: which requests are in flight, and whose effects are whose.
//!
//! Every drain's effects are judged at once, against the warrants in flight at that moment, and
//! entered for each request in flight. With none in flight they belong to no call. Until the first
//! call they belong to the server's start. Pure: drained effects are handed in.
//!
//! An effect of a process that a call left behind is judged by when it happens, not by which call
//! started the process: with calls in flight against their warrants, else as of no call. A process
//! that works for several calls is then never given the warrant of one that has ended.

use std::collections::HashMap;
use std::time::Instant;

use super::clients::{ClientKey, Key};
use super::request::{Request, Task};
use crate::warrant::{
    Ambient, Effect, EffectKind, Judged, Observation, Standing, Verdict, Warrant, judge,
};

/// What a drain brought.
#[derive(Debug, Default)]
pub(super) struct Drain {
    pub(super) effects: Vec<Effect>,
    /// Effects beside these that the session may have at any time: questions to its resolver.
    pub(super) ambient: u64,
    pub(super) lost: u64,
    pub(super) cut: bool,
}

/// The books of one session.
#[derive(Debug)]
pub(super) struct Gate {
    flight: HashMap<Key, Request>,
    /// The server's start, until the first call.
    startup: Option<(Warrant, Observation)>,
    unsolicited: Observation,
}

impl Gate {
    /// Books of a server that is being started with leave for `startup`.
    pub(super) fn new(startup: Warrant) -> Self {
        Self {
            flight: HashMap::new(),
            startup: Some((startup, Observation::default())),
            unsolicited: Observation::default(),
        }
    }

    /// Replaces the leave for the start, while it lasts.
    pub(super) fn renew_startup(&mut self, leave: &Warrant) {
        if let Some((startup, _)) = &mut self.startup {
            startup.clone_from(leave);
        }
    }

    /// Judges and enters what a drain brought. What is entered is what `shown` makes of each effect:
    /// it is judged before, because what is taken out for the log may be what policy asks for.
    pub(super) fn enter(
        &mut self,
        drain: Drain,
        ambient: &Ambient,
        shown: impl Fn(Effect) -> Effect,
    ) {
        let Self { flight, startup, unsolicited } = self;
        for effect in drain.effects {
            // Nothing left the host, and no call in flight began the connection.
            if effect.kind == EffectKind::LatePacket {
                unsolicited.add(Judged { effect, standing: Standing::Exceeded });
                continue;
            }
            let standing = judge(&effect, in_force(flight, startup.as_ref(), None), ambient);
            let judged = Judged { effect: shown(effect), standing };
            each(flight, startup, unsolicited, |to| to.add(judged.clone()));
        }
        if drain.ambient > 0 {
            each(flight, startup, unsolicited, |to| to.ambient += drain.ambient);
        }
        if drain.lost > 0 || drain.cut {
            each(flight, startup, unsolicited, |to| {
                to.lost += drain.lost;
                to.cut |= drain.cut;
            });
        }
    }

    /// The warrants in force, but for that of a request that is ending.
    pub(super) fn warrants(&self, ending: Option<&Key>) -> impl Iterator<Item = &Warrant> {
        in_force(&self.flight, self.startup.as_ref(), ending)
    }

    /// Puts a request in flight. What came before must have been entered.
    pub(super) fn begin(&mut self, key: Key, mut request: Request, now: Instant) {
        request.begun = Some(now);
        // A request that cannot act has no warrant to share.
        if request.call.is_some() {
            for other in self.flight.values_mut().filter(|other| other.call.is_some()) {
                (other.shared, request.shared) = (true, true);
            }
        }
        self.flight.insert(key, request);
    }

    /// Keeps a call in flight that was answered and goes on as a task.
    pub(super) fn go_on(&mut self, id: Key, request: Request, task: Task) {
        self.flight.insert(id, Request { task: Some(task), ..request });
    }

    /// The actor's request in flight that has become this task.
    pub(super) fn call_of_task(&self, task: &str, actor: &str) -> Option<&Key> {
        let is = |request: &Request| {
            request.task.as_ref().is_some_and(|own| own.id == task) && request.who.actor() == actor
        };
        self.flight.iter().find(|(_, request)| is(request)).map(|(key, _)| key)
    }

    /// Whether a call in flight has become this task, whoever made it.
    pub(super) fn is_task(&self, task: &str) -> bool {
        self.flight.values().any(|request| request.task.as_ref().is_some_and(|own| own.id == task))
    }

    /// How many calls go on as tasks.
    pub(super) fn tasks(&self) -> usize {
        self.flight.values().filter(|request| request.task.is_some()).count()
    }

    /// A request in flight.
    pub(super) fn request(&self, id: &Key) -> Option<&Request> {
        self.flight.get(id)
    }

    /// The requests in flight.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.flight.values()
    }

    /// Whether a call is in flight, or a task.
    pub(super) fn has_calls(&self) -> bool {
        self.flight.values().any(|request| request.call.is_some())
    }

    /// Takes a request out of flight. What it caused must have been entered.
    pub(super) fn end(&mut self, id: &Key) -> Option<Request> {
        self.flight.remove(id)
    }

    /// Takes every request out of flight.
    pub(super) fn end_all(&mut self) -> Vec<(Key, Request)> {
        self.flight.drain().collect()
    }

    /// The clients of the requests in flight that can be said to have caused something.
    pub(super) fn callers(&self) -> impl Iterator<Item = ClientKey> {
        let acting = self.flight.iter().filter(|(_, request)| !request.standing);
        acting.map(|(key, _)| key.client)
    }

    /// When the next call has taken as long as it may.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.flight.values().filter_map(Request::deadline).min()
    }

    /// The calls that have taken as long as they may.
    pub(super) fn overdue(&self, now: Instant) -> Vec<Key> {
        let late = |request: &Request| request.deadline().is_some_and(|deadline| deadline <= now);
        self.flight.iter().filter(|(_, request)| late(request)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn in_flight(&self, id: &Key) -> bool {
        self.flight.contains_key(id)
    }

    /// Whether nobody waits for an answer, but who listens for as long as it pleases.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.values().all(|request| request.task.is_some() || request.standing)
    }

    /// The requests in flight of a client.
    pub(super) fn of_client(&self, client: ClientKey) -> impl Iterator<Item = (&Key, &Request)> {
        self.flight.iter().filter(move |(key, _)| key.client == client)
    }

    /// What is known of the server's start; nothing bad once it is over.
    pub(super) fn startup_verdict(&self) -> Verdict {
        self.startup.as_ref().map_or(Verdict::Within, |(_, observation)| observation.verdict())
    }

    /// Whether the server is still starting.
    pub(super) fn is_starting(&self) -> bool {
        self.startup.is_some()
    }

    /// Whether the server has yet to answer `initialize`. What it does until then is its start, so
    /// no call may be mixed with it.
    pub(super) fn awaits_initialize(&self) -> bool {
        self.is_starting() && self.flight.values().any(|request| request.method == "initialize")
    }

    /// Ends the server's start, once, and gives what was seen of it.
    pub(super) fn started(&mut self) -> Option<Observation> {
        self.startup.take().map(|(_, observation)| observation)
    }

    /// What belongs to no call since this was last asked, if anything is beyond ambient or lost.
    pub(super) fn take_unsolicited(&mut self) -> Option<Observation> {
        let seen = std::mem::take(&mut self.unsolicited);
        (seen.verdict() != Verdict::Within).then_some(seen)
    }

    /// Whether a request in flight has an effect that nothing covers, or lost events. What the
    /// server says meanwhile may come from there.
    pub(super) fn worst_in_flight(&self) -> Verdict {
        let acting = self.flight.values().filter(|request| !request.standing);
        let verdicts = acting.map(|request| request.observation.verdict());
        verdicts.fold(Verdict::Within, |worst, verdict| match (worst, verdict) {
            (Verdict::Exceeded, _) | (_, Verdict::Exceeded) => Verdict::Exceeded,
            (Verdict::Within, other) => other,
            (worst, _) => worst,
        })
    }
}

/// The warrants in force, but for that of a request that is ending.
fn in_force<'a>(
    flight: &'a HashMap<Key, Request>,
    startup: Option<&'a (Warrant, Observation)>,
    ending: Option<&Key>,
) -> impl Iterator<Item = &'a Warrant> {
    let others = flight.iter().filter(move |(id, _)| Some(*id) != ending);
    let calls = others.filter_map(|(_, request)| Some(&request.call.as_ref()?.warrant));
    calls.chain(startup.map(|(warrant, _)| warrant))
}

/// Does something to every observation that the current effects belong to.
fn each(
    flight: &mut HashMap<Key, Request>,
    startup: &mut Option<(Warrant, Observation)>,
    unsolicited: &mut Observation,
    mut enter: impl FnMut(&mut Observation),
) {
    if let Some((_, observation)) = startup {
        enter(observation);
        return;
    }
    let mut caused = false;
    for request in flight.values_mut().filter(|request| !request.standing) {
        caused = true;
        enter(&mut request.observation);
    }
    if !caused {
        enter(unsolicited);
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::CallInfo;
    use super::*;
    use crate::audit::Attribution;
    use crate::warrant::{EffectKind, FileTarget, Outcome, Process, Target};

    fn same(effect: Effect) -> Effect {
        effect
    }

    fn read(path: &str) -> Drain {
        let target = FileTarget { path: path.into(), dev: 1, ino: 1, truncated: false };
        let effect = Effect {
            kind: EffectKind::FileRead,
            outcome: Outcome::Allowed,
            target: Target::File(target),
            argv: Vec::new(),
            argv_cut: false,
            process: Process { pid: 7, tid: 7, uid: 1, exe: "/bin/x".into() },
            seq: 1,
            boot_ns: 1,
        };
        Drain { effects: vec![effect], ..Drain::default() }
    }

    fn request(path: &str) -> Request {
        Request::of_test("tools/call", Some(CallInfo::reading(path)))
    }

    fn gate() -> (Gate, Ambient) {
        let mut gate = Gate::new(Warrant::default());
        let _ = gate.started();
        (gate, Ambient::new(&[], &[], "/srv").expect("floor"))
    }

    #[test]
    fn a_call_alone_is_judged_by_its_own_warrant() {
        let (mut gate, ambient) = gate();
        gate.begin(Key::of(1), request("/srv/a"), Instant::now());
        gate.enter(read("/srv/a"), &ambient, same);
        gate.enter(read("/usr/lib/x.so"), &ambient, same);
        let call = gate.end(&Key::of(1)).expect("in flight");
        assert_eq!(call.observation().verdict(), Verdict::Within);
        assert_eq!(call.attribution(), Attribution::Exclusive);
        gate.begin(Key::of(2), request("/srv/a"), Instant::now());
        gate.enter(read("/srv/b"), &ambient, same);
        let call = gate.end(&Key::of(2)).expect("in flight");
        assert_eq!(call.observation().verdict(), Verdict::Exceeded);
    }

    #[test]
    fn calls_in_flight_together_share_their_warrants_and_their_effects() {
        let (mut gate, ambient) = gate();
        gate.begin(Key::of(1), request("/srv/a"), Instant::now());
        gate.begin(Key::of(2), request("/srv/b"), Instant::now());
        gate.enter(read("/srv/a"), &ambient, same);
        let first = gate.end(&Key::of(1)).expect("in flight");
        // The first call has ended; what it did while both flew is not held against the second.
        gate.enter(read("/srv/b"), &ambient, same);
        let second = gate.end(&Key::of(2)).expect("in flight");
        for call in [&first, &second] {
            assert_eq!(call.observation().verdict(), Verdict::Within);
            assert_eq!(call.attribution(), Attribution::Shared);
        }
    }

    #[test]
    fn a_request_that_cannot_act_shares_nothing() {
        let (mut gate, ambient) = gate();
        gate.begin(Key::of(1), request("/srv/a"), Instant::now());
        let list = Request::of_test("tools/list", None);
        gate.begin(Key::of(2), list, Instant::now());
        gate.enter(read("/srv/b"), &ambient, same);
        let call = gate.end(&Key::of(1)).expect("in flight");
        assert_eq!(call.attribution(), Attribution::Exclusive);
        assert_eq!(call.observation().verdict(), Verdict::Exceeded);
        let list = gate.end(&Key::of(2)).expect("in flight");
        assert_eq!(list.observation().verdict(), Verdict::Exceeded, "either may have done it");
    }

    #[test]
    fn a_task_keeps_its_warrant_after_its_answer() {
        let (mut gate, ambient) = gate();
        let id = Key::of(1);
        gate.begin(id.clone(), request("/srv/a"), Instant::now());
        let call = gate.end(&id).expect("in flight");
        gate.go_on(id.clone(), call, Task { id: "t".into(), expires: None });
        assert!(gate.is_idle() && gate.has_calls() && gate.tasks() == 1);
        assert_eq!(gate.call_of_task("t", ""), Some(&id));
        assert_eq!(gate.call_of_task("u", ""), None);
        gate.enter(read("/srv/a"), &ambient, same);
        gate.begin(Key::of(2), request("/srv/b"), Instant::now());
        gate.enter(read("/srv/c"), &ambient, same);
        let task = gate.end(&id).expect("in flight");
        assert_eq!(task.observation().judged.len(), 2);
        assert_eq!(task.observation().verdict(), Verdict::Exceeded);
        assert_eq!(task.attribution(), Attribution::Shared);
        gate.enter(read("/srv/a"), &ambient, same);
        let other = gate.end(&Key::of(2)).expect("in flight");
        assert_eq!(other.observation().exceeded().count(), 2, "the task's warrant has ended");
    }

    #[test]
    fn effects_between_calls_are_unsolicited() {
        let (mut gate, ambient) = gate();
        gate.enter(read("/usr/lib/x.so"), &ambient, same);
        assert!(gate.take_unsolicited().is_none(), "ambient effects need no record");
        gate.enter(read("/etc/passwd"), &ambient, same);
        let seen = gate.take_unsolicited().expect("seen");
        assert_eq!(seen.exceeded().count(), 1);
        assert!(gate.take_unsolicited().is_none());
        gate.begin(Key::of(1), request("/srv/a"), Instant::now());
        assert_eq!(gate.worst_in_flight(), Verdict::Within, "nor are they held against a call");
    }

    #[test]
    fn loss_makes_every_request_in_flight_incomplete() {
        let (mut gate, ambient) = gate();
        gate.begin(Key::of(1), request("/srv/a"), Instant::now());
        gate.enter(Drain { lost: 3, ..Drain::default() }, &ambient, same);
        assert_eq!(gate.worst_in_flight(), Verdict::Incomplete);
        gate.enter(read("/etc/passwd"), &ambient, same);
        assert_eq!(gate.worst_in_flight(), Verdict::Exceeded);
    }

    #[test]
    fn the_start_ends_once() {
        let mut gate = Gate::new(Warrant::default());
        let ambient = Ambient::new(&[], &[], "/srv").expect("floor");
        gate.enter(read("/etc/hosts"), &ambient, same);
        assert_eq!(gate.started().expect("starting").exceeded().count(), 1);
        assert!(gate.started().is_none());
    }
}
