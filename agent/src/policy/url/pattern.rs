//! URL patterns: `scheme://host[:port][/path]`.
//!
//! - The scheme stands as it is; a denied pattern may say `*`.
//! - The host is a name, an address, or a glob of names. `*` as the first label stands for one label
//!   or more, so `*.example.com` covers every subdomain and not `example.com` itself; elsewhere `*`
//!   stays within its label. `*` or `**` alone is any name and any public address.
//! - The port is a number, or `*` for any. Without one an allowed pattern means the scheme's default
//!   port, a denied pattern every port.
//! - The path is a glob: `*` and `?` stay within a segment, `**` spans them. Without one, any path.
//!   A denied path matches whatever its case.

use globset::{GlobBuilder, GlobMatcher};

use super::path::Views;
use super::strict::{Parts, is_scheme, read_host};
use super::{Host, names};

/// Schemes that read local files, run code, or carry raw bytes to any service.
const NEVER: [&str; 24] = [
    "about",
    "blob",
    "chrome",
    "data",
    "dict",
    "expect",
    "file",
    "filesystem",
    "glob",
    "gopher",
    "imap",
    "jar",
    "javascript",
    "ldap",
    "ldapi",
    "ldaps",
    "netdoc",
    "ogg",
    "phar",
    "php",
    "smb",
    "tftp",
    "vbscript",
    "zlib",
];

/// Patterns may be this long, in bytes.
const MAX_BYTES: usize = 1024;

/// On which list a pattern stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Allowed,
    Denied,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// As written.
    pub(super) text: String,
    /// `None` is any.
    scheme: Option<String>,
    host: HostGlob,
    port: PortGlob,
    /// `None` is any.
    path: Option<Vec<GlobMatcher>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostGlob {
    Any,
    Exact(Host),
    /// Labels from the last to the first, each of which may hold `*` within.
    Labels {
        reversed: Vec<String>,
        /// Whether one label or more stand in front of these.
        more: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortGlob {
    Any,
    Default,
    Exact(u16),
}

impl Pattern {
    /// Compiles one pattern, or says what is wrong with it.
    pub(super) fn compile(text: &str, list: List) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("a pattern is at most {MAX_BYTES} bytes long"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@') {
            return Err("a pattern has no spaces and no `@`; write scheme://host/path".to_owned());
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("a pattern begins with scheme://host, such as https://api.example.com/**")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let scheme = compile_scheme(scheme, list)?;
        let (host, port) = compile_authority(authority, list)?;
        if port == PortGlob::Default
            && let Some(scheme) = &scheme
            && default_port(scheme).is_none()
        {
            return Err(format!("scheme `{scheme}` has no usual port; write one after the host"));
        }
        Ok(Self { text: text.to_owned(), scheme, host, port, path: compile_path(path, list)? })
    }

    /// Whether the pattern's scheme is this one.
    pub(super) fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.as_deref().is_none_or(|own| own == scheme)
    }

    /// Whether the pattern covers a URL: every view of its path for a pattern that allows, one of
    /// them for a pattern that denies.
    pub(super) fn covers(&self, parts: &Parts, port: u16, views: &Views, list: List) -> bool {
        let in_path = self.path.as_ref().is_none_or(|globs| {
            let matches = |view: &str| globs.iter().any(|glob| glob.is_match(view));
            match list {
                List::Allowed => views.iter().all(matches),
                List::Denied => views.iter().any(matches),
            }
        });
        in_path
            && self.is_scheme(&parts.scheme)
            && self.host.covers(&parts.host)
            && match self.port {
                PortGlob::Any => true,
                PortGlob::Default => default_port(&parts.scheme) == Some(port),
                PortGlob::Exact(own) => own == port,
            }
    }

    /// Whether the pattern names this very host, without a wildcard.
    pub(super) fn names(&self, host: &Host) -> bool {
        matches!(&self.host, HostGlob::Exact(own) if own == host)
    }

    /// Whether the pattern is a glob of names below `suffix`.
    pub(super) fn is_below(&self, suffix: &str) -> bool {
        let HostGlob::Labels { reversed, .. } = &self.host else { return false };
        let wanted = suffix.rsplit('.').map(Some).chain([None]);
        let mut labels = reversed.iter().map(String::as_str);
        wanted.into_iter().all(|wanted| wanted.is_none_or(|wanted| labels.next() == Some(wanted)))
    }
}

/// The port that a scheme means when a URL names none.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        "ssh" | "sftp" => Some(22),
        _ => None,
    }
}

/// Whether a scheme is denied whatever the patterns say.
pub(super) fn is_never(scheme: &str) -> bool {
    NEVER.contains(&scheme)
}

fn compile_scheme(text: &str, list: List) -> Result<Option<String>, String> {
    if text == "*" && list == List::Denied {
        return Ok(None);
    }
    let scheme = text.to_ascii_lowercase();
    if !is_scheme(&scheme) {
        return Err(format!("`{text}` is no scheme; write https or http"));
    }
    if list == List::Allowed && is_never(&scheme) {
        return Err(format!("scheme `{scheme}` reaches more than a host and is never allowed"));
    }
    Ok(Some(scheme))
}

