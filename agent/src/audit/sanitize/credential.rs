//! Credentials in running text: HTTP schemes, `name=value` and `name: value` with a name that means
//! a secret, and command-line options.

use memchr::memchr3;

use super::keys::{Meaning, Names, is_directory};
use super::mark::is_marker;
use super::span::{Span, byte, byte_before, is_word, run};
use crate::config::Kind;

/// Bytes of the shortest credentials after an HTTP scheme.
pub(super) const SHORTEST: usize = 8;

/// Bytes of a name that are looked at.
const LONGEST_NAME: usize = 64;

/// An HTTP authentication scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 7617.
    Basic,
}

/// Finds the credentials after the name of a scheme at `at`.
pub(super) fn find_scheme(text: &str, at: usize, scheme: Scheme, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let name_end = at + if scheme == Scheme::Bearer { 6 } else { 5 };
    let mut start = name_end + run(bytes, name_end, |b| b == b' ').min(4);
    if start == name_end && bytes.get(start..start + 3) == Some(b"%20") {
        start += 3;
    }
    if start == name_end || is_word(byte_before(bytes, at)) {
        return;
    }
    let end = start + run(bytes, start, is_token68);
    let value = text.get(start..end).unwrap_or_default().trim_end_matches('.');
    let is_credential = match scheme {
        Scheme::Bearer => {
            value.len() >= SHORTEST
                && (value.len() >= 24 || value.bytes().any(|b| b.is_ascii_digit()))
        }
        Scheme::Basic => data_encoding::BASE64
            .decode(value.as_bytes())
            .or_else(|_| data_encoding::BASE64_NOPAD.decode(value.as_bytes()))
            .is_ok_and(|plain| plain.contains(&b':')),
    };
    if is_credential {
        spans.push(Span { start, end: start + value.len(), kind: Kind::Credential });
    }
}

/// The alphabet of credentials, `token68` of RFC 9110, section 11.2.
fn is_token68(b: u8) -> bool {
    is_word(b) || matches!(b, b'-' | b'.' | b'~' | b'+' | b'/' | b'=')
}

/// Finds values that stand after a name that means a secret.
pub(super) fn find_named(text: &str, names: &Names, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let (mut at, mut floor) = (0, 0);
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr3(b'=', b':', b'-', rest)) {
        at += next;
        let found = match byte(bytes, at) {
            b'-' => option(text, at, names),
            _ => assignment(text, floor, at, names),
        };
        at += 1;
        if let Some((start, end)) = found {
            if !is_marker(text.get(start..end).unwrap_or_default()) {
                spans.push(Span { start, end, kind: Kind::Credential });
            }
            at = end.max(at);
            floor = at;
        }
    }
}

/// The value of the option whose two hyphens are at `at`: `--password hunter2`. The form with `=`
/// is found at its sign.
fn option(text: &str, at: usize, names: &Names) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let before = byte_before(bytes, at);
    if byte(bytes, at + 1) != b'-' || before == b'-' || is_word(before) {
        return None;
    }
    let name = at + 2;
    let name_end = name + run(bytes, name, |b| is_word(b) || b == b'-');
    let blanks = run(bytes, name_end, |b| b == b' ');
    if blanks == 0 || !means_secret(text.get(name..name_end)?, names) {
        return None;
    }
    let (start, end, _) = value(text, name_end + blanks, false)?;
    let value = text.get(start..end)?;
    let is_prose = ["to", "is", "or", "and", "for", "the", "flag", "option", "must", "can", "will"];
    (!value.starts_with('-') && !is_prose.contains(&value)).then_some((start, end))
}

