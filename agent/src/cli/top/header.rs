//! The lines above the tables: the warrantd itself, sums, and what is wrong.

use super::model::Model;
use super::table::Tone;
use super::tables::uptime;
use crate::cli::plain::safe;
use crate::cli::words::{brief, count};
use crate::serve::Overview;

/// A line, and how much it wants to be looked at.
pub(super) type Said = (Tone, String);

/// All of them.
pub(super) fn lines(model: &Model) -> Vec<Said> {
    let mut lines = Vec::new();
    match model.told.first() {
        Some((instance, overview)) => {
            lines.push((Tone::Plain, itself(instance, overview, model.told.len() - 1)));
            lines.push(sums(model));
            lines.push(log(overview));
        }
        None => lines.push((Tone::Plain, "warrantd".to_owned())),
    }
    if let Some(why) = &model.silence {
        let what = if model.told.is_empty() { "no warrantd, waiting" } else { "no answer" };
        lines.push((Tone::Bad, format!("{what}: {}", safe(why))));
    }
    lines
}

fn itself(instance: &str, overview: &Overview, others: usize) -> String {
    let Overview { version, pid, configuration, kernel, .. } = overview;
    let mut parts = vec![format!("warrantd {}", safe(version))];
    if instance != "serve" {
        parts.push(safe(instance));
    }
    parts.push(format!("process {pid}"));
    parts.push(format!("up {}", uptime(overview)));
    if let Some(configuration) = configuration {
        parts.push(format!("configuration {}", configuration.generation));
    }
    parts.push(match kernel {
        Some(kernel) => safe(&kernel.observer),
        None => "KERNEL OFF".to_owned(),
    });
    if others > 0 {
        parts.push(format!("and {}", count(others as u64, "other")));
    }
    parts.join("  ")
}

fn sums(model: &Model) -> Said {
    let overviews = || model.told.iter().map(|(_, overview)| overview);
    let servers = || overviews().flat_map(|overview| &overview.servers);
    let sum = |of: fn(&crate::serve::Counts) -> u64| -> u64 {
        servers().map(|server| of(&server.counts)).sum()
    };
    let rate: f64 = model
        .told
        .iter()
        .flat_map(|(instance, it)| it.servers.iter().map(move |server| (instance, server)))
        .filter_map(|(instance, server)| model.history.pace(instance, &server.id).calls)
        .sum();
    let flying: usize = servers().map(|server| server.in_flight).sum();
    let listed: usize = overviews().map(|it| it.sessions.len() + it.sessions_left_out).sum();
    let frozen = overviews().flat_map(|it| &it.sessions).filter(|it| it.frozen.is_some()).count();
    let (exceeded, lost) = (sum(|it| it.exceeded), sum(|it| it.lost_events));
    let mut parts = vec![
        format!("{rate:.1} calls/s"),
        format!("{flying} in flight"),
        count(listed as u64, "session"),
        format!("{} denied", brief(sum(|it| it.denied))),
        format!("{} exceeded", brief(exceeded)),
        format!("{} events lost", brief(lost)),
    ];
    if frozen > 0 {
        parts.insert(3, format!("{frozen} FROZEN"));
    }
    let tone = if frozen > 0 || exceeded > 0 || lost > 0 { Tone::Bad } else { Tone::Plain };
    (tone, parts.join("  "))
}

fn log(overview: &Overview) -> Said {
    let mut tone = Tone::Plain;
    let mut parts = vec![match &overview.log.trouble {
        None => format!("audit log {}", overview.log.last),
        Some(why) => {
            tone = Tone::Bad;
            format!("AUDIT LOG CANNOT BE WRITTEN, calls are denied: {}", safe(why))
        }
    }];
    for receiver in &overview.receivers {
        let down = !receiver.up && receiver.failures > 0;
        if down {
            tone = Tone::Bad;
        }
        let state = if down { " DOWN," } else { "" };
        parts.push(format!("{}{state} {} behind", safe(&receiver.name), brief(receiver.behind)));
    }
    (tone, parts.join("  "))
}
