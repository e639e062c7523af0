//! Text that a server chose, for people: nothing in it steers a terminal, turns the reading order or
//! hides.

use std::borrow::Cow;

/// The text with everything that is not seen for what it is as an escape: control characters (among
/// them those that begin terminal sequences), marks that turn the reading order (Unicode TR9),
/// characters without width or meaning of their own, tags and private ones.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    })
}

/// A JSON text with the same characters as JSON escapes: it still reads as the same value. The line
/// feeds between values stay.
pub fn visible_json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| match c {
        '\n' => "\n".to_owned(),
        c => {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
        }
    })
}

/// At most `most` characters of a text, visible, in one line.
pub fn shortened(text: &str, most: usize) -> String {
    let cut: String = text.chars().take(most).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", visible(&cut))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.push_str(&escape(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a reader does not see a character for what it is.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, fillers, joiners, marks of direction, and separators of lines.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            // Variation selectors, byte order mark, interlinear marks, tags: a text can be hidden in them.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            // Private ones look as a font likes.
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_hides_is_shown_and_what_is_read_stays() {
        for (text, shown) in [
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\u{202e}txt.exe", "a\\u{202e}txt.exe"),
            ("\u{e0069}\u{e0067}n", "\\u{e0069}\\u{e0067}n"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("line\nfeed", "line\\nfeed"),
            ("Grüße, 世界 🔏 עברית", "Grüße, 世界 🔏 עברית"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(shortened("abc\ndef", 4), "abc\\n…");
        assert_eq!(shortened("abc", 4), "abc");
    }

    proptest! {
        #[test]
        fn visible_json_is_the_same_value(text: String) {
            let value = json!({ text.clone(): [text] });
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            let shown = visible_json(&pretty);
            prop_assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)));
            let back: Value = serde_json::from_str(&shown).expect("JSON");
            prop_assert_eq!(back, value);
        }
    }
}
