//! Attacks with their benign twins, dialects, strictness, and bounds.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Longer than any machine needs for bounded work; unbounded work takes years.
const HANGS: Duration = Duration::from_secs(120);

fn compile(schema: &Value, strict: bool) -> Result<ArgumentSchema, SchemaError> {
    ArgumentSchema::compile(schema, SchemaOptions { strict, ..SchemaOptions::default() })
}

fn judge(schema: &ArgumentSchema, arguments: Value) -> Result<(), Violation> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    schema.validate(&arguments)
}

fn passes(schema: &Value, strict: bool, arguments: Value) -> bool {
    judge(&compile(schema, strict).unwrap(), arguments).is_ok()
}

fn error_of(schema: &Value) -> SchemaError {
    compile(schema, false).unwrap_err()
}

#[test]
fn violations_say_where_and_what_but_not_the_value() {
    let schema = compile(
        &json!({"type": "object", "required": ["path"], "properties": {
            "path": {"type": "string", "maxLength": 5},
            "mode": {"enum": ["r", "w"]},
            "list": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "object",
                "properties": {"a/b": {"type": "integer"}}}]}},
        }}),
        false,
    )
    .unwrap();
    for (arguments, pointer, message) in [
        (json!({}), "", "lacks `path`"),
        (json!({"path": "hunter2"}), "/path", "must have at most 5 characters"),
        (json!({"path": 7}), "/path", "must be of type string"),
        (json!({"path": "a", "mode": "hunter2"}), "/mode", "must be one of `r`, `w`"),
        (json!({"path": "a", "list": [{"a/b": "x"}]}), "/list/0/a~1b", "must be of type integer"),
    ] {
        let violation = judge(&schema, arguments).unwrap_err();
        assert_eq!((violation.pointer.as_str(), violation.message.as_str()), (pointer, message));
    }
    assert_eq!(judge(&schema, json!({"path": "a", "list": [null, {"a/b": 1}]})), Ok(()));
}

#[test]
fn dialects_differ_and_unknown_ones_are_errors() {
    let tuple = |dialect: &str| json!({"$schema": dialect, "properties": {"t": {"items": [{"type": "string"}]}}});
    for dialect in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
    ] {
        assert!(!passes(&tuple(dialect), false, json!({"t": [1]})), "{dialect}");
        assert!(passes(&tuple(dialect), false, json!({"t": ["a", 1]})), "{dialect}");
    }
    let new = json!({"properties": {"t": {"prefixItems": [{"type": "string"}]}}});
    assert!(!passes(&new, false, json!({"t": [1]})));
    for dialect in [
        json!("http://evil.com/schema"),
        json!("http://json-schema.org/draft-03/schema#"),
        json!(7),
    ] {
        assert!(matches!(error_of(&json!({"$schema": dialect})), SchemaError::Dialect(_)));
    }
    let mixed =
        json!({"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}});
    assert!(matches!(error_of(&mixed), SchemaError::Dialect(_)));
}

#[test]
fn nothing_outside_is_referred_to() {
    for (reference, key) in [
        ("http://169.254.169.254/schema", "$ref"),
        ("file:///etc/passwd", "$ref"),
        ("other.json#/a", "$ref"),
        ("//evil.com/x", "$dynamicRef"),
        ("https://evil.com/#x", "$recursiveRef"),
        ("https://json-schema.org.evil.com/draft-07/schema", "$ref"),
    ] {
        let named = SchemaError::External(reference.to_owned());
        let schema = json!({"properties": {"a": {"allOf": [{key: reference}]}}});
        assert_eq!(error_of(&schema), named);
        assert_eq!(error_of(&json!({"propertyNames": {key: reference}})), named);
        let hidden = json!({"$ref": "#/x/y", "x": {"y": {"items": {key: reference}}}});
        assert_eq!(error_of(&hidden), named);
    }
    let own = json!({"$id": "https://x.com/s/tool.json", "properties": {
        "a": {"$ref": "tool.json#/$defs/n"}, "b": {"$ref": "https://x.com/s/tool.json#n"},
        "c": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"$anchor": "n", "type": "integer"}}});
    assert!(passes(&own, true, json!({"a": 1, "b": 2, "c": 3})));
    assert!(!passes(&own, true, json!({"b": "x"})));
    let embedded = json!({"properties": {"a": {"$id": "http://evil.com/", "$ref": "#/x"}}});
    assert_eq!(error_of(&embedded), SchemaError::Embedded("http://evil.com/".into()));
    assert_eq!(error_of(&json!({"$ref": "#/nope"})), SchemaError::Dangling("#/nope".into()));
    // Data that looks like a reference is data.
    let data = json!({"properties": {"$ref": {"const": {"$ref": "http://evil.com"}}, "$id": {}}});
    assert!(passes(&data, true, json!({"$ref": {"$ref": "http://evil.com"}, "$id": 1})));
}

