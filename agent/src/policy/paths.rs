//! Path arguments and path globs.
//!
//! Two views of a path are judged, and both must pass: the lexical one (made absolute from the
//! server's root, `.` and `..` taken away) and the one after symbolic links, which the caller of
//! this module looks up. What the server then really opens is judged again by the warrant.

use std::sync::Arc;

use globset::GlobSet;

use super::disguise::is_disguised;
use super::glob_sets::{self, Wanted};

/// Paths may be this long, in bytes (`PATH_MAX`, limits.h).
const MAX_BYTES: usize = 4096;

/// Why a path argument cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No path at all.
    #[error("the path is empty")]
    Empty,
    /// Longer than any path can be.
    #[error("the path is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// NUL ends a path early in many programs.
    #[error("the path has a NUL or another control character")]
    Control,
    /// `~` means a home directory to some servers and a file name to others.
    #[error("the path begins with `~`, which servers read differently; write it out")]
    Tilde,
    /// A URI that is not a local file.
    #[error("only file:///… URIs of this host are paths")]
    Uri,
    /// It reads as a way up when decoded.
    #[error("the path has a `..` or NUL in disguise (percent-encoded, `\\` or look-alikes)")]
    Disguised,
    /// A percent escape that is not one.
    #[error("the file URI has a broken percent escape")]
    Escape,
}

/// The lexical absolute path that a path argument names: from `root` when relative, `file:` URIs
/// decoded, without `.`, `..` and repeated slashes.
pub fn absolute(argument: &str, root: &str) -> Result<String, PathError> {
    let decoded;
    let path = if argument.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:")) {
        decoded = file_uri(&argument[5..])?;
        decoded.as_str()
    } else {
        argument
    };
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > MAX_BYTES {
        return Err(PathError::TooLong);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    if path.starts_with('~') {
        return Err(PathError::Tilde);
    }
    if is_disguised(path) {
        return Err(PathError::Disguised);
    }
    let root = if path.starts_with('/') { "" } else { root };
    Ok(normal(root, path))
}

/// The path of a `file:` URI after its scheme (RFC 8089).
fn file_uri(rest: &str) -> Result<String, PathError> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(PathError::Uri);
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(PathError::Escape);
            };
            u8::try_from(high * 16 + low).map_err(|_| PathError::Escape)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).map_err(|_| PathError::Escape)
}

/// A path below a root without `.`, `..` and repeated slashes. `..` of the topmost directory is that directory.
fn normal(root: &str, path: &str) -> String {
    let mut whole = String::with_capacity(root.len() + path.len() + 1);
    for part in root.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => whole.truncate(whole.rfind('/').unwrap_or(0)),
            part => {
                whole.push('/');
                whole.push_str(part);
            }
        }
    }
    if whole.is_empty() {
        whole.push('/');
    }
    whole
}

/// A set of path globs: `*` and `?` stay within a component, `**` spans them, `[…]` and `{a,b}`
/// choose.
#[derive(Debug, Clone)]
pub struct PathGlobs {
    set: Arc<GlobSet>,
    /// For each glob of the set, the index of the pattern it came from.
    origin: Vec<usize>,
    patterns: Vec<String>,
}

impl PathGlobs {
    /// Builds a set. A relative pattern counts from `root`, unless it begins with `**`, which
    /// matches anywhere. `docs/` and `docs/**` mean the directory and all below it. The error is
    /// the index of the bad pattern and why.
    pub fn new<S: AsRef<str>>(patterns: &[S], root: &str) -> Result<Self, (usize, String)> {
        Self::build(patterns, root, false)
    }

    /// The same, matching whatever the case: for deny lists, because some file systems open
    /// `.ENV` as `.env`.
    pub fn any_case<S: AsRef<str>>(patterns: &[S], root: &str) -> Result<Self, (usize, String)> {
        Self::build(patterns, root, true)
    }

    fn build<S: AsRef<str>>(
        patterns: &[S],
        root: &str,
        any_case: bool,
    ) -> Result<Self, (usize, String)> {
        let (mut globs, mut origin) = (Vec::new(), Vec::new());
        for (index, pattern) in patterns.iter().enumerate() {
            for glob in spellings(pattern.as_ref(), root).map_err(|e| (index, e))? {
                globs.push(glob);
                origin.push(index);
            }
        }
        let set = glob_sets::set(Wanted { globs, any_case })
            .map_err(|(glob, why)| (origin.get(glob).copied().unwrap_or(0), why))?;
        Ok(Self { set, origin, patterns: patterns.iter().map(|p| p.as_ref().to_owned()).collect() })
    }

