//! Command lines and URLs without their secrets.

use secrecy::SecretSlice;
use serde_json::{Map, Value};

use crate::audit::{SanitizeError, Sanitizer};
use crate::config::SanitizeConfig;

/// What stands for a value that is not shown.
pub(super) const HIDDEN: &str = "***";

/// Takes secrets out of what is shown, by the rules of the audit log.
#[derive(Debug)]
pub struct Mask(Sanitizer);

impl Mask {
    /// A mask. `random` keys what the rules hash.
    pub fn new(random: Vec<u8>) -> Result<Self, SanitizeError> {
        let key = SecretSlice::from(random);
        Ok(Self(Sanitizer::new(&SanitizeConfig::default(), key)?))
    }

    /// The words of a command line. The value of an option or variable with a telling name goes, and so does
    /// what looks like a secret wherever it stands.
    pub fn command(&self, words: &[String]) -> Vec<String> {
        let mut shown = Vec::with_capacity(words.len());
        let mut option: Option<&str> = None;
        for word in words {
            let named = option.take().filter(|_| !word.starts_with('-'));
            shown.push(match named {
                // By its name alone: a word that has a name of its own is judged by that.
                Some(name) if self.tells(name, "x") => HIDDEN.to_owned(),
                _ => self.word(word),
            });
            option = word.starts_with('-').then(|| word.trim_start_matches('-'));
        }
        shown
    }

    /// A URL or any other text of one piece.
    pub fn text(&self, text: &str) -> String {
        // A user's part of a URL is a secret, whatever it looks like.
        let Some((scheme, rest)) = text.split_once("://") else {
            return self.0.text(None, text).into_owned();
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let host = authority.rsplit_once('@').map(|(_, host)| host);
        let user = if host.is_some() { format!("{HIDDEN}@") } else { String::new() };
        let shown = format!("{scheme}://{user}{}{rest}", host.unwrap_or(authority));
        self.query(&shown)
    }

    /// A word, in which a name may stand before a value: `--token=x`, `API_KEY=x`, `Authorization: x`.
    fn word(&self, word: &str) -> String {
        for separator in ["=", ": ", ":"] {
            let Some((name, value)) = word.split_once(separator) else { continue };
            let plain = name.trim_start_matches('-');
            let is_name = !plain.is_empty()
                && plain.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if is_name && !value.is_empty() && self.tells(plain, value) {
                return format!("{name}{separator}{HIDDEN}");
            }
            if is_name && separator == "=" {
                return format!("{name}={}", self.text(value));
            }
        }
        self.text(word)
    }

    /// A text after whose `?` there are names and values.
    fn query(&self, text: &str) -> String {
        let Some((before, query)) = text.split_once('?') else {
            return self.0.text(None, text).into_owned();
        };
        let pairs: Vec<_> = query.split('&').map(|pair| self.pair(pair)).collect();
        format!("{}?{}", self.0.text(None, before), pairs.join("&"))
    }

    fn pair(&self, pair: &str) -> String {
        match pair.split_once('=') {
            Some((name, value)) if self.tells(name, value) => format!("{name}={HIDDEN}"),
            _ => self.0.text(None, pair).into_owned(),
        }
    }

    /// Whether a name says that its value is a secret: under it more goes than in a text by itself.
    fn tells(&self, name: &str, value: &str) -> bool {
        let object = Value::Object(Map::from_iter([(name.to_owned(), Value::from(value))]));
        let by_itself = Value::from(self.0.text(None, value));
        self.0.value(None, &object).get(name) != Some(&by_itself)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        Mask::new(vec![7; 32]).expect("the built-in rules")
    }

    fn shown(line: &str) -> String {
        let words: Vec<_> = line.split('|').map(str::to_owned).collect();
        mask().command(&words).join("|")
    }

    #[test]
    fn secrets_go() {
        for (line, expected) in [
            ("server|--api-key|opensesame|--port|80", "server|--api-key|***|--port|80"),
            ("server|--token=opensesame", "server|--token=***"),
            ("docker|run|-e|GITHUB_TOKEN=opensesame|x", "docker|run|-e|GITHUB_TOKEN=***|x"),
            (
                "npx|mcp-remote|--header|Authorization: Bearer abc",
                "npx|mcp-remote|--header|Authorization: ***",
            ),
            ("server|postgres://ada:opensesame@db/x", "server|postgres://[CREDENTIAL]@db/x"),
            (
                "server|--db=postgres://ada:opensesame@db/x",
                "server|--db=postgres://[CREDENTIAL]@db/x",
            ),
            (
                "server|https://a.example/mcp?api_key=opensesame&b=1",
                "server|https://a.example/mcp?api_key=***&b=1",
            ),
        ] {
            assert_eq!(shown(line), expected);
        }
        for secret in
            ["sk-proj-abcdefghijklmnop1234567890ABCD", "ghp_0123456789abcdefghijABCDEFGHIJ012345"]
        {
            assert!(!shown(&format!("server|{secret}")).contains(secret), "{secret}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            "npx|-y|@modelcontextprotocol/server-filesystem|/srv/data",
            "uvx|mcp-server-time|--local-timezone=Europe/Berlin",
            "/usr/bin/python3|-m|my_server|--root|/home/ada/notes|-v",
            "server|https://api.example.com:8443/mcp",
            "node|/opt/mcp/dist/index.js|--port=3000",
        ] {
            assert_eq!(shown(line), line);
        }
    }
}
