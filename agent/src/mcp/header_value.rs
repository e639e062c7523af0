//! Values of a message that are repeated in HTTP headers (MCP 2026-07-28, section Streamable HTTP,
//! Request Metadata): what may not stand in a header is written `=?base64?…?=`.

use std::borrow::Cow;

const BEGIN: &str = "=?base64?";
const END: &str = "?=";

/// A header's value as the message has it; `None` when its encoding is broken, or is not the one form
/// that the value has (RFC 4648, section 4, with padding).
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)) else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = data_encoding::BASE64.decode(inner.as_bytes()).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A value as a header may have it.
pub fn encode(value: &str) -> Cow<'_, str> {
    let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let framed = value.starts_with(BEGIN) && value.ends_with(END);
    if visible && value.trim_matches(' ') == value && !framed {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{BEGIN}{}{END}", data_encoding::BASE64.encode(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_marked_is_decoded() {
        assert_eq!(decode("=?base64?SGVsbG8=?=").as_deref(), Some("Hello"));
        for literal in ["SGVsbG8=", "=?base64?SGVsbG8=", "SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", ""] {
            assert_eq!(decode(literal).as_deref(), Some(literal));
        }
        for broken in [
            "=?base64?SGVsbG8?=",
            "=?base64?SGVs!!!bG8=?=",
            "=?base64?SGVsbG9=?=",
            "=?base64?/w==?=",
            "=?base64?SGVs bG8=?=",
        ] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_encoded() {
        for (text, value) in [
            ("read_file", "read_file"),
            ("a b;c=\"d\"", "a b;c=\"d\""),
            ("", ""),
            ("größe", "=?base64?Z3LDtsOfZQ==?="),
            (" a", "=?base64?IGE=?="),
            ("a\nb: c", "=?base64?YQpiOiBj?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(encode(text), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_a_header_and_reads_back(value in ".*") {
            let header = encode(&value);
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(header.trim(), header.as_ref());
            let decoded = decode(&header);
            prop_assert_eq!(decoded.as_deref(), Some(value.as_str()));
        }
    }
}
