//! Telephone numbers (ITU-T E.164 and E.123, and how the countries write them).
//!
//! Digits in groups may be many things. A number counts as one for a telephone
//! - for sure, when it has a plus sign, an area code in brackets, the 3-3-4 of North America or the
//!   leading zero of a long-distance call;
//! - where the words around it speak of reaching somebody, when it has another grouping that is in use;
//! - where they name a telephone number, also without any grouping.

use super::context::{Likelihood, Surroundings};
use super::groups::{Group, Run, Separator};

/// Digits of a number without its country: seven are the fewest that are recognised.
const FEWEST: usize = 7;

/// Fifteen digits are the most of E.164; the prefix of an international call or a bracketed zero
/// comes on top.
const MOST: usize = 17;

/// Groups of the number with the most of them.
const MOST_GROUPS: usize = 8;

/// How sure a grouping makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// It is no telephone number.
    No,
    /// It is one if words name it.
    Named,
    /// It is one if words hint at it.
    Hinted,
    /// It is one when nothing else is in the run.
    Whole,
    /// It is one.
    Sure,
}

/// How many groups from `at` on are a telephone number; the most that can be. `is_free` says that
/// no digits before belong to the run.
pub(super) fn find(
    text: &str,
    run: &Run,
    at: usize,
    is_free: bool,
    around: &Surroundings<'_>,
) -> Option<usize> {
    let groups = run.groups.get(at..)?;
    let plus = run.plus && at == 0;
    (1..=groups.len().min(MOST_GROUPS)).rev().find(|count| {
        let is_whole = is_free && *count == groups.len();
        let number = groups.get(..*count).unwrap_or_default();
        run.is_cut(at + count)
            && match strength(text, number, plus) {
                Strength::Sure => true,
                Strength::Whole => is_whole,
                Strength::Hinted => is_whole && around.context().phone >= Likelihood::Grouped,
                Strength::Named => is_whole && around.context().phone == Likelihood::Any,
                Strength::No => false,
            }
    })
}

