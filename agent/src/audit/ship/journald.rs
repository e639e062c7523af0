//! Entries of the journal by its native protocol (systemd, "Native Journal Protocol"): `FIELD=value` lines, or
//! for values with line feeds the length before them.

use crate::audit::format::{Formatted, Origin};

/// An entry.
pub(super) fn datagram(event: &Formatted, _: &Origin) -> Vec<u8> {
    let mut entry = Vec::with_capacity(event.text.len() + 200);
    field(&mut entry, "MESSAGE", &event.text);
    field(&mut entry, "PRIORITY", &event.severity.syslog().to_string());
    field(&mut entry, "SYSLOG_FACILITY", "13");
    field(&mut entry, "SYSLOG_IDENTIFIER", "warrantd");
    field(&mut entry, "WARRANTD_EVENT", &event.event);
    field(&mut entry, "WARRANTD_SEQ", &event.seq.to_string());
    field(&mut entry, "WARRANTD_ID", &event.id);
    entry
}

fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_feeds_has_its_length_before_it() {
        let mut entry = Vec::new();
        field(&mut entry, "A", "b");
        field(&mut entry, "C", "d\ne");
        assert_eq!(entry, b"A=b\nC\n\x03\0\0\0\0\0\0\0d\ne\n");
    }
}
