//! The headers that configuration adds to every request. Their values are secrets.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::HeaderSource;

use super::UpstreamError;

/// How old what was read of a file may be: credentials are replaced while warrantd runs.
const FRESH: Duration = Duration::from_secs(10);
/// Bytes that such a file may have.
const MAX_FILE: u64 = 16 << 10;

/// Headers and where their values come from.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<(HeaderName, Value)>);

#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    File { path: PathBuf, read: Mutex<(Instant, HeaderValue)> },
}

impl Headers {
    /// Reads all values. Relative files are those beside `base`.
    pub(super) fn new<'a>(
        sources: impl IntoIterator<Item = (&'a String, &'a HeaderSource)>,
        base: &Path,
    ) -> Result<Self, UpstreamError> {
        let headers = sources.into_iter().map(|(name, source)| {
            let bad = |why: String| UpstreamError::Header { name: name.clone(), why };
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
            let value = match source {
                HeaderSource::Value(value) => {
                    Value::Fixed(secret(value.expose_secret().as_bytes()).map_err(bad)?)
                }
                HeaderSource::File(file) => {
                    let path = base.join(file);
                    let value = read(&path).map_err(bad)?;
                    Value::File { path, read: Mutex::new((Instant::now(), value)) }
                }
            };
            Ok((parsed, value))
        });
        headers.collect::<Result<_, _>>().map(Self)
    }

    /// Adds the headers to a request's. A file that cannot be read any more counts as unchanged.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name, value.now(name));
        }
    }
}

impl Value {
    fn now(&self, name: &HeaderName) -> HeaderValue {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::File { path, read: last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.0.elapsed() > FRESH {
                    last.0 = Instant::now();
                    match read(path) {
                        Ok(value) => last.1 = value,
                        Err(why) => {
                            tracing::warn!(%name, "the header keeps its value: {why}");
                        }
                    }
                }
                last.1.clone()
            }
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("cannot read {shown}: {e}"))?.len();
    if size > MAX_FILE {
        return Err(format!("{shown} has more than {} KiB", MAX_FILE >> 10));
    }
    let content = std::fs::read(path).map_err(|e| format!("cannot read {shown}: {e}"))?;
    let content = Zeroizing::new(content);
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    secret(line).map_err(|why| format!("{shown}: {why}"))
}

/// The reason names no value.
fn secret(value: &[u8]) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| "a header's value is one line of printable characters".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn from_file(content: &str) -> Result<HeaderMap, String> {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("token"), content).expect("written");
        let sources = BTreeMap::from([("X-Token".to_owned(), HeaderSource::File("token".into()))]);
        let headers = Headers::new(&sources, dir.path()).map_err(|error| error.to_string())?;
        let mut map = HeaderMap::new();
        headers.add_to(&mut map);
        assert!(!format!("{headers:?}").contains("hunter2"), "shown");
        Ok(map)
    }

    #[test]
    fn a_value_comes_from_a_file_without_its_line_end() {
        for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(from_file(content).expect("read")["x-token"], "hunter2");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_without_showing_it() {
        for content in ["", "\n", "hunter2\nhunter2", "hunter2\0"] {
            let error = from_file(content).expect_err("refused");
            assert!(error.contains("X-Token") && !error.contains("hunter2"), "{error}");
        }
    }
}
