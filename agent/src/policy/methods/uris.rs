//! Which resource URIs may be named (RFC 3986).
//!
//! A `file:` URI is judged as the path that it leads to, by the globs of paths and by those of URIs that
//! begin with `file:`. Any other URI is judged as it is written and as a server sees it that decodes it;
//! both must be allowed and neither denied.

use crate::config::Problem;
use crate::policy::check::{Denial, deny};
use crate::policy::decide::ApprovedPath;
use crate::policy::disguise::{decode, is_disguised};
use crate::policy::paths::{PathGlobs, absolute, literal};

/// URIs may be this long, in bytes.
const MAX_BYTES: usize = 8192;

/// Limits on URIs.
#[derive(Debug)]
pub(super) struct UriLimits {
    /// Path of the key in the file that holds the lists.
    key: String,
    /// `None` allows every URI.
    allowed: Option<Globs>,
    denied: Globs,
}

/// The lists as a policy has them.
pub(super) struct Lists<'a> {
    pub(super) allowed_uris: Option<&'a [String]>,
    pub(super) denied_uris: &'a [String],
    pub(super) allowed_paths: Option<&'a [String]>,
    pub(super) denied_paths: &'a [String],
}

/// What one side of the lists matches.
#[derive(Debug)]
struct Globs {
    paths: PathGlobs,
    /// `file:` patterns, as paths, and where each stands in the list.
    files: (PathGlobs, Vec<usize>),
    /// The others, with a slash before each: a relative glob would count from a root.
    others: (PathGlobs, Vec<usize>),
}

/// A URI in the two ways in which it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Uri {
    File(ApprovedPath),
    Other(Vec<String>),
}

impl UriLimits {
    /// Checks the lists at `key` for a server whose root is `root`.
    pub(super) fn compile(lists: &Lists, key: &str, root: &str) -> Result<Self, Problem> {
        let (uris, paths) = (lists.allowed_uris, lists.allowed_paths);
        let allowed = (uris.is_some() || paths.is_some()).then(|| {
            let names = ("allowed_uris", "allowed_paths");
            let (uris, paths) = (uris.unwrap_or_default(), paths.unwrap_or_default());
            Globs::compile((uris, paths), names, false, key, root)
        });
        let names = ("denied_uris", "denied_paths");
        Ok(Self {
            key: key.to_owned(),
            allowed: allowed.transpose()?,
            denied: Globs::compile(
                (lists.denied_uris, lists.denied_paths),
                names,
                true,
                key,
                root,
            )?,
        })
    }

    /// Judges a URI that stands in `place`, and gives the path when it is a file's.
    pub(super) fn judge(
        &self,
        uri: &str,
        place: &str,
        root: &str,
        resolve: &dyn Fn(&str) -> String,
    ) -> Result<Option<ApprovedPath>, Denial> {
        let key = &self.key;
        let uri = Uri::read(uri, place, root, resolve)
            .or_else(|why| deny(key.clone(), format!("{place}: {why}")))?;
        if let Some((list, pattern)) = self.denied.find(&uri) {
            return deny(format!("{key}.denied_{list}"), format!("{place} matches `{pattern}`"));
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.cover(&uri)) {
            let why = match &uri {
                Uri::File(path) if path.lexical != path.real => " (symbolic links followed)",
                _ => "",
            };
            let reason = format!("{place} matches no allowed URI{why}");
            return deny(format!("{key}.allowed_uris"), reason);
        }
        Ok(match uri {
            Uri::File(path) => Some(path),
            Uri::Other(_) => None,
        })
    }
}

/// The path that a URI leads to, if it is a file's; what is wrong with one that cannot be judged.
pub(super) fn path_of(
    uri: &str,
    place: &str,
    root: &str,
    resolve: &dyn Fn(&str) -> String,
) -> Result<Option<ApprovedPath>, String> {
    Ok(match Uri::read(uri, place, root, resolve)? {
        Uri::File(path) => Some(path),
        Uri::Other(_) => None,
    })
}

