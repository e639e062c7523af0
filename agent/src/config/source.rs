//! A file's text and how errors in it are shown.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::error::{ConfigError, Problem, suggestion};
use super::position::{Place, Positions};

/// Configuration and policy files may be this large, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// What stands in messages about lines that may hold a secret.
const SECRET: [&str; 4] = [
    "never as the key itself",
    super::upstream::VALUE,
    super::upstream::USERINFO,
    super::ship::USERINFO,
];

/// A YAML file that was read, kept to show the places of errors.
#[derive(Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
    positions: Positions,
}

impl Source {
    /// Reads a file of at most 4 MiB.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let failed = |message: String| ConfigError {
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message,
            snippet: String::new(),
        };
        let size = std::fs::metadata(file).map_err(|e| failed(format!("cannot read: {e}")))?.len();
        if size > MAX_BYTES {
            return Err(failed(format!("{size} bytes; at most {MAX_BYTES} are accepted")));
        }
        let bytes = std::fs::read(file).map_err(|e| failed(format!("cannot read: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|e| failed(format!("not UTF-8: {e}")))?;
        Ok(Self::new(file, text))
    }

    /// Takes a text as if it stood in `file`.
    pub fn new(file: &Path, text: String) -> Self {
        let positions = Positions::read(&text);
        Self { file: file.to_owned(), text, positions }
    }

    /// The file's path.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the file has a key of this path.
    pub fn has(&self, key: &str) -> bool {
        self.positions.has(key)
    }

    /// The file's content as `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        if let Some((key, place)) = &self.positions.duplicate {
            return Err(self.at(*place, key, format!("`{key}` stands twice; keep one")));
        }
        serde_yaml::from_str(&self.text).map_err(|e| self.syntax(&e))
    }

    /// The error for a problem found after the file was parsed.
    pub fn error(&self, problem: Problem) -> ConfigError {
        self.at(self.positions.find(&problem.key), &problem.key, problem.message)
    }

    fn syntax(&self, error: &serde_yaml::Error) -> ConfigError {
        let text = error.to_string();
        // Serde repeats the place at the end and the key's path at the start.
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        let (key, text) = match text.split_once(": ") {
            Some((key, rest)) if !key.contains(' ') => (key, rest),
            _ => ("", text),
        };
        // Serde places an unknown key where its map begins.
        let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let place = match (unknown, error.location()) {
            (Some((field, _)), _) if key.is_empty() => self.positions.find(field),
            (Some((field, _)), _) => self.positions.find(&format!("{key}.{field}")),
            (None, Some(location)) => (location.line(), location.column()),
            (None, None) => (1, 1),
        };
        self.at(place, key, format!("{text}{}", did_you_mean(text)))
    }

    fn at(&self, (line, column): Place, key: &str, message: String) -> ConfigError {
        let secret = SECRET.iter().any(|word| message.contains(word));
        let line_text = self.text.lines().nth(line.saturating_sub(1)).filter(|_| !secret);
        let snippet = line_text.unwrap_or_default();
        ConfigError {
            file: self.file.clone(),
            line: line.max(1),
            column: column.max(1),
            key: key.to_owned(),
            message,
            snippet: snippet.chars().filter(|c| !c.is_control() || *c == '\t').take(160).collect(),
        }
    }
}

/// A suggestion for serde's "unknown field `x`, expected one of `a`, `b`".
fn did_you_mean(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.contains("unknown field") || message.contains("unknown variant");
    match quoted.next() {
        Some(word) if unknown => suggestion(word, quoted),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        actors: Vec<String>,
    }

    fn error(text: &str) -> ConfigError {
        match Source::new(Path::new("p.yaml"), text.to_owned()).parse::<Sample>() {
            Ok(_) => panic!("accepted"),
            Err(error) => error,
        }
    }

    #[test]
    fn an_unknown_key_is_shown_with_place_and_suggestion() {
        let shown = error("# a comment\nactorz: []\n").to_string();
        assert!(shown.contains("p.yaml:2:1"), "{shown}");
        assert!(shown.contains("did you mean `actors`?"), "{shown}");
        assert!(shown.ends_with(" 2 | actorz: []\n   | ^"), "{shown}");
    }

    #[test]
    fn an_unknown_key_deep_inside_is_shown_itself() {
        let source =
            Source::new(Path::new("p.yaml"), "actors:\n  - id: a\n    tols: []\n".to_owned());
        let unknown = source.parse::<crate::config::PolicyFile>().expect_err("refused");
        assert_eq!((unknown.line, unknown.column), (3, 5), "{unknown}");
    }

    #[test]
    fn broken_yaml_and_wrong_types_have_places() {
        assert_eq!(error("actors: [a\nb: c").line, 2);
        let wrong = error("actors:\n  - {}\n");
        assert_eq!((wrong.line, wrong.column), (2, 5), "{wrong}");
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_shown() {
        let source = Source::new(Path::new("p.yaml"), "actors: [hunter2]\n".to_owned());
        for message in SECRET {
            let error = source.error(Problem::new("actors[0]", message));
            assert!(error.line == 1 && !error.to_string().contains("hunter2"), "{error}");
        }
        assert!(source.error(Problem::new("actors[0]", "else")).to_string().contains("hunter2"));
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let twice = error("actors: []\nactors: []\n");
        assert_eq!(twice.line, 2, "{twice}");
    }
}
