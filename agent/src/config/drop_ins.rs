//! The daemon's file and its drop-ins, `conf.d/*.yaml` beside it, as one configuration.
//!
//! Drop-ins are read in the order of their names. Their lists are added to those before, keys in maps
//! replace them one by one, everything else replaces what was said before. Relative paths in them are
//! relative to the daemon's file, like its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::daemon::DaemonConfig;
use super::error::{ConfigError, Problem};
use super::source::Source;

/// The directory of drop-ins, beside the daemon's file.
const DIRECTORY: &str = "conf.d";
/// Lists that drop-ins add to, by path.
const LISTS: [&str; 5] = ["servers", "actors", "listen", "audit.ship", "audit.alerts"];

/// The files of a configuration, for the places of errors.
#[derive(Debug)]
pub struct Written {
    /// The daemon's file first.
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    source: Source,
    content: Value,
}

impl Written {
    /// Reads the daemon's file and its drop-ins.
    pub fn read(file: &Path) -> Result<(Self, DaemonConfig), ConfigError> {
        let main = Source::read(file)?;
        let config: DaemonConfig = main.parse()?;
        let mut files = vec![File { content: main.parse()?, source: main }];
        for path in drop_ins(file)? {
            let source = Source::read(&path)?;
            // On its own first, so that errors are shown where they are.
            if source.parse::<Option<DaemonConfig>>()?.is_some() {
                files.push(File { content: source.parse()?, source });
            }
        }
        let written = Self { files };
        let config = match written.files.as_slice() {
            [_] => config,
            files => {
                let all = files.iter().map(|file| file.content.clone());
                let whole = all.reduce(merged).unwrap_or_default();
                let clash = |error: serde_yaml::Error| {
                    let text = format!("the drop-ins do not go together: {error}");
                    written.error(Problem::new("", text))
                };
                serde_yaml::from_value(whole).map_err(clash)?
            }
        };
        if !written.files.iter().any(|file| file.source.has("servers")) {
            let text =
                "missing field `servers`: list the MCP servers here or in a drop-in in conf.d";
            return Err(written.error(Problem::new("servers", text)));
        }
        Ok((written, config))
    }

    /// The error for a problem of the whole configuration, with its place in the file that has it.
    pub fn error(&self, problem: Problem) -> ConfigError {
        let Problem { key, message } = problem;
        for list in LISTS {
            if let Some((index, rest)) = position(&key, list)
                && let Some((source, own)) = self.item(list, index)
            {
                return source.error(Problem::new(format!("{list}[{own}]{rest}"), message));
            }
        }
        // What was said last counts.
        let mut files = self.files.iter().rev();
        let file = files.find(|file| file.source.has(&key)).or(self.files.first());
        match file {
            Some(file) => file.source.error(Problem { key, message }),
            None => Source::new(Path::new(""), String::new()).error(Problem { key, message }),
        }
    }

    /// The files.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().map(|file| &file.source)
    }

    /// The file that has an item of a list, and which item of its own it is.
    fn item(&self, list: &str, index: usize) -> Option<(&Source, usize)> {
        let mut before = 0;
        for file in &self.files {
            let own = list.split('.').try_fold(&file.content, |value, key| value.get(key));
            let count = own.and_then(Value::as_sequence).map_or(0, Vec::len);
            if index < before + count {
                return Some((&file.source, index - before));
            }
            before += count;
        }
        None
    }
}

/// `3` and `.policy` of `servers[3].policy`.
fn position<'a>(key: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (index, rest) = key.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// The drop-ins of a file, in order.
fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let dir = file.parent().unwrap_or(Path::new("")).join(DIRECTORY);
    let failed = |path: &Path, message: String| ConfigError {
        file: path.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        message,
        snippet: String::new(),
    };
    let unreadable = |error: std::io::Error| failed(&dir, format!("cannot read: {error}"));
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        match path.extension().and_then(OsStr::to_str) {
            _ if hidden => {}
            Some("yaml") => found.push(path),
            // Close enough to be meant.
            Some("yml") => {
                let text = "only files that end in .yaml are read here; rename or remove it";
                return Err(failed(&path, text.to_owned()));
            }
            _ => {}
        }
    }
    found.sort();
    Ok(found)
}

