//! International bank account numbers (ISO 13616).

use super::span::{Span, byte, byte_before, run};
use crate::config::Kind;

/// Every number has at least these digits: its two check digits and some of the account.
pub(super) const FEWEST_DIGITS: usize = 6;

/// Letters and digits of the shortest and longest numbers.
const SHORTEST: usize = 15;
const LONGEST: usize = 34;

/// Lengths by country: the registry of SWIFT (release 100), and the countries that use the format
/// without being registered.
#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], u8); 111] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AO", 25), (b"AT", 20), (b"AZ", 28), (b"BA", 20),
    (b"BE", 16), (b"BF", 28), (b"BG", 22), (b"BH", 22), (b"BI", 27), (b"BJ", 28), (b"BR", 29),
    (b"BY", 28), (b"CF", 27), (b"CG", 27), (b"CH", 21), (b"CI", 28), (b"CM", 27), (b"CR", 22),
    (b"CV", 25), (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28),
    (b"DZ", 26), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18),
    (b"FR", 27), (b"GA", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GQ", 27),
    (b"GR", 27), (b"GT", 28), (b"GW", 25), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22),
    (b"IL", 23), (b"IQ", 23), (b"IR", 26), (b"IS", 26), (b"IT", 27), (b"JO", 30), (b"KM", 27),
    (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20),
    (b"LV", 21), (b"LY", 25), (b"MA", 28), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MG", 27),
    (b"MK", 19), (b"ML", 28), (b"MN", 20), (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"MZ", 25),
    (b"NE", 28), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24), (b"PL", 28),
    (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SN", 28),
    (b"SO", 23), (b"ST", 25), (b"SV", 28), (b"TD", 27), (b"TG", 28), (b"TL", 23), (b"TN", 24),
    (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20), (b"YE", 30),
];

/// Finds numbers with the length of their country and a right checksum, in one piece or in groups;
/// in one piece and in upper case, also those of other countries and lengths.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut floor = 0;
    for (at, head) in bytes.windows(4).enumerate() {
        let [a, b, c, d] = head else { continue };
        let begins = c.is_ascii_digit()
            && d.is_ascii_digit()
            && a.is_ascii_alphabetic()
            && b.is_ascii_alphabetic()
            && at >= floor
            && !byte_before(bytes, at).is_ascii_alphanumeric();
        let end = || known_end(bytes, at).or_else(|| unknown_end(bytes, at));
        if let Some(end) = begins.then(end).flatten() {
            spans.push(Span { start: at, end, kind: Kind::Iban });
            floor = end;
        }
    }
}

/// Where a number in one piece ends, whatever its country and length, if the checksum is right.
fn unknown_end(bytes: &[u8], start: usize) -> Option<usize> {
    let length = run(bytes, start, |b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let fits = (SHORTEST..=LONGEST).contains(&length);
    if fits { number_end(bytes, start, u8::try_from(length).ok()?) } else { None }
}

/// Where the number ends that has the length of its country.
fn known_end(bytes: &[u8], start: usize) -> Option<usize> {
    let country = [byte(bytes, start), byte(bytes, start + 1)].map(|b| b.to_ascii_uppercase());
    let index = LENGTHS.binary_search_by(|(known, _)| known.as_slice().cmp(&country)).ok()?;
    number_end(bytes, start, LENGTHS.get(index)?.1)
}

/// Where the number of `length` letters and digits ends, if it is one.
fn number_end(bytes: &[u8], start: usize, length: u8) -> Option<usize> {
    let (mut at, mut taken, mut checksum, mut head) = (start, 0_u8, 0_u32, 0_u32);
    while taken < length {
        let b = byte(bytes, at);
        at += 1;
        match b {
            b' ' | b'-' if taken >= 2 && !matches!(byte(bytes, at), b' ' | b'-') => {}
            b if b.is_ascii_alphanumeric() => {
                // ISO 7064, MOD 97-10: letters count as 10 to 35; the first four go to the end.
                let value = char::from(b).to_digit(36)?;
                if matches!(taken, 2 | 3) && value > 9 {
                    return None;
                }
                let place = if taken < 4 { &mut head } else { &mut checksum };
                *place = (*place * if value > 9 { 100 } else { 10 } + value) % 97_000_000;
                if taken >= 4 {
                    checksum %= 97;
                }
                taken += 1;
            }
            _ => return None,
        }
    }
    // The head has two letters and two digits: six digits.
    let rest = (checksum * 1_000_000 + head) % 97;
    (rest == 1 && !byte(bytes, at).is_ascii_alphanumeric()).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn countries_are_sorted() {
        assert!(LENGTHS.is_sorted());
    }

    #[test]
    fn numbers_are_found_as_people_write_them() {
        // The examples of the registry.
        for iban in [
            "GB29NWBK60161331926819",
            "DE89370400440532013000",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "SE4550000000058398257466",
            "BR1800360305000010009795493C1",
            "LC55HEMM000100010012001200023015",
            "SA0380000000608010167519",
            "KZ86125KZT5004100100",
            "CH9300762011623852957",
        ] {
            assert_eq!(found(&format!("to {iban}, now")), [iban]);
            assert_eq!(found(&iban.to_lowercase()), [iban.to_lowercase()]);
            let groups: Vec<&str> =
                iban.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap()).collect();
            for separator in [" ", "-"] {
                let grouped = groups.join(separator);
                assert_eq!(found(&format!("to {grouped} now")), [grouped]);
            }
        }
    }

    #[test]
    fn other_texts_are_left() {
        for text in [
            "GB29NWBK60161331926818",
            "GB29NWBK6016133192681",
            "GB29NWBK601613319268190",
            "is 12 of the 345 678",
            "AGB29NWBK60161331926819",
            "DE",
            "DE89  370400440532013000",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_country_with_a_right_checksum_is_found(
            index in 0..LENGTHS.len(),
            account in "[A-Z0-9]{30}",
        ) {
            let (country, length) = LENGTHS[index];
            let country = std::str::from_utf8(country).unwrap();
            let account = &account[..usize::from(length) - 4];
            let digits: String = format!("{account}{country}00")
                .chars()
                .map(|c| c.to_digit(36).unwrap().to_string())
                .collect();
            let rest = digits.bytes().fold(0_u32, |r, d| (r * 10 + u32::from(d - b'0')) % 97);
            let iban = format!("{country}{:02}{account}", 98 - rest);
            prop_assert_eq!(found(&iban), [iban.as_str()]);
            let wrong: String = format!("{country}{:02}{account}", 1 + (98 - rest) % 97);
            prop_assert!(found(&wrong).is_empty());
        }
    }
}
