//! Messages of RFC 5424, and their framing on streams (RFC 6587, section 3.4.1; RFC 5425, section 4.3).
//!
//! ```text
//! <PRI>1 TIMESTAMP HOST warrantd - EVENT [warrantd@32473 seq="7" id="…"] TEXT
//! ```
//!
//! The facility is 13 (log audit). 32473 is the number for examples (RFC 5612): warrantd has none of its own.
//! The text has no byte order mark, which receivers that parse JSON do not expect.

use std::fmt::Write as _;

use crate::audit::format::{Formatted, Origin};

/// The facility "log audit".
const FACILITY: u8 = 13;

/// A message.
fn message(event: &Formatted, origin: &Origin) -> String {
    let priority = FACILITY * 8 + event.severity.syslog();
    let mut text = String::with_capacity(event.text.len() + 200);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<{priority}>1 {} {} warrantd - {} [warrantd@32473 seq=\"{}\" id=\"{}\"] ",
        word(&event.timestamp, 40),
        word(&origin.host, 255),
        word(&event.event, 32),
        event.seq,
        word(&event.id, 255),
    );
    // A line feed ends a message for receivers that do not count.
    text.extend(event.text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    text
}

/// A message for a datagram.
pub(super) fn datagram(event: &Formatted, origin: &Origin) -> Vec<u8> {
    message(event, origin).into_bytes()
}

/// A message for a stream: its length in bytes, a space, and itself.
pub(super) fn framed(event: &Formatted, origin: &Origin, out: &mut Vec<u8>) {
    let message = message(event, origin);
    out.extend_from_slice(format!("{} ", message.len()).as_bytes());
    out.extend_from_slice(message.as_bytes());
}

/// Printable ASCII without spaces, or `-` (NILVALUE). Nothing that would have to be escaped stays.
fn word(text: &str, most: usize) -> String {
    let plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ']');
    let word: String = text.chars().filter(plain).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::format::Severity;

    #[test]
    fn a_message_is_one_of_rfc_5424_and_its_length_is_in_bytes() {
        let event = Formatted {
            id: "ab-0".to_owned(),
            seq: 7,
            timestamp: "2026-01-02T03:04:05.678Z".to_owned(),
            severity: Severity::High,
            event: "a \"call]".to_owned(),
            text: "{\"é\n\"}".to_owned(),
        };
        let origin = Origin { host: "host".to_owned(), version: "1" };
        let expected = "<107>1 2026-01-02T03:04:05.678Z host warrantd - acall \
                        [warrantd@32473 seq=\"7\" id=\"ab-0\"] {\"é \"}";
        assert_eq!(String::from_utf8_lossy(&datagram(&event, &origin)), expected);
        let mut out = Vec::new();
        framed(&event, &origin, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("{} {expected}", expected.len()));
    }
}
