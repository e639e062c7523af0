//! Payment card numbers (ISO/IEC 7812): 12 to 19 digits, a right check digit, and the prefix of a
//! known network. Where the text speaks of a card, any prefix will do.

use super::context::Surroundings;
use super::groups::{Group, Run, Separator};

const SHORTEST: usize = 12;
const LONGEST: usize = 19;

/// How many groups from `at` on are a card number; the most that can be.
pub(super) fn find(text: &str, run: &Run, at: usize, around: &Surroundings<'_>) -> Option<usize> {
    let groups = run.groups.get(at..)?;
    if run.plus && at == 0 {
        return None;
    }
    let mut digits = [0; LONGEST];
    let (mut length, mut best) = (0, None);
    for (index, group) in groups.iter().enumerate() {
        let Some(place) = digits.get_mut(length..length + group.len()) else { break };
        for (digit, b) in place.iter_mut().zip(group.digits(text).bytes()) {
            *digit = b - b'0';
        }
        length += group.len();
        let number = digits.get(..length).unwrap_or_default();
        let count = index + 1;
        if length >= SHORTEST
            && run.is_cut(at + count)
            && is_grouped(groups.get(..count).unwrap_or_default())
            && is_luhn(number)
            && (is_issued(number) || around.context().card)
        {
            best = Some(count);
        }
    }
    best
}

/// Whether groups are divided as card numbers are: all by the same separator, and in fours or more
/// but for the last. Two with a full stop in between are a decimal fraction.
fn is_grouped(groups: &[Group]) -> bool {
    let Some((first, rest)) = groups.split_first() else { return false };
    let Some(second) = rest.first() else { return true };
    let is_same = rest.iter().all(|g| g.separator == second.separator);
    let long = std::iter::once(first).chain(rest.iter().rev().skip(1)).all(|g| g.len() >= 4);
    let is_separated = match second.separator {
        Separator::Blank | Separator::Hyphen => true,
        Separator::Dot => rest.len() >= 2,
        Separator::None | Separator::Slash => false,
    };
    is_same && long && is_separated && !groups.iter().any(|g| g.bracketed)
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B). A number of
/// equal digits is none.
fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let digit = u32::from(*digit);
            match digit * 2 {
                _ if index % 2 == 0 => digit,
                double @ 10.. => double - 9,
                double => double,
            }
        })
        .sum();
    sum.is_multiple_of(10) && digits.windows(2).any(|pair| pair.first() != pair.last())
}

/// Whether a network issues numbers of this beginning and length, which is from 12 to 19.
fn is_issued(digits: &[u8]) -> bool {
    // The first six digits, the issuer's number of the standard's first edition.
    let prefix = digits.iter().take(6).fold(0, |n, d| n * 10 + u32::from(*d));
    let length = digits.len();
    match prefix {
        // American Express; JCB's old ranges.
        340_000..=349_999 | 370_000..=379_999 | 180_000..=180_099 | 213_100..=213_199 => {
            length == 15
        }
        // Visa, of old with 13 digits.
        400_000..=499_999 => matches!(length, 13 | 16 | 19),
        // Mastercard.
        222_100..=272_099 | 510_000..=559_999 => length == 16,
        // Diners Club.
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => {
            length >= 14
        }
        // Maestro, Discover, UnionPay, RuPay, Verve, Dankort, Elo.
        500_000..=509_999 | 560_000..=699_999 => length >= 16 || is_maestro(prefix),
        // Maestro of the 06 range.
        60_400..=60_499 => true,
        // JCB; Mir; UnionPay and RuPay; Uzcard; Troy; Humo.
        350_000..=359_999
        | 220_000..=220_499
        | 810_000..=829_999
        | 860_000..=860_099
        | 979_200..=979_299
        | 986_000..=986_099 => length >= 16,
        _ => false,
    }
}

/// Whether a network's cards of this beginning may have fewer than 16 digits: those of Maestro.
fn is_maestro(prefix: u32) -> bool {
    let issuers =
        [5018, 5020, 5033, 5038, 6304, 6390, 6709, 6759, 6760, 6761, 6762, 6763, 6771, 6799];
    (560_000..=589_999).contains(&prefix) || issuers.contains(&(prefix / 100))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::keys::Meaning;
    use super::super::numbers;
    use super::*;
    use crate::config::Kind;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        numbers::find(text, Meaning::Plain, &mut spans);
        spans.iter().filter(|s| s.kind == Kind::Card).map(|s| &text[s.start..s.end]).collect()
    }

    /// Appends the check digit.
    fn with_check(mut digits: Vec<u8>) -> String {
        digits.push(0);
        let check = (0..10).find(|check| {
            *digits.last_mut().unwrap() = *check;
            is_luhn(&digits)
        });
        assert!(check.is_some() || digits.iter().all(|d| *d == digits[0]));
        digits.iter().map(u8::to_string).collect()
    }

    #[test]
    fn networks_are_known() {
        for card in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "30569309025904",
            "38520000023237",
            "6011111111111117",
            "3530111333300000",
            "6759649826438453",
            "6200000000000005",
            "180001894718246",
            "213176828496175",
            "060426070011",
            "675984103431",
            "4152488713445952355",
            "6304000000000000",
            "2200000000000004",
        ] {
            assert_eq!(found(&format!("use {card}.")), [card]);
        }
    }

    #[test]
    fn groups_are_as_on_the_card() {
        for card in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "3782 822463 10005",
            "3056 930902 5904",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        ] {
            assert_eq!(found(&format!("use {card}, please")), [card]);
        }
        assert_eq!(found("4111 1111 1111 1111 12/26"), ["4111 1111 1111 1111"]);
        assert_eq!(found("no 12 4111111111111111 123"), ["4111111111111111"]);
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "4111111111111112",
            "1111111111111111",
            "0000000000000000",
            "1700000000000",
            "1234567890123456",
            "4111.111111111111",
            "a4111111111111111",
            "41111111111111110",
            "4111111111111111e5",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "0.4111111111111111",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_length_is_found_where_the_text_says_card(
            digits in prop::collection::vec(0_u8..10, 11..=18),
        ) {
            let card = with_check(digits);
            prop_assume!(card.bytes().any(|b| b != card.as_bytes()[0]));
            let text = format!("my card is {card}");
            prop_assert_eq!(found(&text), [card.as_str()]);
        }

        #[test]
        fn one_wrong_digit_is_noticed(at in 0_usize..16, by in 1_u8..10) {
            let mut card = b"4929123456789013".to_vec();
            card.truncate(15);
            let good = with_check(card.iter().map(|b| b - b'0').collect());
            let mut bad = good.into_bytes();
            bad[at] = b'0' + (bad[at] - b'0' + by) % 10;
            let bad = String::from_utf8(bad).unwrap();
            let text = format!("card {bad}");
            prop_assert!(found(&text).is_empty());
        }
    }
}
