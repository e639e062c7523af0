//! The lines in which two texts differ.

/// Texts with more lines than this are not compared line by line, which takes the product of both.
const MAX_LINES: usize = 2000;
/// Equal lines that are shown around a difference.
const AROUND: usize = 2;

/// One line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The lines that differ, with `-` and `+` before them, and a few around them.
pub(super) fn diff(old: &str, new: &str) -> Vec<String> {
    let lines = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let differs = |line: &Line| !matches!(line, Line::Same(_));
    let near = |at: usize| {
        let window = at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len());
        lines.get(window).is_some_and(|window| window.iter().any(differs))
    };
    let mut shown = Vec::new();
    let mut skipping = false;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            if !skipping {
                shown.push("  …".to_owned());
            }
            skipping = true;
            continue;
        }
        skipping = false;
        shown.push(match line {
            Line::Same(text) => format!("  {text}"),
            Line::Old(text) => format!("- {text}"),
            Line::New(text) => format!("+ {text}"),
        });
    }
    shown
}

/// A longest common subsequence, by the table that every textbook has.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        let old = old.iter().map(|line| Line::Old(line));
        return old.chain(new.iter().map(|line| Line::New(line))).collect();
    }
    // common[i][j]: lines that the rest of `old` from i and of `new` from j have in common.
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    let get = |common: &[u16], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let length = if a == b {
                get(&common, i + 1, j + 1) + 1
            } else {
                get(&common, i + 1, j).max(get(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = length;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push(Line::Same(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || get(&common, i + 1, j) >= get(&common, i, j + 1) => {
                lines.push(Line::Old(a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(Line::New(b));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng";
        let new = "a\nb\nc\nd\nE\nf\ng\nh";
        let expected = ["  …", "  c", "  d", "- e", "+ E", "  f", "  g", "+ h"];
        assert_eq!(diff(old, new), expected);
        assert_eq!(diff("", "x\ny"), ["+ x", "+ y"]);
        assert_eq!(diff("x", ""), ["- x"]);
        assert_eq!(diff("same", "same"), ["  …"]);
        let long = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(diff(&long, "y").len(), MAX_LINES + 2);
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_off(old in "[abc\n]{0,20}", new in "[abc\n]{0,20}") {
            let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
            let lines = compare(&old, &new);
            let of = |take: fn(Line) -> Option<&str>| lines.iter().copied().filter_map(take).collect::<Vec<_>>();
            prop_assert_eq!(of(|line| match line { Line::Same(a) | Line::Old(a) => Some(a), Line::New(_) => None }), old);
            prop_assert_eq!(of(|line| match line { Line::Same(a) | Line::New(a) => Some(a), Line::Old(_) => None }), new);
        }
    }
}