#[test]
fn references_may_recurse_through_the_arguments_but_not_in_place() {
    let tree = json!({"$defs": {"t": {"type": "object", "properties": {
        "value": {"type": "integer"}, "children": {"items": {"$ref": "#/$defs/t"}}}}},
        "$ref": "#/$defs/t"});
    assert!(passes(&tree, true, json!({"children": [{"value": 1, "children": []}]})));
    assert!(!passes(&tree, true, json!({"children": [{"value": "x"}]})));
    assert!(!passes(&tree, true, json!({"children": [{"other": 1}]})));
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"anyOf": [{"$ref": "#/not"}]}}),
        json!({"$dynamicAnchor": "a", "if": {"$dynamicRef": "#a"}}),
    ] {
        assert!(matches!(error_of(&schema), SchemaError::Circular(_)), "{schema}");
    }
}

#[test]
fn strict_refuses_what_no_branch_declares() {
    let plain = json!({"properties": {"a": {"properties": {"b": {}}}, "free": {"type": "object"}}});
    assert!(passes(&plain, true, json!({"a": {"b": 1}, "free": {"x": {"y": 1}}})));
    assert!(passes(&plain, false, json!({"z": 1})));
    assert!(!passes(&plain, true, json!({"z": 1})));
    let violation = judge(&compile(&plain, true).unwrap(), json!({"a": {"z": 1}})).unwrap_err();
    assert_eq!(violation.pointer, "/a/z");

    let composed = json!({"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}],
        "anyOf": [{"properties": {"c": {}}}, {"$ref": "#/$defs/d"}],
        "oneOf": [{"patternProperties": {"^x-": {}}}], "if": {"properties": {"e": {}}},
        "then": {"properties": {"f": {}}}, "dependentSchemas": {"a": {"properties": {"g": {}}}},
        "not": {"required": ["n"], "properties": {"n": {}}},
        "$defs": {"d": {"properties": {"d": {}}}}});
    let all = json!({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "x-y": 1});
    assert!(passes(&composed, true, all));
    assert!(!passes(&composed, true, json!({"n": 1})));
    assert!(!passes(&composed, true, json!({"h": 1})));

    for said in [
        json!({"additionalProperties": true}),
        json!({"additionalProperties": {}}),
        json!({"allOf": [{"unevaluatedProperties": {"type": "integer"}}]}),
    ] {
        let mut open = said;
        open["properties"] = json!({"a": {}});
        assert!(passes(&open, true, json!({"a": 1, "z": 1})), "{open}");
    }
    assert!(!passes(&json!({"properties": {}}), true, json!({"z": 1})));
    assert!(passes(&json!({"type": "object"}), true, json!({"z": 1})));
}

#[test]
fn before_2019_a_reference_stands_alone() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/a", "properties": {"z": {}},
        "definitions": {"a": {"properties": {"a": {}}}}});
    assert!(passes(&schema, true, json!({"a": 1})));
    assert!(!passes(&schema, true, json!({"z": 1})));
}

#[test]
fn strings_are_bounded_wherever_they_stand() {
    let options = SchemaOptions { strict: false, max_string: 8 };
    let schema = ArgumentSchema::compile(&json!({}), options).unwrap();
    assert!(judge(&schema, json!({"a": ["12345678"]})).is_ok());
    assert_eq!(judge(&schema, json!({"a": [{"b": "123456789"}]})).unwrap_err().pointer, "/a/0/b");
    assert!(judge(&schema, json!({"123456789": 1})).is_err());
}

#[test]
fn patterns_take_bounded_work() {
    let text = format!("{}!", "a".repeat(30_000));
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(?=a)(a+)+$", "(.*)*x", r"^(a+)+\1b$"] {
        let schema = compile(&json!({"properties": {"p": {"pattern": pattern}}}), false).unwrap();
        let start = Instant::now();
        assert!(judge(&schema, json!({"p": text})).is_err(), "{pattern}");
        assert!(start.elapsed() < HANGS, "{pattern} {:?}", start.elapsed());
    }
    let email = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$";
    let schema = json!({"properties": {"p": {"pattern": email}}});
    assert!(passes(&schema, true, json!({"p": "a.b@example.com"})));
    assert!(!passes(&schema, true, json!({"p": "a..b@example.com"})));
    // A pattern that is given up must not allow by not matching.
    for turned in [
        json!({"not": {"pattern": "(?=a)(a+)+$"}}),
        json!({"patternProperties": {"(?=a)(a+)+$": false}}),
        json!({"pattern": "(?=a)b", "if": {}}),
        json!({"pattern": "("}),
        json!({"pattern": "(a{1000}){1000}"}),
        json!({"pattern": "a".repeat(5000)}),
    ] {
        let error = error_of(&json!({"properties": {"p": turned}}));
        assert!(matches!(error, SchemaError::Pattern(_) | SchemaError::TooLarge(_)), "{error}");
    }
    let linear = json!({"properties": {"p": {"not": {"pattern": "^a+$"}}}});
    assert!(passes(&linear, false, json!({"p": "b"})));
    assert!(!passes(&linear, false, json!({"p": "aa"})));
}

