//! User names and passwords in URLs (RFC 3986, section 3.2.1), and secrets that are a URL's path.

use super::span::{Span, byte_before, run};
use crate::config::Kind;

/// Services whose URLs are secrets as a whole: whoever knows one may post to it.
const WEBHOOKS: [&str; 6] = [
    "//hooks.slack.com/services/",
    "//hooks.slack.com/workflows/",
    "//discord.com/api/webhooks/",
    "//discordapp.com/api/webhooks/",
    "//outlook.office.com/webhook/",
    "//hooks.zapier.com/hooks/",
];

/// Finds userinfo that may be a secret, and what follows the name of a webhook service.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for at in memchr::memchr_iter(b':', bytes) {
        let start = at + 3;
        if at < from || bytes.get(at..start) != Some(b"://") {
            continue;
        }
        from = start;
        if !byte_before(bytes, at).is_ascii_alphanumeric() {
            continue;
        }
        let end = start + run(bytes, start, is_authority);
        from = end;
        let authority = text.get(start..end).unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && is_secret(user)
        {
            let end = start + user.len();
            spans.push(Span { start, end, kind: Kind::Credential });
        }
        let rest = text.get(at + 1..).unwrap_or_default();
        if let Some(service) = WEBHOOKS.iter().find(|service| rest.starts_with(**service)) {
            let start = at + 1 + service.len();
            let end = start + run(bytes, start, |b| is_authority(b) || b == b'/');
            if end > start {
                spans.push(Span { start, end, kind: Kind::Token });
            }
            from = end.max(from);
        }
    }
}

/// Whether userinfo is more than the name of a service's common user.
fn is_secret(user: &str) -> bool {
    !user.is_empty() && !matches!(user, "git" | "hg" | "svn" | "anonymous")
}

/// Whether a byte can be in the authority of a URL. What ends it for one reader may not for
/// another: a backslash does in browsers only, so that it is not taken for an end here.
fn is_authority(b: u8) -> bool {
    b > b' ' && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn userinfo_is_found() {
        for (text, user) in [
            ("https://bob:hunter2@example.com/x", "bob:hunter2"),
            ("postgres://app:p%40ss@db:5432/x", "app:p%40ss"),
            ("see redis://:secret@10.0.0.1", ":secret"),
            ("https://ghp_x@github.com/a/b", "ghp_x"),
            ("amqp://a:b@c@host", "a:b@c"),
            ("jdbc:mysql://root:pw@host/db", "root:pw"),
        ] {
            assert_eq!(found(text), [user], "{text}");
        }
        let hook = "https://hooks.slack.com/services/T0/B0/abc?x";
        assert_eq!(found(hook), ["T0/B0/abc"]);
    }

    #[test]
    fn other_urls_are_left() {
        for text in [
            "https://example.com/a@b",
            "https://example.com?x=a@b",
            "ssh://git@github.com/a/b",
            "ftp://anonymous@ftp.example.com",
            "://a:b@c",
            "std::fs",
            "https://example.com:8080/",
            "https://hooks.slack.com/services/",
            "https://@example.com",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