fn compile_authority(text: &str, list: List) -> Result<(HostGlob, PortGlob), String> {
    let colon = text.rfind(':').filter(|colon| text.rfind(']').is_none_or(|end| end < *colon));
    let (host, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((host, ":*")) => (host, PortGlob::Any),
        Some((host, port)) => {
            let number = port.trim_start_matches(':').parse().ok().filter(|port| *port > 0);
            let number = number.ok_or("the port is a number from 1 to 65535, or `*` for any")?;
            (host, PortGlob::Exact(number))
        }
        None if list == List::Denied => (text, PortGlob::Any),
        None => (text, PortGlob::Default),
    };
    Ok((compile_host(host)?, port))
}

pub(super) fn compile_host(text: &str) -> Result<HostGlob, String> {
    if text == "*" || text == "**" {
        return Ok(HostGlob::Any);
    }
    if text.contains(['?', '{', '}', '#']) || (text.contains('[') && text.contains('*')) {
        return Err("a host glob has no wildcard but `*`; list the hosts one by one".to_owned());
    }
    if !text.contains('*') {
        return match read_host(text) {
            Ok(host) => Ok(HostGlob::Exact(host)),
            Err(why) => Err(format!("`{text}` is no host: {why}")),
        };
    }
    let (more, rest) = match text.strip_prefix("**.").or_else(|| text.strip_prefix("*.")) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_*".contains(&b);
    if !rest.split('.').all(|label| !label.is_empty() && label.bytes().all(legal)) {
        return Err(format!(
            "`{text}` is no host glob; write names in ASCII, such as *.example.com"
        ));
    }
    let reversed: Vec<String> = rest.rsplit('.').map(str::to_ascii_lowercase).collect();
    if reversed.first().is_none_or(|last| last.contains('*') || last.parse::<u64>().is_ok()) {
        return Err(format!(
            "`{text}` leaves the end of the name open; globs match names, not addresses, from the left"
        ));
    }
    Ok(HostGlob::Labels { reversed, more })
}

fn compile_path(text: &str, list: List) -> Result<Option<Vec<GlobMatcher>>, String> {
    if text.is_empty() || text == "/**" {
        return Ok(None);
    }
    if text.contains(['#', '\\']) || text.split('/').any(|part| part == "." || part == "..") {
        return Err("a pattern's path has no `#`, `\\`, `.` or `..`".to_owned());
    }
    let glob = |text: &str| {
        GlobBuilder::new(text)
            .literal_separator(true)
            .case_insensitive(list == List::Denied)
            .build()
            .map(|glob| glob.compile_matcher())
            .map_err(|e| format!("the path is not a glob: {}", e.kind()))
    };
    // `/v1/**` matches what is below; a person means `/v1` too.
    let itself = text.strip_suffix("/**").filter(|start| !start.is_empty());
    itself.into_iter().chain([text]).map(glob).collect::<Result<_, _>>().map(Some)
}

impl HostGlob {
    pub(super) fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(own), host) => own == host,
            (Self::Labels { .. }, Host::Ip(_)) => false,
            (Self::Labels { reversed, more }, Host::Name(name)) => {
                let mut labels = name.rsplit('.');
                let tail = reversed
                    .iter()
                    .all(|glob| labels.next().is_some_and(|label| matches_label(glob, label)));
                tail && labels.next().is_some() == *more
            }
        }
    }
}

/// Whether `*` in `glob` can stand for what `label` has in its place. Labels are at most 63 bytes.
fn matches_label(glob: &str, label: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = label.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The name that stands in the way of a special name, for messages.
pub(super) fn opens(pattern: &Pattern, host: &Host, special: names::Special) -> bool {
    pattern.names(host)
        || match special {
            names::Special::Exact(_) => false,
            names::Special::Below { suffix, .. } => pattern.is_below(suffix),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(glob: &str, name: &str) -> bool {
        compile_host(glob).unwrap().covers(&read_host(name).unwrap())
    }

    #[test]
    fn host_globs_mean_what_a_person_expects() {
        for (glob, name, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*.example.com", "a.example.com.evil.org", false),
            ("api-*.example.com", "api-1.example.com", true),
            ("api-*.example.com", "api-1.x.example.com", false),
            ("a*b*c.example.com", "axxbyyc.example.com", true),
            ("a*b*c.example.com", "axxc.example.com", false),
            ("a.*.example.com", "a.b.example.com", true),
            ("a.*.example.com", "a.b.c.example.com", false),
            ("Example.com", "example.com", true),
            ("**", "8.8.8.8", true),
            ("1.1.1.1", "1.1.1.1", true),
            ("[2606:4700::1111]", "[2606:4700:0::1111]", true),
            ("*.1.1.com", "1.1.1.1", false),
        ] {
            assert_eq!(host(glob, name), expected, "{glob} {name}");
        }
    }

    #[test]
    fn bad_patterns_are_explained() {
        for text in [
            "",
            "example.com",
            "https://",
            "https:///x",
            "*://x.com",
            "file:///etc/**",
            "gopher://x.com",
            "https://user@x.com",
            "https://10.*.*.*",
            "https://*.com:0",
            "https://x.com:http",
            "https://*.*",
            "https://exa mple.com",
            "https://x.com/../y",
            "https://x.com/[",
            "foo://x.com",
            "https://x.com#y",
            "https://127.1/",
            "h*p://x.com",
            "https://x.{com,org}",
            "https://*..com",
        ] {
            assert!(Pattern::compile(text, List::Allowed).is_err(), "compiled {text}");
        }
        for text in ["*://x.com", "file://**", "https://*.com", "foo://x.com"] {
            assert!(Pattern::compile(text, List::Denied).is_ok(), "refused {text}");
        }
        assert!(Pattern::compile("sftp://files.example.com/**", List::Allowed).is_ok());
    }
}