/// How sure the grouping of a number makes.
fn strength(text: &str, groups: &[Group], plus: bool) -> Strength {
    let digits: usize = groups.iter().map(Group::len).sum();
    let Some((first, rest)) = groups.split_first() else { return Strength::No };
    let head = first.digits(text);
    if !(FEWEST..=MOST).contains(&digits) {
        return Strength::No;
    }
    if plus {
        // `+9999-12-31` is a date.
        let is_date =
            matches!(groups, [y, m, d, ..] if y.len() >= 4 && m.len() == 2 && d.len() == 2);
        return if head.starts_with('0') || is_date { Strength::No } else { Strength::Sure };
    }
    let Some(second) = rest.first() else { return Strength::Named };
    let lengths: Vec<usize> = groups.iter().map(Group::len).collect();
    let is_year = |g: &Group| g.len() == 4 && (1900..2100).contains(&g.value(text));
    if groups.iter().all(is_year) || lengths.iter().any(|l| *l > 10) {
        return Strength::No;
    }
    // Only a prefix for long distance has a single digit, and one more group at most.
    let singles = rest.iter().filter(|g| g.len() == 1 && !g.bracketed).count();
    let is_trunk = head.starts_with('0') && !head.starts_with("00");
    let slashes = rest.iter().filter(|g| g.separator == Separator::Slash).count();
    if singles > 1 || slashes > 1 {
        return Strength::No;
    }
    // A decimal fraction, whatever follows.
    let has_fraction = second.separator == Separator::Dot
        && rest.iter().any(|g| g.separator != Separator::Dot)
        && !first.bracketed;
    if has_fraction {
        return Strength::No;
    }
    if singles == 1 {
        let is_fraction = rest.iter().any(|g| g.separator == Separator::Dot);
        return if is_fraction { Strength::No } else { Strength::Named };
    }
    let is_american = lengths == [3, 3, 4] || (head == "1" && lengths == [1, 3, 3, 4]);
    let is_blank = rest.iter().all(|g| g.separator == Separator::Blank);
    let is_dotted = rest.iter().all(|g| g.separator == Separator::Dot);
    let is_long_distance = is_trunk && (9..=12).contains(&digits);
    let is_international = head.starts_with("00")
        && !head.starts_with("000")
        && groups.len() >= 3
        && (10..=MOST).contains(&digits);
    if first.bracketed && first.len() >= 2 && digits <= 13 {
        Strength::Sure
    } else if slashes > 0 {
        // Not so often a telephone number as part of a path.
        let is_area = is_long_distance && second.separator == Separator::Slash;
        if is_area { Strength::Whole } else { Strength::Hinted }
    } else if is_american || is_international {
        if is_blank { Strength::Whole } else { Strength::Sure }
    } else if is_dotted {
        // Fractions and versions have full stops, too.
        match lengths.as_slice() {
            [2, 2, 2, 2, 2] if is_trunk => Strength::Sure,
            [4, 4] => Strength::Named,
            [2, 2, 2, 2] | [3, 3, 3] | [2 | 3, 3 | 4, 4] => Strength::Hinted,
            _ if is_long_distance && groups.len() >= 3 => Strength::Hinted,
            _ => Strength::No,
        }
    } else if is_blank && lengths.iter().all(|length| *length == 2) {
        // Bytes are written so, too; French numbers have five pairs.
        let is_french = is_trunk && lengths.len() == 5;
        if is_french { Strength::Whole } else { Strength::Hinted }
    } else if is_long_distance && groups.len() >= 3 {
        Strength::Sure
    } else if is_long_distance || (head.starts_with('1') && lengths == [3, 4, 4]) {
        Strength::Whole
    } else if digits <= 13 {
        Strength::Hinted
    } else {
        Strength::No
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Meaning;
    use super::super::numbers;
    use crate::config::Kind;

    fn found(text: &str, meaning: Meaning) -> Vec<&str> {
        let mut spans = Vec::new();
        numbers::find(text, meaning, &mut spans);
        spans.iter().filter(|s| s.kind == Kind::Phone).map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn clear_numbers_need_no_words() {
        for number in [
            "+1-903-140-4508x769",
            "+447700677662",
            "+46 (0)157 548 89",
            "+41 (0)85 806 98 67",
            "001-253-366-9781",
            "345-899-3560x4587",
            "259.735.7502",
            "(602)272-9781",
            "(555) 123-4567",
            "1-800-555-0199",
            "0490 75 40 81",
            "0688 872 49 99",
            "079 2718 1155",
            "01.23.45.67.89",
            "020 7946 0958",
            "(02) 9876 5432",
            "(11) 98765-4321",
            "010-1234-5678",
            "+55 11 98765-4321",
            "+91 98765 43210",
            "+49 30/1234567",
            "(555) 123-4567 ext. 89",
            "+86 138 1234 5678",
            "+972-3-123-4567",
        ] {
            assert_eq!(found(&format!("see {number}, then"), Meaning::Plain), [number]);
        }
        for number in
            ["01 23 45 67 89", "0393 1144137", "0961-7596216", "030/1234567", "138 1234 5678"]
        {
            assert_eq!(found(&format!("see {number}, then"), Meaning::Plain), [number]);
        }
    }

    #[test]
    fn unclear_numbers_need_words() {
        for number in [
            "60-56-85-91",
            "28 64 66 98",
            "699 956 915",
            "467 3395",
            "21 284 698 2548",
            "99 668472",
            "72 128 827",
            "432 03 163",
            "98765 43210",
            "6123 4567",
            "11 98765-4321",
        ] {
            assert_eq!(found(&format!("there are {number} of it"), Meaning::Plain), [""; 0]);
            for words in ["Mobile: ", "Please call me at ", "my number is ", "not answering at "] {
                assert_eq!(found(&format!("{words}{number}"), Meaning::Plain), [number]);
            }
            assert_eq!(found(&format!("{number} office"), Meaning::Plain), [number]);
            assert_eq!(found(&format!("{number}-Fax"), Meaning::Plain), [number]);
            assert_eq!(found(number, Meaning::Phone), [number]);
        }
        for number in ["5403926876", "3660170548", "4673395"] {
            assert_eq!(found(&format!("message {number}"), Meaning::Plain), [""; 0]);
            assert_eq!(found(&format!("messages to {number}"), Meaning::Plain), [number]);
            assert_eq!(found(&format!("Fax: {number}"), Meaning::Plain), [number]);
            assert_eq!(found(number, Meaning::Phone), [number]);
        }
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "call me in 2019-2023",
            "driver's license number is 6940579",
            "lives at 704 1436 Drive",
            "340 12",
            "ZIP: 8592",
            "phone 1.0.12345678",
            "call costs $1 234 567",
            "9448 175 Iroon",
            "3... 2... 1...",
            "/data/0123/456789/1",
            "40.712776, -74.005974",
            "1 234 567",
            "call took 1234567 ms",
            "order 12-345-678",
            "2024 01 15",
            "a 0.123 456 789",
        ] {
            assert_eq!(found(text, Meaning::Plain), [""; 0], "{text}");
        }
    }
}
