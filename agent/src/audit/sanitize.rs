//! Takes secrets out of arguments before they are logged. Pure; the server gets the original.

use serde_json::Value;

/// What stands in the log instead of a secret.
const REDACTED: &str = "[REDACTED]";

/// Words in a key that make its value a secret.
const SENSITIVE: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "credential",
    "authorization",
    "privatekey",
];

/// A copy without the values of sensitive keys, however deep.
pub fn sanitize(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| {
                    let value =
                        if is_sensitive(key) { Value::from(REDACTED) } else { sanitize(value) };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(sanitize).collect()),
        other => other.clone(),
    }
}

/// Whether a key names a secret, whatever its case and separators: `apiKey`, `X-Api-Key`,
/// `db_password`.
fn is_sensitive(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SENSITIVE.iter().any(|word| plain.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let before = json!({
            "path": "a",
            "apiKey": "k1",
            "headers": [{"X-Api-Key": "k2", "Accept": "*/*"}],
            "db_password": {"nested": "k3"},
            "monkey": 1,
        });
        let after = json!({
            "path": "a",
            "apiKey": "[REDACTED]",
            "headers": [{"X-Api-Key": "[REDACTED]", "Accept": "*/*"}],
            "db_password": "[REDACTED]",
            "monkey": 1,
        });
        assert_eq!(sanitize(&before), after);
    }
}
