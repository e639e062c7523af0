//! Events that are sent together as far as a receiver takes them together: what it refuses for good is halved
//! until it is one event, which is counted and passed over.

use http::StatusCode;

use super::error::{Failure, excerpt};
use super::post::{Post, is_final};
use super::sink::Delivered;
use crate::audit::format::Formatted;

/// What is still to be sent, and what was refused.
#[derive(Debug)]
pub(super) struct Portions<'a> {
    waiting: Vec<&'a [Formatted]>,
    rejected: u64,
    why: String,
}

impl<'a> Portions<'a> {
    pub(super) fn of(events: &'a [Formatted]) -> Self {
        Self { waiting: vec![events], rejected: 0, why: String::new() }
    }

    /// What is sent next.
    pub(super) fn next(&mut self) -> Option<&'a [Formatted]> {
        std::iter::from_fn(|| self.waiting.pop()).find(|events| !events.is_empty())
    }

    /// Takes an answer that is none of success. An error, if the same may be taken later.
    pub(super) fn refused(
        &mut self,
        events: &'a [Formatted],
        status: StatusCode,
        answer: &[u8],
    ) -> Result<(), Failure> {
        match events {
            _ if !is_final(status) => return Err(Failure::Status(status.as_u16())),
            [event] => {
                let why = format!("record {} was refused: {status} {}", event.seq, excerpt(answer));
                self.reject(1, why);
            }
            _ => {
                let (first, second) = events.split_at(events.len() / 2);
                self.waiting.extend([second, first]);
            }
        }
        Ok(())
    }

    /// Counts events that were refused for good.
    pub(super) fn reject(&mut self, events: u64, why: String) {
        self.rejected += events;
        if events > 0 {
            self.why = why;
        }
    }

    /// How many were refused, and why the last one was.
    pub(super) fn done(self) -> (u64, String) {
        (self.rejected, self.why)
    }
}

/// Posts events to a receiver whose success acknowledges them; `count` says how many it refused all the same.
pub(super) async fn post_all(
    post: &mut Post,
    events: &[Formatted],
    header: (&'static str, &str),
    encode: impl Fn(&[Formatted]) -> String,
    count: impl Fn(&[u8], &[Formatted]) -> Result<(u64, String), Failure>,
) -> Result<Delivered, Failure> {
    let path = post.path.clone();
    let mut portions = Portions::of(events);
    while let Some(events) = portions.next() {
        let (status, answer) = post.post(&path, &[header], encode(events).into_bytes()).await?;
        if status.is_success() {
            let (rejected, why) = count(&answer, events)?;
            portions.reject(rejected, why);
        } else {
            portions.refused(events, status, &answer)?;
        }
    }
    let (rejected, why) = portions.done();
    Ok(Delivered::Acknowledged { rejected, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::format::Severity;

    fn events(count: u64) -> Vec<Formatted> {
        let event = |seq| Formatted {
            id: format!("a-{seq}"),
            seq,
            timestamp: String::new(),
            severity: Severity::Low,
            event: "call".to_owned(),
            text: "{}".to_owned(),
        };
        (1..=count).map(event).collect()
    }

    #[test]
    fn one_that_is_refused_for_good_is_found_and_the_others_keep_their_order() {
        let events = events(7);
        let mut portions = Portions::of(&events);
        let mut taken = Vec::new();
        while let Some(some) = portions.next() {
            if some.iter().any(|event| event.seq == 5) {
                portions.refused(some, StatusCode::BAD_REQUEST, b"no").expect("for good");
            } else {
                taken.extend(some.iter().map(|event| event.seq));
            }
        }
        assert_eq!(taken, [1, 2, 3, 4, 6, 7]);
        let (rejected, why) = portions.done();
        assert!(rejected == 1 && why.contains("record 5"), "{rejected} {why}");
    }

    #[test]
    fn what_may_be_taken_later_is_an_error() {
        let events = events(2);
        let mut portions = Portions::of(&events);
        let some = portions.next().expect("events");
        assert!(portions.refused(some, StatusCode::SERVICE_UNAVAILABLE, b"").is_err());
        assert!(Portions::of(&[]).next().is_none());
    }
}