/// The value of the assignment whose sign is at `at`. Its name does not reach before `floor`.
fn assignment(text: &str, floor: usize, at: usize, names: &Names) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let (sign, before, after) = (byte(bytes, at), byte_before(bytes, at), byte(bytes, at + 1));
    let is_comparison =
        sign == b'=' && (matches!(before, b'=' | b'!' | b'<' | b'>') || after == b'=');
    let is_path = sign == b':' && (before == b':' || after == b':' || after == b'/');
    if is_comparison || is_path || (sign == b'=' && before == b':') {
        return None;
    }
    let head = bytes.get(floor..at)?;
    let gap = head.iter().rev().take(6).take_while(|b| b" \"'`\\]".contains(b)).count();
    let head = head.get(..head.len() - gap)?;
    let length = head.iter().rev().take(LONGEST_NAME).take_while(|b| is_name(**b)).count();
    let name_end = floor + head.len();
    let name = (name_end - length..name_end).find_map(|start| text.get(start..name_end))?;

    let is_signature = sign == b'=' && is_signature(name);
    let meaning = names.meaning(name);
    if !is_signature && !matches!(meaning, Meaning::Secret | Meaning::SecretText) {
        return None;
    }
    let from = at + 1 + usize::from(matches!((sign, after), (b':', b'=') | (b'=', b'>')));
    let blanks = run(bytes, from, |b| b == b' ' || b == b'\t');
    let is_header = sign == b':' && is_header(name);
    let (start, end, is_quoted) = value(text, from + blanks, is_header)?;
    let value = text.get(start..end)?;
    if is_signature {
        return (value.len() >= 20).then_some((start, end));
    }
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_nothing(value)
        || is_directory(name, Some(value))
        || (meaning == Meaning::SecretText && is_number)
    {
        return None;
    }
    // `password=…` is written by machines; `password: …` may be a sentence or a declaration.
    let is_direct = sign == b'=' && blanks == 0 && gap == 0;
    let counts = is_quoted || is_header || (value.len() >= 3 && (is_direct || is_plausible(value)));
    counts.then_some((start, end))
}

/// Where the value at `at` is, and whether it is quoted. Quotes may themselves be escaped, as in
/// JSON within JSON. A value whose quote is not closed goes to the end of the text.
fn value(text: &str, at: usize, is_line: bool) -> Option<(usize, usize, bool)> {
    let bytes = text.as_bytes();
    let escapes = run(bytes, at, |b| b == b'\\');
    let quote = byte(bytes, at + escapes);
    if matches!(quote, b'"' | b'\'' | b'`') {
        let start = at + escapes + 1;
        let mut slashes = 0_usize;
        let mut end = start;
        for b in bytes.get(start..)? {
            let closes = slashes == escapes || (escapes == 0 && slashes.is_multiple_of(2));
            if *b == quote && closes {
                let end = end - slashes.min(escapes);
                return (end > start).then_some((start, end, true));
            }
            slashes = if *b == b'\\' { slashes + 1 } else { 0 };
            end += 1;
        }
        return (end > start).then_some((start, end, true));
    }
    let is_end: fn(u8) -> bool = if is_line {
        |b| matches!(b, b'\r' | b'\n' | b'"' | b'\'' | b'`')
    } else {
        |b| b <= b' ' || b"\"'`<>,;&()[]{}|".contains(&b)
    };
    let mut end = at + run(bytes, at, |b| !is_end(b));
    if !is_line && byte(bytes, at) == b'[' {
        end = at + run(bytes, at, |b| b > b' ' && b != b']') + 1;
        return is_marker(text.get(at..end)?).then_some((at, end, true));
    }
    // A backslash before a quote belongs to the quote.
    end -= bytes.get(at..end)?.iter().rev().take_while(|b| **b == b'\\').count();
    (end > at).then_some((at, end, false))
}

/// Whether a byte can be part of a name.
fn is_name(b: u8) -> bool {
    is_word(b) || matches!(b, b'-' | b'.' | 0x80..)
}

/// Whether a name means a secret.
pub(super) fn means_secret(name: &str, names: &Names) -> bool {
    matches!(names.meaning(name), Meaning::Secret | Meaning::SecretText)
}

/// Headers whose value is a whole line with blanks in it.
fn is_header(name: &str) -> bool {
    ["authorization", "proxy-authorization", "cookie", "set-cookie"]
        .iter()
        .any(|header| name.eq_ignore_ascii_case(header))
}

/// Parameters that sign a URL and so are as good as a password for it.
fn is_signature(name: &str) -> bool {
    ["sig", "signature", "x-amz-signature", "x-goog-signature"]
        .iter()
        .any(|signature| name.eq_ignore_ascii_case(signature))
}

