//! The canonical form of a JSON value: RFC 8785, JSON Canonicalization Scheme.
//!
//! No white space; keys in the order of their UTF-16 code units; strings with the shortest escapes;
//! numbers as ECMAScript writes them (ECMA-262, `Number::toString`), which takes every number for an
//! IEEE 754 double.

use serde_json::Value;

/// The canonical form of a value. Values that are nested deeper than [`crate::mcp::json::MAX_DEPTH`] are
/// no messages, so this may recurse.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        // Only a number of arbitrary precision is none, and those are not compiled in.
        Value::Number(number) => write_number(number.as_f64().unwrap_or(f64::MAX), out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            let mut separator = '[';
            for item in items {
                out.push(separator);
                write(item, out);
                separator = ',';
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            let mut separator = '{';
            for (key, item) in entries {
                out.push(separator);
                write_string(key, out);
                out.push(':');
                write(item, out);
                separator = ',';
            }
            out.push_str(if map.is_empty() { "{}" } else { "}" });
        }
    }
}

/// RFC 8785, section 3.2.2.2: the short escapes where JSON has them, `\u00xx` for the other control
/// characters, everything else as it is.
fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // Writing to a String cannot fail.
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// ECMA-262, `Number::toString`: of the fewest digits that read back as the same double those closest to it,
/// and of two that are equally close the even ones.
fn write_number(number: f64, out: &mut String) {
    if number == 0.0 {
        return out.push('0'); // The negative zero, too.
    }
    let shortest = format!("{:e}", number.abs());
    let places = shortest.find('e').unwrap_or_default().saturating_sub(2);
    // With so many places Rust rounds to even, which may leave the double where its neighbours are nearer.
    let closest = format!("{:.places$e}", number.abs());
    let text = if closest.parse() == Ok(number.abs()) { closest } else { shortest };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or_default());
    if number < 0.0 {
        out.push('-');
    }
    if (length..=21).contains(&point) {
        out.push_str(&digits);
        out.push_str(&zeros(point - length));
    } else if (1..=21).contains(&point) {
        let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or_default());
        out.extend([whole, ".", part]);
    } else if (-5..=0).contains(&point) {
        out.extend(["0.", &zeros(-point), &digits]);
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if point > 0 { "+" } else { "-" };
        out.extend([first, dot, rest, "e", sign, &(point - 1).abs().to_string()]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_the_rfc_lists_them() {
        // RFC 8785, appendix B.
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let mut text = String::new();
            write_number(f64::from_bits(bits), &mut text);
            assert_eq!(text, expected, "{bits:#x}");
        }
        assert_eq!(canonical(&json!([1, 1.0, -1, 100, 0.5])), "[1,1,-1,100,0.5]");
    }

    #[test]
    fn keys_are_in_the_order_of_their_utf16_and_strings_have_the_shortest_escapes() {
        // RFC 8785, section 3.2.3: an emoji sorts before a later character of the basic plane.
        let value = json!({ "\u{fb33}": 1, "\u{1f600}": 2, "1": 3, "\r": 4, "\u{80}": 5, "ö": 6 });
        let expected = "{\"\\r\":4,\"1\":3,\"\u{80}\":5,\"ö\":6,\"\u{1f600}\":2,\"\u{fb33}\":1}";
        assert_eq!(canonical(&value), expected);
        let text = json!("€$\u{f}\nA'B\"\\\\\"/\u{7f}");
        assert_eq!(canonical(&text), "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
        assert_eq!(canonical(&json!([{}, [], null, true, false])), "[{},[],null,true,false]");
    }

    proptest! {
        #[test]
        fn a_canonical_form_reads_back_as_the_value(number: f64, text: String) {
            prop_assume!(number.is_finite());
            let value = json!({ text.clone(): [number, text] });
            let read: Value = serde_json::from_str(&canonical(&value)).expect("JSON");
            prop_assert_eq!(canonical(&read), canonical(&value));
            let back = read.as_object().and_then(|map| map.values().next()?[0].as_f64());
            prop_assert_eq!(back, Some(if number == 0.0 { 0.0 } else { number }));
        }
    }
}
