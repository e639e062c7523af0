//! Configuration files as values.

use serde_json::Value;

use super::clients::Syntax;

/// Reads a file. The error says where it is wrong, and nothing of what it says.
pub(super) fn parse(syntax: Syntax, text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    match syntax {
        Syntax::Json => {
            let plain = without_comments(text);
            serde_json::from_str(&plain).map_err(|error| {
                format!("no JSON at line {}, column {}", error.line(), error.column())
            })
        }
        Syntax::Yaml => serde_yaml::from_str(text).map_err(|error| {
            let place = error.location();
            let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
            format!("no YAML that is understood, at line {line}, column {column}")
        }),
        Syntax::Toml => toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("no TOML at line {}", before.matches('\n').count() + 1)
        }),
    }
}

/// JSON as editors write it, without its comments and trailing commas. Lines and columns stay.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // Where a comma stands after which nothing came yet.
    let mut comma = None;
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => {
                comma = None;
                plain.push(c);
                while let Some(c) = chars.next() {
                    plain.push(c);
                    match c {
                        '\\' => plain.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                    plain.push(' ');
                }
            }
            ('/', Some('*')) => {
                let mut last = ' ';
                for c in chars.by_ref().skip(1) {
                    plain.push(if c == '\n' { c } else { ' ' });
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            (',', _) => {
                comma = Some(plain.len());
                plain.push(c);
            }
            (']' | '}', _) => {
                if let Some(at) = comma.take() {
                    plain.replace_range(at..=at, " ");
                }
                plain.push(c);
            }
            _ => {
                if !c.is_ascii_whitespace() {
                    comma = None;
                }
                plain.push(c);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_editors_write_it() {
        let text = r#"// servers
{
  /* all ,] of
     them */
  "servers": {"a": {"command": "x", "args": ["//", "/*", ",]", "\"//",],},}, // end
}
"#;
        let read = parse(Syntax::Json, text).expect("JSON");
        assert_eq!(
            read,
            json!({"servers": {"a": {"command": "x", "args": ["//", "/*", ",]", "\"//"]}}})
        );
        assert_eq!(parse(Syntax::Json, "\u{feff}\n"), Ok(Value::Null));
    }

    #[test]
    fn an_error_has_a_place_and_no_content() {
        let secret = "hunter2";
        let cases = [
            (Syntax::Json, format!("{{\n  \"a\": {secret}\n}}"), "line 2"),
            (Syntax::Yaml, format!("a: [\n{secret}: {{]"), "line 2"),
            (Syntax::Toml, format!("a = 1\nb = {secret}\n"), "line 2"),
        ];
        for (syntax, text, place) in cases {
            let error = parse(syntax, &text).expect_err("broken");
            assert!(error.contains(place) && !error.contains(secret), "{error}");
        }
    }

    #[test]
    fn the_three_say_the_same() {
        let expected = json!({"a": {"b": [1, "c"]}});
        assert_eq!(parse(Syntax::Yaml, "a:\n  b: [1, c]\n").as_ref(), Ok(&expected));
        assert_eq!(parse(Syntax::Toml, "[a]\nb = [1, \"c\"]\n").as_ref(), Ok(&expected));
    }

    proptest! {
        #[test]
        fn plain_json_stays_as_it_is(text in "[\\[\\]{}\",/*\\\\a\n ]{0,24}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(parse(Syntax::Json, &text), Ok(value));
            }
        }
    }
}
