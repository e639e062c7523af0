//! The ways in which a server may read a URL's path.

/// How many times a path is decoded to see what is hidden in it.
const ROUNDS: usize = 3;

/// A path as it stands, and as a server sees it that decodes escapes, takes away parameters after
/// `;`, `.`, `..` and repeated slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Views(Vec<String>);

impl Views {
    /// The views of a serialised path. `None` when it is still encoded after several rounds.
    pub(super) fn new(path: &str) -> Option<Self> {
        let mut views = vec![path.to_owned()];
        let mut bytes = path.as_bytes().to_vec();
        for _ in 0..ROUNDS {
            let view = normal(&String::from_utf8_lossy(&bytes));
            if !views.contains(&view) {
                views.push(view);
            }
            let decoded = decode(&bytes);
            if decoded == bytes {
                return Some(Self(views));
            }
            bytes = decoded;
        }
        None
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Takes away one layer of percent escapes; what is none stays.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escape = (*byte == b'%').then(|| (hex(after.first()), hex(after.get(1))));
        match escape {
            Some((Some(high), Some(low))) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(*byte));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

/// Without parameters, `.`, `..` and empty segments; backslashes are slashes to some servers.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut directory = true;
    for part in path.split(['/', '\\']) {
        let part = part.split(';').next().unwrap_or(part);
        directory = matches!(part, "" | "." | "..");
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let end = if directory && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(path: &str) -> Option<Vec<String>> {
        Views::new(path).map(|views| views.0)
    }

    #[test]
    fn hidden_steps_are_seen() {
        for (path, expected) in [
            ("/a/b", vec!["/a/b"]),
            ("/a/", vec!["/a/"]),
            ("/a//b", vec!["/a//b", "/a/b"]),
            ("/v1/..%2fadmin", vec!["/v1/..%2fadmin", "/admin"]),
            ("/v1/..;/admin", vec!["/v1/..;/admin", "/admin"]),
            ("/v1/%252e%252e/x", vec!["/v1/%252e%252e/x", "/v1/%2e%2e/x", "/x"]),
            ("/a%20b", vec!["/a%20b", "/a b"]),
            ("/100%", vec!["/100%"]),
        ] {
            assert_eq!(
                views(path),
                Some(expected.iter().map(|s| (*s).to_owned()).collect()),
                "{path}"
            );
        }
        assert_eq!(views("/%25252e"), None);
    }
}
