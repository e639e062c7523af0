//! Values in headers (revision 2026-07-28, section Transports): what cannot stand there is sent as
//! `=?base64?…?=`.

use data_encoding::BASE64;
use http::HeaderValue;

/// The header value that stands for `text`.
pub(super) fn encode(text: &str) -> Result<HeaderValue, http::Error> {
    let plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if plain {
        return Ok(HeaderValue::from_str(text)?);
    }
    let encoded = format!("=?base64?{}?=", BASE64.encode(text.as_bytes()));
    Ok(HeaderValue::from_str(&encoded)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(encode(text).expect("a value"), value, "{text:?}");
        }
    }
}
