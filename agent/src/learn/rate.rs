//! How often tools were called.

use std::collections::BTreeMap;

use serde::Serialize;

use super::material::Material;

/// The most calls of one actor and tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Who called.
    pub actor: String,
    /// What.
    pub tool: String,
    /// Most calls in any 60 seconds.
    pub per_minute: usize,
    /// Most calls in any hour.
    pub per_hour: usize,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The highest rates seen, by tool and actor. A record is written when its call ends, so these are the
/// rates of ends.
pub(super) fn rates(material: &Material) -> Vec<Rate> {
    let mut times: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for call in &material.calls {
        times.entry((&call.tool, &call.actor)).or_default().push(call.at);
    }
    let rate = |((tool, actor), mut times): ((&str, &str), Vec<i64>)| {
        times.sort_unstable();
        Rate {
            actor: actor.to_owned(),
            tool: tool.to_owned(),
            per_minute: most(&times, MINUTE),
            per_hour: most(&times, HOUR),
        }
    };
    times.into_iter().map(rate).collect()
}

/// The most of these sorted times within any window of this length.
fn most(times: &[i64], window: i64) -> usize {
    let mut start = 0;
    let mut most = 0;
    for (end, time) in times.iter().enumerate() {
        while times.get(start).is_some_and(|first| time - first >= window) {
            start += 1;
        }
        most = most.max(end + 1 - start);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide() {
        assert_eq!(most(&[], MINUTE), 0);
        assert_eq!(most(&[0, 59_999, 60_000, 119_999], MINUTE), 2);
        assert_eq!(most(&[0, 60_000, 120_000], MINUTE), 1);
        assert_eq!(most(&[0, 60_000, 120_000], HOUR), 3);
    }
}
