//! Paths as globs, and temporary names as what they have in common.

use super::material::below;
pub(super) use crate::policy::literal;

/// Characters that a random part of a name has at least.
const RANDOM: usize = 6;

/// Directories in which programs make files with names of their own choice.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Everything in a directory, and the directory.
pub(super) fn tree(directory: &str) -> String {
    format!("{}/**", literal(directory.trim_end_matches('/')))
}

/// What says that a path is temporary, beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// It was made and taken away by the same call.
    pub(super) made: bool,
    /// It is in a directory that is the server's own.
    pub(super) inside: bool,
}

/// The glob of a temporary file's path: what is random in it becomes `*`. `None` when nothing says that it
/// is temporary, or nothing in it is random.
pub(super) fn temporary(path: &str, about: Circumstances) -> Option<String> {
    let tops = TEMPORARY.iter().filter(|_| !about.inside);
    for top in tops {
        // `/tmp/tmpk3_9xw2a/notes`: the directory was made for the occasion.
        let Some(rest) = below(path, top) else { continue };
        let (first, rest) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
        if let Some(first) = without_random(first) {
            let rest = rest.map(|rest| format!("/{}", literal(rest))).unwrap_or_default();
            return Some(format!("{top}/{first}{rest}"));
        }
    }
    let (directory, name) = path.rsplit_once('/')?;
    let lower = name.to_lowercase();
    let named = ["tmp", "temp", ".part", ".swp"].iter().any(|word| lower.contains(word));
    if !(about.made || named) {
        return None;
    }
    let name = without_random(name)?;
    Some(format!("{}/{name}", literal(directory)))
}

/// A name with `*` for its random parts, escaped otherwise; `None` when it has none, or nothing else.
pub(super) fn without_random(name: &str) -> Option<String> {
    let mut glob = String::new();
    let mut found = false;
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(is_separator).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match random_part(word) {
            Some(prefix) => {
                found = true;
                glob.push_str(&literal(prefix));
                if !glob.ends_with('*') {
                    glob.push('*');
                }
            }
            None => glob.push_str(&literal(word)),
        }
        let separator = after.chars().next().map_or(0, char::len_utf8);
        let (separator, after) = after.split_at(separator);
        glob.push_str(&literal(separator));
        rest = after;
    }
    let fixed = glob.chars().filter(|c| *c != '*').count();
    (found && fixed >= 2).then_some(glob)
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '~' | '#' | '@' | '+')
}

/// What comes before the random part of a word: `tmp` of `tmpk3_9xw2a`, nothing of `5fd1c02e`.
fn random_part(word: &str) -> Option<&str> {
    let known = ["tmp", "temp", "pip", "npm", "node"];
    let prefix =
        known.iter().find(|prefix| word.starts_with(**prefix) && word.len() > prefix.len());
    let (prefix, rest) = match prefix {
        Some(prefix) => word.split_at(prefix.len()),
        None => ("", word),
    };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let upper = rest.bytes().skip(1).filter(u8::is_ascii_uppercase).count();
    let lower = rest.bytes().filter(u8::is_ascii_lowercase).count();
    let plain = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mixed = digits > 0 && (upper + lower > 0 || digits == rest.len());
    let cased = upper > 0 && lower > 0;
    let after_known = !prefix.is_empty();
    (plain && rest.len() >= RANDOM && (mixed || cased || after_known)).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PathGlobs;

    #[test]
    fn literals_match_themselves_alone() {
        for path in ["/a b/c", "/x/*", "/x/[a]", "/x/{a,b}", "/x/\\*", "/x/${arguments.a}", "/x\\y"]
        {
            let glob = literal(path);
            let globs = PathGlobs::new(&[&glob], "/").expect("a glob");
            assert!(globs.matches(path), "{glob} does not match {path}");
            for other in ["/x/q", "/x/a", "/x/", "/a bb/c", "/xy"] {
                assert!(!globs.matches(other), "{glob} matches {other}");
            }
            assert!(!glob.contains("${"), "{glob}");
        }
    }

    #[test]
    fn temporary_names_lose_what_is_random() {
        for (path, expected) in [
            ("/srv/a.md.5fd1c02e.tmp", "/srv/a.md.*.tmp"),
            ("/tmp/tmpk3_9xw2a", "/tmp/tmp*"),
            ("/tmp/npm-x9Fq2Lz1/log", "/tmp/npm-*/log"),
            ("/tmp/session-123e4567.sock", "/tmp/session-*.sock"),
            ("/srv/.note.txt.swp", ""),
            ("/srv/report-20240101.md", ""),
            ("/tmp/notes.md", ""),
            ("/tmp/5fd1c02e", ""),
        ] {
            let about = Circumstances { made: false, inside: false };
            assert_eq!(temporary(path, about).unwrap_or_default(), expected, "{path}");
        }
        let made = Circumstances { made: true, inside: true };
        assert_eq!(temporary("/srv/x.1f2e3d4c", made).as_deref(), Some("/srv/x.*"));
        let own = Circumstances { made: false, inside: true };
        assert_eq!(temporary("/tmp/work-1f2e3d4c/report-20240101", own), None);
    }
}