#[test]
fn schemas_are_bounded() {
    let doubled = |last: Value, wrap: fn(Value) -> Value| {
        let mut defs = Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(format!("d{n}"), wrap(json!({"allOf": [next, next]})));
        }
        defs.insert("d40".to_owned(), last);
        json!({"$ref": "#/$defs/d0", "$defs": defs})
    };
    let start = Instant::now();
    let in_place = doubled(json!({}), |inner| inner);
    assert!(matches!(error_of(&in_place), SchemaError::TooLarge(_)));
    let through_members = doubled(json!({}), |inner| json!({"properties": {"a": inner}}));
    assert!(compile(&through_members, true).is_ok());
    let mut chain = Map::new();
    for n in 0..100 {
        chain.insert(format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}));
    }
    chain.insert("d100".to_owned(), json!({}));
    let chain = json!({"$ref": "#/$defs/d0", "$defs": chain});
    assert!(matches!(error_of(&chain), SchemaError::TooLarge(_)));
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"properties": {"a": deep}});
    }
    assert!(matches!(error_of(&deep), SchemaError::TooLarge(_)));
    let wide: Map<_, _> = (0..30_000).map(|n| (n.to_string(), json!({}))).collect();
    assert!(matches!(error_of(&json!({"properties": wide})), SchemaError::TooLarge(_)));
    assert!(start.elapsed() < HANGS, "{:?}", start.elapsed());
}

#[test]
fn work_that_doubles_with_every_level_is_refused() {
    let schema = json!({"$defs": {"n": {"properties": {"c": {"allOf": [
        {"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]}}}}, "$ref": "#/$defs/n"});
    let schema = compile(&schema, true).unwrap();
    let nested = |depth| (0..depth).fold(json!({}), |inner, _| json!({ "c": inner }));
    assert_eq!(judge(&schema, nested(5)), Ok(()));
    let start = Instant::now();
    assert!(judge(&schema, nested(60)).unwrap_err().message.contains("too much work"));
    assert!(start.elapsed() < HANGS);
    let any = compile(&json!({}), false).unwrap();
    assert!(judge(&any, nested(60)).is_ok());
    assert!(judge(&any, nested(70)).is_err());
}

#[test]
fn large_arguments_pass() {
    let schema = json!({"properties": {"rows": {"items": {"anyOf": [{"type": "null"},
        {"properties": {"id": {"type": "integer"}}}]}}}});
    let rows: Vec<_> = (0..20_000).map(|id| json!({ "id": id })).collect();
    assert!(passes(&schema, true, json!({ "rows": rows })));
}

#[test]
fn a_schema_can_be_an_argument() {
    let schema =
        json!({"properties": {"s": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}});
    assert!(passes(&schema, true, json!({"s": {"type": "object", "properties": {"a": {}}}})));
    assert!(!passes(&schema, true, json!({"s": {"type": 7}})));
    assert!(!passes(&schema, true, json!({"z": 7})));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9i64..9).prop_map(Value::from),
        prop::sample::select(vec!["a", "b", "#", "#/$defs/a", "object", "string", "^a+$", "(?=a)"])
            .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "a",
        "b",
        "$ref",
        "$defs",
        "properties",
        "items",
        "allOf",
        "anyOf",
        "not",
        "type",
        "pattern",
        "additionalProperties",
        "$dynamicRef",
        "$anchor",
        "$dynamicAnchor",
        "$id",
        "if",
        "then",
        "patternProperties",
        "prefixItems",
        "required",
        "enum",
        "unevaluatedProperties",
        "contains",
    ]);
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone().prop_map(str::to_owned), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics_and_strict_is_stricter(schema in any_json(), arguments in any_json()) {
        let Value::Object(arguments) = arguments else { return Ok(()) };
        if let (Ok(lax), Ok(strict)) = (compile(&schema, false), compile(&schema, true))
            && strict.validate(&arguments).is_ok()
        {
            prop_assert_eq!(lax.validate(&arguments), Ok(()));
        }
    }

    #[test]
    fn what_is_not_strict_is_the_validator_alone(schema in any_json(), arguments in any_json()) {
        let Value::Object(arguments) = arguments else { return Ok(()) };
        if let Ok(lax) = compile(&schema, false) {
            let plain = jsonschema::options().offline().build(&schema).unwrap();
            let expected = plain.is_valid(&Value::Object(arguments.clone()));
            prop_assert_eq!(lax.validate(&arguments).is_ok(), expected);
        }
    }

    #[test]
    fn strict_only_adds_undeclared_members(names in prop::collection::btree_set("[a-e]", 0..5)) {
        let schema = compile(&json!({"properties": {"a": {}, "b": {}, "c": {}}}), true).unwrap();
        let arguments: Map<_, _> = names.iter().map(|n| (n.clone(), json!(1))).collect();
        let declared = names.iter().all(|n| n.as_str() <= "c");
        prop_assert_eq!(schema.validate(&arguments).is_ok(), declared);
    }
}
