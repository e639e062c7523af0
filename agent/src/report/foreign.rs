//! Text that warrantd did not write itself: names, paths, arguments, whatever a log holds.
//!
//! It has a type of its own so that no page can show it otherwise than here: escaped, with everything that
//! hides or turns the reading order made visible, and apart from the text around it (`bdi`, HTML section
//! 4.5.24).

use std::borrow::Cow;
use std::fmt;

use askama::filters::{Escaper, Html, HtmlSafe};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::policy::pin::{is_hidden, visible};

/// Characters that are kept of a text, and of a JSON value.
const TEXT: usize = 2_000;
const JSON: usize = 4_000;
/// Characters of a name by which things are told apart.
const NAME: usize = 160;

/// A text from outside, of bounded size. As [`fmt::Display`] it is HTML for the place between two tags, never
/// for an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Foreign {
    text: String,
    /// What is known of the rest, if it was longer.
    rest: Option<Rest>,
}

/// What is not kept of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Rest {
    /// Characters.
    count: usize,
    /// Beginning of the SHA-256 of the whole text.
    hash: [u8; 4],
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self::cut(text, TEXT)
    }
}

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Ok(text.as_ref().into())
    }
}

impl Foreign {
    /// The text, as far as it is kept.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// At most `most` characters of a text.
    fn cut(text: &str, most: usize) -> Self {
        let Some((at, _)) = text.char_indices().nth(most) else {
            return Self { text: text.to_owned(), rest: None };
        };
        let (kept, rest) = text.split_at(at);
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(text).into();
        let rest = Rest { count: rest.chars().count(), hash: [a, b, c, d] };
        Self { text: kept.to_owned(), rest: Some(rest) }
    }

    /// Whether it is this word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.rest.is_none() && self.text == word
    }

    /// A name to tell things apart by. Of a long one the beginning is kept, and by what it is told from others
    /// that begin alike.
    pub(super) fn name(&self) -> Self {
        let short = Self::cut(&self.text, NAME);
        match (short.rest, self.rest) {
            (None, _) => self.clone(),
            (Some(_), None) => short,
            (Some(Rest { count: nearer, .. }), Some(Rest { count, hash })) => {
                Self { rest: Some(Rest { count: count + nearer, hash }), ..short }
            }
        }
    }

    /// As plain text, which the page escapes: for attributes and for what is searched.
    pub(super) fn plain(&self) -> String {
        let more = if self.rest.is_some() { "…" } else { "" };
        format!("{}{more}", visible(&self.text))
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        let mut rest = self.text.as_str();
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (plain, from) = rest.split_at(at);
            Html.write_escaped_str(&mut *f, plain)?;
            // Nothing but a backslash, letters, digits and braces.
            write!(f, "<i class=\"hidden-char\">{}</i>", visible(&hidden.to_string()))?;
            rest = from.get(hidden.len_utf8()..).unwrap_or_default();
        }
        Html.write_escaped_str(&mut *f, rest)?;
        if let Some(Rest { count, hash: [a, b, c, d] }) = self.rest {
            let s = if count == 1 { "" } else { "s" };
            let hash = format_args!("{a:02x}{b:02x}{c:02x}{d:02x}");
            write!(f, "<span class=\"cut\">… {count} more character{s}, sha256 {hash}…</span>")?;
        }
        f.write_str("</bdi>")
    }
}

impl HtmlSafe for Foreign {}

/// A JSON value from outside, as the log has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Json(pub(super) Foreign);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(Foreign::cut(raw.get(), JSON)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        Foreign::from(text).to_string()
    }

    #[test]
    fn markup_is_text_and_what_hides_is_seen() {
        assert_eq!(shown("a<b>&\"'"), "<bdi>a&#60;b&#62;&#38;&#34;&#39;</bdi>");
        assert_eq!(
            shown("x\u{202e}<\u{1b}"),
            "<bdi>x<i class=\"hidden-char\">\\u{202e}</i>&#60;<i class=\"hidden-char\">\\u{1b}</i></bdi>"
        );
        assert_eq!(shown("Grüße, 世界 🔏 עברית"), "<bdi>Grüße, 世界 🔏 עברית</bdi>");
    }

    #[test]
    fn what_is_cut_is_said() {
        let long = Foreign::from("ä".repeat(2_998).as_str());
        let hash = "<span class=\"cut\">… 998 more characters, sha256 ";
        assert!(long.to_string().contains(hash), "{long}");
        let name = long.name().to_string();
        assert!(name.contains("… 2838 more characters, sha256 "), "{name}");
        assert!(!Foreign::from("DENY").is("DEN") && Foreign::from("DENY").is("DENY"));
        let json: Json = serde_json::from_str(r#"{"a": "\u0041"}"#).expect("JSON");
        assert_eq!(json.0.as_str(), r#"{"a": "\u0041"}"#, "as it stands");
    }

    #[test]
    fn long_names_stay_apart() {
        let begin = "x".repeat(1 << 20);
        let names = ["a", "b"].map(|end| Foreign::from(format!("{begin}{end}").as_str()).name());
        assert_ne!(names[0], names[1]);
        assert!(names[0].to_string().len() < 300);
        assert_eq!(Foreign::from("short").name(), Foreign::from("short"));
    }

    proptest! {
        /// Between its own two tags there is no character that could begin or end markup, but for the
        /// marks.
        #[test]
        fn nothing_from_outside_becomes_markup(text: String) {
            let shown = shown(&text);
            let inner = shown.replace("<i class=\"hidden-char\">", "").replace("</i>", "");
            let inner = inner.strip_prefix("<bdi>").and_then(|t| t.strip_suffix("</bdi>"));
            let inner = inner.expect("its tags");
            prop_assert!(!inner.contains(['<', '>', '"', '\'']), "{inner}");
            prop_assert!(!inner.chars().any(is_hidden));
        }
    }
}