    /// The first pattern that matches an absolute path: its index and text.
    pub fn first_match(&self, path: &str) -> Option<(usize, &str)> {
        let index = self.set.matches(path).into_iter().filter_map(|m| self.origin.get(m)).min()?;
        Some((*index, self.patterns.get(*index)?))
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether the set has no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any pattern matches an absolute path.
    pub fn matches(&self, path: &str) -> bool {
        self.set.is_match(path)
    }
}

/// A glob that matches this path alone: every character stands for itself.
pub fn literal(path: &str) -> String {
    // A backslash would take the meaning from what follows it, also from what escapes the next character.
    path.split('\\').map(globset::escape).collect::<Vec<_>>().join("\\\\")
}

/// The absolute globs that a pattern stands for.
fn spellings(pattern: &str, root: &str) -> Result<Vec<String>, String> {
    if pattern.is_empty() {
        return Err("an empty pattern matches nothing; remove it".to_owned());
    }
    if pattern.split('/').any(|part| part == "..") {
        return Err("a pattern has no `..`; write the path it means".to_owned());
    }
    if pattern == "." {
        return Ok(vec![literal(root)]);
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let pattern = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.to_owned() };
    let whole = if pattern.starts_with('/') || pattern.starts_with("**") {
        pattern
    } else {
        format!("{}/{pattern}", literal(root.trim_end_matches('/')))
    };
    // `dir/**` matches what is below; a person means the directory too.
    let itself = whole
        .strip_suffix("/**")
        .filter(|directory| !directory.is_empty() && *directory != "**")
        .map(str::to_owned);
    Ok(itself.into_iter().chain([whole]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_become_absolute() {
        for (argument, expected) in [
            ("a.txt", "/srv/data/a.txt"),
            ("./a//b/./c", "/srv/data/a/b/c"),
            ("../../../etc/passwd", "/etc/passwd"),
            ("/srv/data/x/../y", "/srv/data/y"),
            ("file:///srv/data/a%20b", "/srv/data/a b"),
            ("FILE://localhost/srv/%2e%2e/etc", "/etc"),
        ] {
            assert_eq!(absolute(argument, "/srv/data").as_deref(), Ok(expected), "{argument}");
        }
        for bad in ["", "a\0b", "~/x", "file://evil/etc/passwd", "file:///a%0", "file:x"] {
            assert!(absolute(bad, "/srv/data").is_err(), "accepted {bad:?}");
        }
    }

    fn matches(pattern: &str, path: &str) -> bool {
        match PathGlobs::new(&[pattern], "/srv/[1]") {
            Ok(globs) => globs.matches(path),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn patterns_mean_what_a_person_expects() {
        for (pattern, path, expected) in [
            ("data/public/**", "/srv/[1]/data/public/a/b", true),
            ("data/public/**", "/srv/[1]/data/public", true),
            ("data/public/**", "/srv/[1]/data/public2/a", false),
            ("data/public/**", "/srv/1/data/public/a", false),
            ("docs/", "/srv/[1]/docs/a", true),
            (".", "/srv/[1]", true),
            (".", "/srv/[1]/a", false),
            ("./a", "/srv/[1]/a", true),
            ("**/.env", "/srv/[1]/.env", true),
            ("**/.env", "/.env", true),
            ("**/.env", "/srv/x.env", false),
            ("**/*.key", "/a/b/c.key", true),
            ("*.txt", "/srv/[1]/a.txt", true),
            ("*.txt", "/srv/[1]/a/b.txt", false),
            ("/etc/host?", "/etc/hosts", true),
            ("**", "/anything/at/all", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        assert!(PathGlobs::new(&["ok", "a/../b"], "/").is_err_and(|(index, _)| index == 1));
        assert!(PathGlobs::new(&["a[b"], "/").is_err());
    }

    #[test]
    fn deny_lists_do_not_look_at_the_case() {
        let denied = PathGlobs::any_case(&["**/.env", "Secret/**"], "/srv").expect("globs");
        for path in ["/srv/.ENV", "/a/.Env", "/srv/secret/x", "/srv/SECRET"] {
            assert!(denied.matches(path), "{path}");
        }
        assert!(!denied.matches("/srv/.envrc"));
        let allowed = PathGlobs::new(&["Secret/**"], "/srv").expect("globs");
        assert!(!allowed.matches("/srv/secret/x"), "an allow list does");
    }

    proptest! {
        #[test]
        fn normal_paths_never_climb(argument in "[a./~%]{0,24}") {
            if let Ok(path) = absolute(&argument, "/srv/data") {
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.split('/').skip(1).all(|p| p != ".." && p != "."));
                prop_assert_eq!(absolute(&path, "/elsewhere"), Ok(path.clone()));
            }
        }
    }
}
