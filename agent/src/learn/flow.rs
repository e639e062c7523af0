//! Values as YAML on one line.

use serde_json::Value;

/// Words that YAML readers take for something else than a text.
const RESERVED: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"];

/// A value in flow style.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<_> = order(map)
                .into_iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), self::value(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// What a rule is about comes first.
fn order(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    const FIRST: [&str; 4] = ["host", "cidr", "port", "program"];
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by(|a, b| (rank(a.0), a.0).cmp(&(rank(b.0), b.0)));
    pairs
}

/// A text: as it is where no reader can mistake it, else in double quotes with JSON's escapes, which are
/// YAML's, too (YAML 1.2, section 7.3.1).
pub(crate) fn scalar(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    let reserved = RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if starts && text.chars().all(plain) && !reserved {
        return text.to_owned();
    }
    let quoted = Value::from(text).to_string();
    // What YAML does not count as printable, JSON leaves as it is (YAML 1.2, section 5.1).
    quoted
        .chars()
        .map(|c| match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                format!("\\u{:04x}", u32::from(c))
            }
            c => c.to_string(),
        })
        .collect()
}

/// A text for a comment: one line, whatever is in it.
pub(crate) fn comment(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let odd = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
            if odd { c.escape_default().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_plain_stays_plain() {
        for text in ["/srv/a.txt", "read_file", "api.github.com"] {
            assert_eq!(scalar(text), text);
        }
        for text in ["", "no", "12", "/a b", "a: b", "*", "/srv/**", "#x", "-", "10.0.0.1:80"] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_as_itself(text in "\\PC{0,12}|[ -~\n\t\u{80}-\u{a0}\u{2028}\u{feff}]{0,12}") {
            let yaml = format!("[{}]", scalar(&text));
            let read: Vec<String> = serde_yaml::from_str(&yaml).expect("YAML");
            prop_assert_eq!(read, [text.clone()]);
            prop_assert_eq!(comment(&text).lines().count().max(1), 1);
        }
    }
}