/// Two files as one.
fn merged(before: Value, after: Value) -> Value {
    match (before, after) {
        (Value::Mapping(mut before), Value::Mapping(after)) => {
            for (key, value) in after {
                let value = match before.remove(&key) {
                    Some(earlier) => merged(earlier, value),
                    None => value,
                };
                before.insert(key, value);
            }
            Value::Mapping(before)
        }
        (Value::Sequence(mut before), Value::Sequence(after)) => {
            before.extend(after);
            Value::Sequence(before)
        }
        // A section that is there and empty says nothing.
        (before, Value::Null) => before,
        (Value::Null, after) if after == Value::Mapping(Mapping::new()) => Value::Null,
        (_, after) => after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().expect("dir");
            fs::create_dir(dir.path().join(DIRECTORY)).expect("made");
            for (name, text) in files {
                fs::write(dir.path().join(name), text).expect("written");
            }
            Self(dir)
        }

        fn read(&self) -> Result<(Written, DaemonConfig), ConfigError> {
            Written::read(&self.0.path().join("warrantd.yaml"))
        }
    }

    const MAIN: &str = "limits: {max_sessions: 7, body_bytes: 2048}
servers:
  - {id: a, command: [x], root: /, policy: a.yaml, auth: [api_key]}
";

    #[test]
    fn drop_ins_add_to_lists_and_replace_the_rest_in_the_order_of_their_names() {
        let files = Files::new(&[
            ("warrantd.yaml", MAIN),
            ("conf.d/20.yaml", "limits: {max_sessions: 9}\n"),
            ("conf.d/10.yaml", "limits: {max_sessions: 8}\nactors: [{id: x}]\n"),
            (
                "conf.d/30.yaml",
                "servers:\n  - {id: b, command: [x], root: /, policy: b.yaml, auth: []}\n",
            ),
            ("conf.d/40.yaml", "# nothing yet\n"),
            ("conf.d/notes.txt", "no configuration"),
            ("conf.d/.10.yaml.swp", "neither"),
        ]);
        let (_, config) = files.read().expect("read");
        assert_eq!((config.limits.max_sessions, config.limits.body_bytes), (9, 2048));
        let ids: Vec<_> = config.servers.iter().map(|server| server.id.as_str()).collect();
        assert_eq!((ids, config.actors.len()), (vec!["a", "b"], 1));
    }

    #[test]
    fn a_problem_is_shown_in_the_file_that_has_it() {
        let files = Files::new(&[
            ("warrantd.yaml", MAIN),
            (
                "conf.d/10.yaml",
                "servers:\n  - {id: b, command: [x], root: /, policy: b.yaml, auth: []}\n",
            ),
            ("conf.d/20.yaml", "limits:\n  max_sessions: 9\n"),
        ]);
        let (written, _) = files.read().expect("read");
        let place = |key: &str| {
            let error = written.error(Problem::new(key, "wrong"));
            (error.file.file_name().expect("a name").to_owned(), error.line)
        };
        assert_eq!(place("servers[0].policy"), ("warrantd.yaml".into(), 3));
        assert_eq!(place("servers[1].auth"), ("10.yaml".into(), 2));
        assert_eq!(place("limits.max_sessions"), ("20.yaml".into(), 2));
        assert_eq!(place("limits.body_bytes"), ("warrantd.yaml".into(), 1));
        assert_eq!(place("audit.dir"), ("warrantd.yaml".into(), 1));
    }

    #[test]
    fn a_drop_in_is_as_strict_as_the_file() {
        for (name, text, line) in [
            ("conf.d/10.yaml", "\nlimitz: {}\n", 2),
            ("conf.d/10.yaml", "limits: {max_sessions: many}\n", 1),
            ("conf.d/10.yaml", "limits: [\n", 1),
            ("conf.d/10.yml", "limits: {}\n", 0),
        ] {
            let error =
                Files::new(&[("warrantd.yaml", MAIN), (name, text)]).read().expect_err(text);
            assert!(error.file.ends_with(name) && error.line == line, "{error}");
        }
        let without = Files::new(&[("warrantd.yaml", "actors: []\n")]).read().expect_err("refused");
        assert!(without.message.contains("missing field `servers`"), "{without}");
    }
}