impl Uri {
    fn read(
        uri: &str,
        place: &str,
        root: &str,
        resolve: &dyn Fn(&str) -> String,
    ) -> Result<Self, String> {
        if uri.len() > MAX_BYTES {
            return Err(format!("longer than {MAX_BYTES} bytes"));
        }
        if uri.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("a URI has no space, backslash or control character; encode it".to_owned());
        }
        let Some((scheme, _)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err("not a URI; write it with its scheme, such as file:///srv/a".to_owned());
        };
        if scheme.eq_ignore_ascii_case("file") {
            let lexical = absolute(uri, root).map_err(|why| why.to_string())?;
            let real = resolve(&lexical);
            let argument = place.to_owned();
            return Ok(Self::File(ApprovedPath { argument, lexical, real }));
        }
        // A way up is none that a glob could see.
        let path = uri.split(['?', '#']).next().unwrap_or(uri);
        if is_disguised(uri) || path.split('/').any(|part| part == "..") {
            return Err("the URI has a `..` or NUL, perhaps in disguise".to_owned());
        }
        let uri =
            format!("{}{}", scheme.to_ascii_lowercase(), uri.get(scheme.len()..).unwrap_or(""));
        let mut views = vec![format!("/{uri}")];
        let mut bytes = uri.into_bytes();
        // Disguises end after few layers, or the URI was refused above.
        loop {
            let decoded = decode(&bytes);
            if decoded == bytes {
                return Ok(Self::Other(views));
            }
            views.push(format!("/{}", String::from_utf8_lossy(&decoded)));
            bytes = decoded;
        }
    }
}

impl Globs {
    fn compile(
        (uris, paths): (&[String], &[String]),
        (uris_name, paths_name): (&str, &str),
        any_case: bool,
        key: &str,
        root: &str,
    ) -> Result<Self, Problem> {
        let build = |patterns: &[String], root: &str| {
            if any_case {
                PathGlobs::any_case(patterns, root)
            } else {
                PathGlobs::new(patterns, root)
            }
        };
        let paths = build(paths, root)
            .map_err(|(index, why)| Problem::new(format!("{key}.{paths_name}[{index}]"), why))?;
        let (mut files, mut others) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (index, text) in uris.iter().enumerate() {
            let pattern = Pattern::read(text)
                .map_err(|why| Problem::new(format!("{key}.{uris_name}[{index}]"), why))?;
            let (list, text) = match pattern {
                Pattern::File(text) => (&mut files, text),
                Pattern::Other(text) => (&mut others, text),
            };
            list.0.push(text);
            list.1.push(index);
        }
        let set = |(patterns, places): (Vec<String>, Vec<usize>)| {
            let globs = build(&patterns, "/").map_err(|(index, why)| {
                let index = places.get(index).copied().unwrap_or_default();
                Problem::new(format!("{key}.{uris_name}[{index}]"), why)
            })?;
            Ok::<_, Problem>((globs, places))
        };
        Ok(Self { paths, files: set(files)?, others: set(others)? })
    }

    /// Whether every view of the URI is matched.
    fn cover(&self, uri: &Uri) -> bool {
        match uri {
            Uri::File(path) => [&path.lexical, &path.real]
                .into_iter()
                .all(|view| self.paths.matches(view) || self.files.0.matches(view)),
            Uri::Other(views) => views.iter().all(|view| self.others.0.matches(view)),
        }
    }

    /// The first pattern that matches any view: its list and place, such as `uris[0]`, and text.
    fn find(&self, uri: &Uri) -> Option<(String, String)> {
        let of = |(globs, places): &(PathGlobs, Vec<usize>), view: &str| {
            let (index, text) = globs.first_match(view)?;
            Some((format!("uris[{}]", places.get(index)?), text.to_owned()))
        };
        match uri {
            Uri::File(path) => [&path.lexical, &path.real].into_iter().find_map(|view| {
                let listed = self.paths.first_match(view);
                let listed =
                    listed.map(|(index, text)| (format!("paths[{index}]"), text.to_owned()));
                listed.or_else(|| of(&self.files, view))
            }),
            Uri::Other(views) => views.iter().find_map(|view| of(&self.others, view)),
        }
    }
}

enum Pattern {
    File(String),
    Other(String),
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let example = "write it with its scheme, such as `file:///srv/**` or `memo://**`";
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
        else {
            return Err(format!("`{text}` is no glob of URIs; {example}"));
        };
        if !scheme.eq_ignore_ascii_case("file") {
            // The scheme is no glob, and a relative pattern would count from a root.
            return Ok(Self::Other(format!("/{}:{rest}", literal(&scheme.to_ascii_lowercase()))));
        }
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Ok(Self::File(path.to_owned())),
            _ => Err(format!(
                "`{text}` is no glob of local files; write `file:///…`, or a relative path under \
                 `allowed_paths` or `denied_paths`"
            )),
        }
    }
}

/// A URI's scheme (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}