/// Whether a value stands for no secret: a null, a switch, or the name of a variable.
fn is_nothing(value: &str) -> bool {
    let words = ["null", "none", "nil", "undefined", "true", "false", "yes", "no", "***", "****"];
    let is_variable = |name: &str| name.bytes().all(|b| is_word(b) && !b.is_ascii_lowercase());
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
        || value.strip_prefix('$').is_some_and(is_variable)
        || ["process.env", "os.environ", "os.getenv", "env."].iter().any(|p| value.starts_with(p))
}

/// Whether a value is unlike a word of a sentence, and unlike a type, a path or a number of a
/// programming language.
fn is_plausible(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ':', '!', '?']);
    let is_typed = ["8", "16", "32", "64", "128", "size"].iter().any(|width| {
        value
            .strip_suffix(width)
            .and_then(|rest| rest.strip_suffix(['u', 'i', 'f', 's']))
            .is_some_and(|number| {
                number.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'x' | b'_'))
            })
    });
    value.len() >= 4
        && value.bytes().any(|b| b.is_ascii_digit() || b"!@#$%^+=:".contains(&b))
        && !value.contains("::")
        && !is_typed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        let names = Names::new(&[]).expect("builds");
        find_named(text, &names, &mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    fn scheme(text: &str, scheme: Scheme) -> bool {
        let mut spans = Vec::new();
        find_scheme(text, 0, scheme, &mut spans);
        !spans.is_empty()
    }

    #[test]
    fn values_of_secret_names_are_found() {
        for (text, value) in [
            ("password=hunter2", "hunter2"),
            ("PGPASSWORD=hunter psql", "hunter"),
            ("Server=db;Password=hunter2;Pooling=1", "hunter2"),
            ("?access_token=abc&x=1", "abc"),
            ("api_key: abc123", "abc123"),
            ("X-Api-Key: abc123\r\nAccept: */*", "abc123"),
            ("Authorization: Digest a=b, c=d\nAccept: x", "Digest a=b, c=d"),
            ("curl -H 'Cookie: a=b; c=d' x", "a=b; c=d"),
            ("--password hunter2 --verbose", "hunter2"),
            ("mysql --password=hunter2", "hunter2"),
            (r#"{"password": "hunter"}"#, "hunter"),
            (r#"{"password": "hun\"ter"}"#, r#"hun\"ter"#),
            (r#"{\"password\": \"hunter\"}"#, "hunter"),
            (r#"{\\\"password\\\": \\\"hunter\\\"}"#, "hunter"),
            ("password := 'hunter'", "hunter"),
            ("'password' => 'hunter'", "hunter"),
            ("env['API_KEY'] = 'hunter'", "hunter"),
            ("password=\"hunter 2", "hunter 2"),
            ("AccountKey=abc/def+gh==;X=1", "abc/def+gh=="),
            ("密码: hunter2", "hunter2"),
            ("x?sig=abcdefghijklmnopqrst%3D", "abcdefghijklmnopqrst%3D"),
        ] {
            assert_eq!(found(text), [value], "{text}");
        }
    }

    #[test]
    fn prose_and_code_are_left() {
        for text in [
            "password: required",
            "What is my password?",
            "token: String",
            "if token == other:",
            "let token = tokenizer.next();",
            "secrets::load(x)",
            "max_tokens=100",
            "tokens: 4096",
            "tokens=12",
            "password=None",
            "const TOKEN: Token = 2u32;",
            "pub token: __u64,",
            "TOKEN: core::Token = x",
            "token: token::Paren(span)",
            "secret: *const c_char",
            "const TOKEN_SIZE: u32 = 0x10_u32",
            "token=$TOKEN",
            "path: /a/b",
            "key=value",
            "a=b&c=d",
            "use --password to log in",
            "https://example.com/token:x",
            "password!=x",
            "token=",
            "--- token ---",
            "-- token",
            "password=[REDACTED]",
            "\"password\":\"[REDACTED]\"",
            "author: me",
            "compass: 12345",
            "sig=1",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn schemes_are_told_from_prose() {
        assert!(scheme("Bearer mF_9.B5f-4.1JqM", Scheme::Bearer));
        assert!(scheme("bearer%20mF_9.B5f-4.1JqM", Scheme::Bearer));
        assert!(scheme("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Scheme::Basic));
        assert!(!scheme("bearer authentication", Scheme::Bearer));
        assert!(!scheme("basic instructions", Scheme::Basic));
        assert!(!scheme("basic", Scheme::Basic));
    }
}
