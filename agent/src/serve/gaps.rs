//! The records of what warrantds that were killed had not told any more.

use crate::audit::{Attribution, AuditError, EffectsRecord, Event, Log, Record};
use crate::kernel::{Backend, Gap, Kernel, SessionGap};
use crate::warrant::{Effect, Judged, Observation, Standing};

/// Effects that one record lists. A full ring has some ten thousand, and a line must stay readable.
const LISTED: usize = 1000;

/// Writes the gaps that the kernel layer found at its start into the log, once: a record for each dead
/// instance, then one or more for each of its sessions. Nobody approved what is in them, so every effect
/// counts as exceeded.
pub fn record_gaps(kernel: &Kernel, log: &Log) -> Result<(), AuditError> {
    for gap in kernel.take_gaps() {
        for record in records(&gap) {
            tracing::warn!("{}", record.error.as_deref().unwrap_or_default());
            log.append(&record)?;
        }
    }
    Ok(())
}

/// All records of one gap.
fn records(gap: &Gap) -> Vec<Record> {
    let instance = Record { error: Some(describe(gap)), ..Record::new(Event::Gap) };
    let sessions = gap.sessions.iter().flat_map(|session| of_session(gap, session));
    std::iter::once(instance).chain(sessions).collect()
}

fn describe(gap: &Gap) -> String {
    let Gap { instance, sessions, .. } = gap;
    let unread: u64 = sessions.iter().map(|session| session.unread).sum();
    let lost: u64 = sessions.iter().map(|session| session.lost).sum();
    let outlived = sessions.iter().filter(|session| session.outlived).count();
    let mut parts = vec![format!(
        "instance {instance}{} ended without cleaning up: {} sessions, of which {outlived} had outlived it",
        owner(gap),
        sessions.len()
    )];
    parts.push(match &gap.unreadable {
        Some(why) => format!("its events cannot be read: {why}"),
        None => format!("{unread} events unread, {lost} lost"),
    });
    if gap.observer.is_none() {
        parts.push("from its end on only connections were watched".to_owned());
    }
    parts.join("; ")
}

fn owner(gap: &Gap) -> String {
    gap.owner.map_or_else(String::new, |pid| format!(" of process {pid}"))
}

/// The records of one session: each lists as many effects as a line shall hold.
fn of_session(gap: &Gap, session: &SessionGap) -> Vec<Record> {
    let parts: Vec<&[Effect]> = match session.effects.as_slice() {
        [] => vec![&[]],
        effects => effects.chunks(LISTED).collect(),
    };
    let backend = gap.observer.map_or("none", Backend::name);
    let record = |(index, effects): (usize, &&[Effect])| {
        let observation = Observation {
            judged: effects.iter().map(exceeded).collect(),
            ambient: 0,
            // Told once, with the first part.
            lost: if index == 0 { session.lost } else { 0 },
            cut: gap.observer.is_none() || gap.unreadable.is_some(),
        };
        let part = format!(" (part {} of {})", index + 1, parts.len());
        let text = format!(
            "session {} of instance {}{}: {} events unread, {} read before{}",
            session.name,
            gap.instance,
            owner(gap),
            session.unread,
            session.read,
            if parts.len() > 1 { part.as_str() } else { "" }
        );
        Record {
            session_id: Some(session.name.clone()),
            error: Some(text),
            effects: Some(EffectsRecord::new(&observation, Attribution::None, backend)),
            ..Record::new(Event::Gap)
        }
    };
    parts.iter().enumerate().map(record).collect()
}

fn exceeded(effect: &Effect) -> Judged {
    Judged { effect: effect.clone(), standing: Standing::Exceeded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warrant::{EffectKind, Outcome, Peer, Process, Protocol, Target, Verdict};

    const SEEN: Option<Backend> = Some(Backend::Tracepoint);

    fn effect(seq: u64) -> Effect {
        let peer = "192.0.2.1:443".parse().expect("an address");
        Effect {
            kind: EffectKind::Connect,
            outcome: Outcome::Denied,
            target: Target::Peer(Peer { peer, protocol: Protocol::Tcp, names: Vec::new() }),
            process: Process { pid: 7, tid: 7, uid: 7, exe: "/usr/bin/server".into() },
            argv: Vec::new(),
            argv_cut: false,
            seq,
            boot_ns: seq,
        }
    }

    fn gap(effects: u64, lost: u64, observer: Option<Backend>) -> Gap {
        let session = SessionGap {
            name: "files-1".into(),
            effects: (1..=effects).map(effect).collect(),
            read: 5,
            unread: effects,
            lost,
            outlived: true,
        };
        Gap {
            instance: "serve".into(),
            owner: Some(71),
            sessions: vec![session],
            observer,
            unreadable: None,
        }
    }

    fn verdicts(gap: &Gap) -> Vec<Verdict> {
        records(gap).iter().filter_map(|r| Some(r.effects.as_ref()?.verdict)).collect()
    }

    #[test]
    fn an_instance_and_each_session_have_a_record() {
        let records = records(&gap(2, 0, None));
        let texts: Vec<_> = records.iter().filter_map(|record| record.error.as_deref()).collect();
        assert_eq!(
            texts,
            [
                "instance serve of process 71 ended without cleaning up: 1 sessions, of which 1 had outlived \
                 it; 2 events unread, 0 lost; from its end on only connections were watched",
                "session files-1 of instance serve of process 71: 2 events unread, 5 read before",
            ]
        );
        assert_eq!(records[1].session_id.as_deref(), Some("files-1"));
        assert!(records.iter().all(|record| record.actor.is_none() && record.event == Event::Gap));
    }

    #[test]
    fn what_nobody_saw_is_never_within() {
        assert_eq!(verdicts(&gap(1, 0, SEEN)), [Verdict::Exceeded]);
        assert_eq!(verdicts(&gap(0, 1, SEEN)), [Verdict::Incomplete]);
        assert_eq!(verdicts(&gap(0, 0, None)), [Verdict::Incomplete]);
        let unreadable = Gap { unreadable: Some("why".into()), ..gap(0, 0, SEEN) };
        assert_eq!(verdicts(&unreadable), [Verdict::Incomplete]);
        assert_eq!(
            verdicts(&gap(0, 0, SEEN)),
            [Verdict::Within],
            "nothing happened, and all was seen"
        );
    }

    #[test]
    fn every_effect_is_listed_in_lines_that_stay_readable() {
        let records = records(&gap(2500, 3, None));
        let effects: Vec<_> = records.iter().filter_map(|record| record.effects.as_ref()).collect();
        let listed: Vec<usize> = effects.iter().map(|effects| effects.exceeded.len()).collect();
        assert_eq!(listed, [1000, 1000, 500]);
        assert_eq!(effects.iter().map(|effects| effects.counts.lost).sum::<u64>(), 3);
    }
}
