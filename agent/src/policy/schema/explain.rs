//! Validation errors in words: what the schema wants, never what the arguments hold.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::Violation;

/// How many characters of a name, a pattern or a list are shown.
const SHOWN: usize = 120;

/// How many times a message looks into the branch of a choice.
const ROUNDS: usize = 8;

/// The violation that a validation error means.
pub(super) fn violation(error: &ValidationError) -> Violation {
    let mut error = error;
    for _ in 0..ROUNDS {
        match nearest(error) {
            Some(inner) => error = inner,
            None => break,
        }
    }
    Violation { pointer: clip_to(error.instance_path().as_str(), 1024), message: message(error) }
}

/// What is wrong, in one line.
pub(super) fn message(error: &ValidationError) -> String {
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(kind) } => format!("must be of type {kind}"),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
            format!("must be of type {}", kinds.join(" or "))
        }
        Kind::Required { property } => format!("lacks {}", shown(property)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("`{}`", clip(name))).collect();
            clip(&format!("has members that the schema refuses: {}", names.join(", ")))
        }
        Kind::Enum { options } => format!("must be one of {}", shown(options)),
        Kind::Constant { expected_value } => format!("must be {}", shown(expected_value)),
        Kind::Pattern { pattern } => format!("does not match the pattern `{}`", clip(pattern)),
        Kind::Format { format } => format!("is not in the format `{}`", clip(format)),
        Kind::Minimum { limit } => format!("must be at least {}", shown(limit)),
        Kind::Maximum { limit } => format!("must be at most {}", shown(limit)),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {}", shown(limit)),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {}", shown(limit)),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "matches no alternative".to_owned(),
        Kind::OneOfMultipleValid { .. } => "matches more than one alternative".to_owned(),
        Kind::PropertyNames { error } => format!("has a member whose name {}", message(error)),
        Kind::FalseSchema => "is not allowed by the schema".to_owned(),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "takes too much work to match with its pattern".to_owned()
        }
        Kind::Referencing(error) => clip(&error.to_string()),
        _ => clip(&error.masked().to_string()),
    }
}

/// The error of the one branch of a choice that came closest: deepest inside the value.
fn nearest<'a>(error: &'a ValidationError) -> Option<&'a ValidationError<'static>> {
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else {
        return None;
    };
    let own = error.instance_path().as_str().len();
    // A branch of another type is not what the caller meant, so one other branch is.
    let meant = context.iter().filter_map(|errors| errors.first()).filter(|inner| {
        inner.instance_path().as_str().len() > own || !matches!(inner.kind(), Kind::Type { .. })
    });
    meant.max_by_key(|inner| inner.instance_path().as_str().len())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", clip(text)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().take(SHOWN).map(shown).collect();
            clip(&items.join(", "))
        }
        other => clip(&other.to_string()),
    }
}

/// Text in one bounded line.
pub(super) fn clip(text: &str) -> String {
    clip_to(text, SHOWN)
}

fn clip_to(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(most).map(plain).collect();
    if shown.len() < text.len() && text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
